// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// argument is --name=value in the one spelling that is accepted, so that a
// flag cannot be given past the rules below under another spelling of its name.
var argument = regexp.MustCompile(`^--([a-z][a-z0-9-]*)=(.*)$`)

// An argRules says which flags of a command may be given, and with what values.
// In a list, a name that ends with an asterisk stands for all that begin with the rest.
type argRules struct {
	allowed map[string]value
	// owned flags are set by Garret; naming them gives a better message.
	owned []string
}

// serverRules are for the server command of the control plane. What is allowed
// is named, rather than what is not: k3s grows flags, and a new one must not
// open the identity chain or the volume layout that Garret relies on. An unknown
// flag keeps a control plane from starting, and so does a value that its flag
// cannot take, so neither may get that far.
func serverRules(distro tenancy.Distro) argRules {
	allowed := map[string]value{
		"debug": boolean, "v": verbosity, "service-node-port-range": portRange,
		"kube-apiserver-arg":          componentFlag(apiServerFlags()),
		"kube-controller-manager-arg": componentFlag(controllerManagerFlags()),
	}
	if distro == tenancy.DistroK3s {
		allowed["secrets-encryption"] = boolean
		allowed["secrets-encryption-provider"] = oneOf("aescbc", "secretbox")
	}
	return argRules{
		allowed: allowed,
		owned: []string{
			"advertise-*", "agent-*", "apiserver-*", "bind-address", "cluster-*", "config", "data-dir", "datastore-*", "disable*",
			"egress-selector-mode", "etcd-*", "flannel-*", "https-listen-port", "kine-tls", "kube-cloud-controller-manager-arg",
			"kube-scheduler-arg", "node-*", "rootless", "server", "service-cidr", "supervisor-*", "tls-san*", "token*", "write-kubeconfig*",
		},
	}
}

// syncerRules are for garret-syncer: what to sync and how much to log.
func syncerRules() argRules {
	return argRules{
		allowed: map[string]value{
			v1.FlagDisableSyncResources: listOf(v1.CataloguedResources(), v1.ReservedResources()),
			v1.FlagSyncResources:        listOf(v1.CataloguedResources()),
			v1.FlagSyncAll:              listOf(v1.ReferencedResources()),
			v1.FlagNodesFromHost:        boolean,
			"v":                         verbosity,
			"vmodule":                   moduleVerbosity,
		},
		owned: []string{
			"allowed-*", "bind-address", "closed-*", "cluster-*", "data-dir", "denied-*", "device-*", "egress-*", "endpoint-*", "ephemeral-data", "external-*", "health-*", "host-*", "image*", "inline-*", "issuer-*", "kubelet-*", "map-*",
			"namespace", "node-*", "pod-*", "public-egress", v1.FlagReleaseKind, "select-*", "service-*", v1.FlagShowKind, v1.FlagSyncByRule, "uid", "virtual-*", "webhook-*",
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
	// A kubelet replaces $(NAME) by the container's environment, and that of a
	// control plane holds the datastore's password, which flags make readable inside.
	if strings.Contains(arg, "$(") {
		return field.Invalid(path, arg, "must not contain $(, which stands for a variable of the container: write the value itself")
	}
	flag := given{name: parts[1], value: parts[2], path: path}
	if matches(r.owned, flag.name) {
		return field.Forbidden(path, fmt.Sprintf("--%s is set by Garret: leave it out", flag.name))
	}
	judge, allowed := r.allowed[flag.name]
	if !allowed {
		return field.Invalid(path, arg, fmt.Sprintf("--%s cannot be given here; those that can: --%s",
			flag.name, strings.Join(slices.Sorted(maps.Keys(r.allowed)), ", --")))
	}
	return judge(flag)
}

func matches(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if prefix, wild := strings.CutSuffix(pattern, "*"); wild && strings.HasPrefix(name, prefix) || pattern == name {
			return true
		}
	}
	return false
}
