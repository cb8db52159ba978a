// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// argument is --name=value in the one spelling that is accepted, so that a
// flag cannot be given past the rules below under another spelling of its name.
var argument = regexp.MustCompile(`^--([a-z][a-z0-9-]*)=(.*)$`)

// component is name=value, the form of a flag that k3s hands to a component.
var component = regexp.MustCompile(`^([a-z][a-z0-9-]*)=(.*)$`)

// An argRules says which flags of a command may be given. A name that ends
// with an asterisk stands for all that begin with the rest.
type argRules struct {
	allowed []string
	// owned flags are set by Garret; naming them gives a better message.
	owned []string
	// component holds, for a flag that carries a flag of a component, which of those are refused.
	component map[string][]string
}

// serverRules are for the server command of the control plane. What is allowed
// is named, rather than what is not: k3s grows flags, and a new one must not
// open the identity chain or the volume layout that Garret relies on. An unknown
// flag keeps a control plane from starting, so none may get that far.
func serverRules(distro tenancy.Distro) argRules {
	allowed := []string{"debug", "v", "kube-apiserver-arg", "kube-controller-manager-arg", "service-node-port-range"}
	if distro == tenancy.DistroK3s {
		allowed = append(allowed, "secrets-encryption", "secrets-encryption-provider")
	}
	return argRules{
		allowed: allowed,
		owned: []string{
			"advertise-*", "agent-*", "apiserver-*", "bind-address", "cluster-*", "config", "data-dir", "datastore-*", "disable*",
			"egress-selector-mode", "etcd-*", "flannel-*", "https-listen-port", "kine-tls", "kube-cloud-controller-manager-arg",
			"kube-scheduler-arg", "node-*", "rootless", "server", "service-cidr", "supervisor-*", "tls-san*", "token*", "write-kubeconfig*",
		},
		component: map[string][]string{
			// Who is who, who may do what, where the data lies and what is listened on.
			"kube-apiserver-arg": {
				"advertise-address", "anonymous-auth", "api-audiences", "authentication-*", "authorization-*", "bind-address",
				"cert-dir", "client-ca-file", "disable-admission-plugins", "egress-selector-config-file",
				"enable-aggregator-routing", "encryption-provider-config*", "endpoint-reconciler-type", "etcd-*", "external-hostname",
				"kubelet-*", "permit-*", "proxy-client-*", "requestheader-*", "secure-port", "service-account-*",
				"service-cluster-ip-range", "storage-backend", "tls-cert-file", "tls-private-key-file", "tls-sni-cert-key", "token-auth-file",
			},
			"kube-controller-manager-arg": {
				"authentication-*", "authorization-*", "bind-address", "client-ca-file", "cluster-signing-*", "controllers", "kubeconfig",
				"leader-elect*", "master", "requestheader-*", "root-ca-file", "secure-port", "service-account-private-key-file",
				"service-cluster-ip-range", "tls-*", "use-service-account-credentials",
			},
		},
	}
}

// syncerRules are for garret-syncer: what to sync and how much to log.
func syncerRules() argRules {
	return argRules{
		allowed: []string{"disable-sync-resources", "sync-*", "v", "vmodule"},
		owned: []string{
			"bind-address", "cluster-*", "data-dir", "health-*", "host-*", "issuer-*", "kubelet-*", "namespace", "pod-ip",
			"service-*", "uid", "virtual-*", "webhook-*",
		},
	}
}

func serverArgs(distro tenancy.Distro, args []string, path *field.Path) field.ErrorList {
	return serverRules(distro).check(args, path)
}

func syncerArgs(args []string, path *field.Path) field.ErrorList {
	return syncerRules().check(args, path)
}

func (r argRules) check(args []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, arg := range args {
		if err := r.one(arg, path.Index(i)); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (r argRules) one(arg string, path *field.Path) *field.Error {
	parts := argument.FindStringSubmatch(arg)
	if parts == nil {
		return field.Invalid(path, arg, "must have the form --name=value, with the name in lower-case letters, digits and dashes")
	}
	name, value := parts[1], parts[2]
	if matches(r.owned, name) {
		return field.Forbidden(path, fmt.Sprintf("--%s is set by Garret: leave it out", name))
	}
	if !matches(r.allowed, name) {
		return field.Invalid(path, arg, fmt.Sprintf("--%s cannot be given here; those that can: --%s",
			name, strings.Join(r.allowed, ", --")))
	}
	if refused, carries := r.component[name]; carries {
		return carried(name, value, refused, path)
	}
	return nil
}

// carried judges the flag of a component. Its value may be a list; since a
// command line parser may split the whole at commas, what follows a comma is
// judged as though it were a flag as well.
func carried(name, value string, refused []string, path *field.Path) *field.Error {
	if !component.MatchString(value) {
		return field.Invalid(path, "--"+name+"="+value, fmt.Sprintf("must have the form --%s=name=value", name))
	}
	for _, piece := range strings.Split(value, ",") {
		piece = strings.ReplaceAll(strings.ToLower(strings.TrimLeft(strings.TrimSpace(piece), "-")), "_", "-")
		inner, _, _ := strings.Cut(piece, "=")
		if matches(refused, inner) {
			return field.Forbidden(path, fmt.Sprintf(
				"%s in --%s is set by Garret, since who may enter and where data lies depends on it: leave it out", inner, name))
		}
	}
	return nil
}

func matches(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if prefix, wild := strings.CutSuffix(pattern, "*"); wild && strings.HasPrefix(name, prefix) || pattern == name {
			return true
		}
	}
	return false
}
