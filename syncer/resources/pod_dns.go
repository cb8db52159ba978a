// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"k8s.io/utils/ptr"
)

const (
	maxHostname = 63
	// maxKernelHostname is what the kernel allows for a full name.
	maxKernelHostname = 64
)

// applyHostname gives the host pod the hostname that the virtual one would have.
// The name and the domain on the host differ, so the syncer sets both.
//
// The host's kubelet would compose a full name from the host's namespace and domain;
// therefore no subdomain is passed on. The full name resolves through the DNS inside.
func applyHostname(host *corev1.PodSpec, virtual *corev1.Pod, domain string) {
	spec := &virtual.Spec
	host.Hostname, host.Subdomain, host.SetHostnameAsFQDN = "", "", nil
	if spec.HostNetwork || spec.HostnameOverride != nil {
		return
	}
	hostname := spec.Hostname
	if hostname == "" {
		// As a kubelet cuts it.
		hostname = virtual.Name
		if len(hostname) > maxHostname {
			hostname = strings.TrimRight(hostname[:maxHostname], "-.")
		}
	}
	// Dots are allowed in the name of a pod, and not in the field. A host that does
	// not know the other field has dashes in their place.
	host.Hostname = strings.ReplaceAll(hostname, ".", "-")
	if host.Hostname != hostname {
		host.HostnameOverride = &hostname
	}
	if ptr.Deref(spec.SetHostnameAsFQDN, false) && spec.Subdomain != "" {
		full := strings.Join([]string{hostname, spec.Subdomain, virtual.Namespace, "svc", domain}, ".")
		if len(full) <= maxKernelHostname {
			host.Hostname, host.HostnameOverride = "", &full
		}
	}
}

// usesClusterDNS says whether the pod is to ask the DNS inside.
func usesClusterDNS(spec *corev1.PodSpec) bool {
	switch spec.DNSPolicy {
	case corev1.DNSClusterFirstWithHostNet:
		return true
	case corev1.DNSClusterFirst, "":
		return !spec.HostNetwork
	}
	return false
}

// applyDNS has the host pod ask the DNS inside, at server. Without a server,
// while there is no DNS inside, the pod gets that of its node.
func applyDNS(host *corev1.PodSpec, virtual *corev1.Pod, server, domain string) {
	if !usesClusterDNS(&virtual.Spec) {
		if host.DNSPolicy == corev1.DNSClusterFirst {
			// On the node's network this means the node's DNS, for the host cluster's too.
			host.DNSPolicy = corev1.DNSDefault
		}
		return
	}
	if server == "" {
		host.DNSPolicy = corev1.DNSDefault
		return
	}
	service := "svc." + domain
	config := &corev1.PodDNSConfig{
		Nameservers: []string{server},
		Searches:    []string{virtual.Namespace + "." + service, service, domain},
		Options:     []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("5")}},
	}
	if own := virtual.Spec.DNSConfig; own != nil {
		config.Nameservers = appendNew(config.Nameservers, own.Nameservers)
		config.Searches = appendNew(config.Searches, own.Searches)
		config.Options = mergeOptions(config.Options, own.Options)
	}
	host.DNSPolicy = corev1.DNSNone
	host.DNSConfig = config
}

func appendNew(list, more []string) []string {
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

// mergeOptions has the tenant's options replace those of the same name.
func mergeOptions(options, own []corev1.PodDNSConfigOption) []corev1.PodDNSConfigOption {
	for _, option := range own {
		at := slices.IndexFunc(options, func(o corev1.PodDNSConfigOption) bool { return o.Name == option.Name })
		if at < 0 {
			options = append(options, option)
		} else {
			options[at] = option
		}
	}
	return options
}
