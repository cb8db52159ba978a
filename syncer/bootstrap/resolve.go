// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// dnsResolveKey is the key of the configuration of the DNS that holds the rules of the
	// VirtualCluster. The Corefile imports it.
	dnsResolveKey = "spec.resolve"
	// dnsResolveHash, in the pods of the DNS, has them start again with other rules.
	dnsResolveHash = "garret.dev/dns-resolve"
	// resolveManager owns these two, so that neither goes when the rest is applied.
	resolveManager = fieldManager + "-resolve"
	// resolveTTL is how long an answer may be kept, in seconds.
	resolveTTL = 30
	// resolveAgain is how soon a step is tried again that failed.
	resolveAgain = 5 * time.Second
)

// Resolve has the DNS answer what the VirtualCluster says, as soon as garret-controller has
// looked for all Services in it.
func (b *Bootstrap) Resolve(cluster *tenancyv1.VirtualCluster) {
	rules, known := resolveRules(cluster)
	if !known {
		return
	}
	if before := b.resolved.Swap(&rules); before != nil && *before == rules {
		return
	}
	select {
	case b.resolvedChanged <- struct{}{}:
	default:
	}
}

// keepResolved writes the rules when they change, until the context ends.
func (b *Bootstrap) keepResolved(ctx context.Context) {
	for {
		again := keepInterval
		if rules := b.resolved.Load(); rules != nil {
			if err := b.applyResolved(ctx, *rules); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Cannot make the DNS answer by the rules of the virtual cluster")
				again = resolveAgain
			}
		}
		select {
		case <-b.resolvedChanged:
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

// applyResolved writes the rules, and has the pods of the DNS follow: by itself CoreDNS
// looks after half a minute, and the kubelet after a whole one. Where the tenant deleted what it
// would write to, there is nothing to do.
func (b *Bootstrap) applyResolved(ctx context.Context, rules string) error {
	options := metav1.ApplyOptions{FieldManager: resolveManager, Force: true}
	configs, deployments := b.Virtual.CoreV1().ConfigMaps(metav1.NamespaceSystem), b.Virtual.AppsV1().Deployments(metav1.NamespaceSystem)
	found, err := configs.Get(ctx, dnsName, metav1.GetOptions{})
	if err != nil {
		return ignoreNotFound(err)
	}
	config, template, hash := applycorev1.ConfigMap(dnsName, metav1.NamespaceSystem), applycorev1.PodTemplateSpec(), ""
	if rules != "" {
		config.WithData(map[string]string{dnsResolveKey: rules})
		sum := sha256.Sum256([]byte(rules))
		hash = hex.EncodeToString(sum[:8])
		template.WithAnnotations(map[string]string{dnsResolveHash: hash})
	}
	if found.Data[dnsResolveKey] != rules {
		if _, err := configs.Apply(ctx, config, options); err != nil {
			return fmt.Errorf("ConfigMap %s: %w", dnsName, err)
		}
		klog.FromContext(ctx).V(1).Info("The rules of the DNS changed", "bytes", len(rules))
	}
	running, err := deployments.Get(ctx, dnsName, metav1.GetOptions{})
	if err != nil {
		return ignoreNotFound(err)
	}
	if running.Spec.Template.Annotations[dnsResolveHash] == hash {
		return nil
	}
	deployment := appsv1.Deployment(dnsName, metav1.NamespaceSystem).WithSpec(appsv1.DeploymentSpec().WithTemplate(template))
	if _, err := deployments.Apply(ctx, deployment, options); err != nil {
		return fmt.Errorf("Deployment %s: %w", dnsName, err)
	}
	return nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// resolveRules are the rules of the VirtualCluster as part of a Corefile. Whole names come before
// those that stand for many, and longer ones first: the first that matches is the one that counts.
// They are not known while the status says nothing about a Service.
func resolveRules(cluster *tenancyv1.VirtualCluster) (string, bool) {
	found := map[string][]string{}
	for i := range cluster.Status.Services {
		service := &cluster.Status.Services[i]
		found[service.From.In(cluster.Namespace).String()] = service.ClusterIPs
	}
	rules := slices.Clone(cluster.Spec.DNS.Resolve)
	slices.SortStableFunc(rules, func(a, b tenancyv1.ResolveRule) int {
		wildA, wildB := strings.HasPrefix(a.Name, "*"), strings.HasPrefix(b.Name, "*")
		switch {
		case wildA != wildB && wildA:
			return 1
		case wildA != wildB:
			return -1
		}
		return cmp.Compare(len(b.Name), len(a.Name))
	})
	var text strings.Builder
	for i := range rules {
		rule, addresses := &rules[i], rules[i].Addresses
		if rule.Service != nil {
			known := false
			if addresses, known = found[rule.Service.In(cluster.Namespace).String()]; !known {
				return "", false
			}
		}
		writeRule(&text, rule, addresses)
	}
	return text.String(), true
}

// writeRule answers for one name. What it has no record of gets an empty answer, so that
// nobody outside is asked for the name. A Service that has no address answers so, too.
func writeRule(text *strings.Builder, rule *tenancyv1.ResolveRule, addresses []string) {
	zone := strings.TrimPrefix(rule.Name, "*.")
	quoted := strings.ReplaceAll(zone, ".", "[.]")
	match := "^" + quoted + "[.]$"
	if zone != rule.Name {
		match = "[.]" + quoted + "[.]$"
	}
	block := func(kind string, records ...string) {
		fmt.Fprintf(text, "template IN %s %s {\n    match \"%s\"\n", kind, zone, match)
		for _, record := range records {
			fmt.Fprintf(text, "    answer \"{{ .Name }} %d IN %s\"\n", resolveTTL, record)
		}
		text.WriteString("    fallthrough\n}\n")
	}
	if rule.Alias != "" {
		block("ANY", "CNAME "+strings.TrimSuffix(rule.Alias, ".")+".")
		return
	}
	var four, six []string
	for _, each := range addresses {
		if address, err := netip.ParseAddr(each); err == nil && address.Is4() {
			four = append(four, "A "+address.String())
		} else if err == nil {
			six = append(six, "AAAA "+address.String())
		}
	}
	if len(four) > 0 {
		block("A", four...)
	}
	if len(six) > 0 {
		block("AAAA", six...)
	}
	block("ANY")
}
