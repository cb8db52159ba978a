// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// component is name=value, the form of a flag that k3s hands to a component. The
// name ends with neither dash nor plus: k3s takes those for an order to put the
// value before or after its own, and anonymous-auth-=true for anonymous-auth.
var component = regexp.MustCompile(`^([a-z][a-z0-9]*(?:-[a-z0-9]+)*)=(.*)$`)

// componentRules say which of a component's flags may be given: those that tune it.
// What reads or writes a file, tells it where something is, who somebody is or what
// they may do stays Garret's. As with the server's own flags, what is allowed is
// named, so that what the next Kubernetes brings is looked at first. In both lists,
// a name that ends with an asterisk stands for all that begin with the rest.
type componentRules struct {
	allowed []string
	// owned are flags that would let somebody in or lead data astray; naming them
	// gives a better message, and finds them in the middle of a list.
	owned []string
}

// tuning are the flags that all components have.
func tuning() []string {
	return []string{
		"allow-metric-labels", "contention-profiling", "disabled-metrics", "emulated-version", "feature-gates", "log-flush-frequency",
		"log-text-*", "logging-format", "min-compatibility-version", "profiling", "show-hidden-metrics-for-version", "v", "vmodule",
	}
}

func apiServerFlags() componentRules {
	return componentRules{
		allowed: append(tuning(),
			"allow-privileged", "audit-log-batch-*", "audit-log-format", "audit-log-mode", "audit-log-truncate-*", "cors-allowed-origins",
			"default-not-ready-toleration-seconds", "default-unreachable-toleration-seconds", "default-watch-cache-size",
			"delete-collection-workers", "disable-http2-serving", "emulation-forward-compatible", "enable-admission-plugins",
			"enable-garbage-collector", "enable-priority-and-fairness", "event-ttl", "goaway-chance", "http2-max-streams-per-connection",
			"lease-reuse-duration-seconds", "livez-grace-period", "max-connection-bytes-per-sec", "max-mutating-requests-inflight",
			"max-requests-inflight", "min-request-timeout", "request-timeout", "runtime-config",
			"runtime-config-emulation-forward-compatible", "service-node-port-range", "shutdown-*", "storage-initialization-timeout",
			"strict-transport-security-directives", "tls-cipher-suites", "tls-curve-preferences", "tls-min-version", "watch-cache",
			"watch-cache-sizes",
		),
		owned: []string{
			"admission-control*", "advertise-address", "aggregator-*", "anonymous-auth", "api-audiences", "audit-log-path", "audit-policy-file",
			"audit-webhook-*", "authentication-*", "authorization-*", "bind-address", "cert-dir", "client-ca-file", "debug-socket-path",
			"disable-admission-plugins", "egress-selector-config-file", "enable-aggregator-routing", "enable-bootstrap-token-auth",
			"encryption-provider-config*", "endpoint-reconciler-type", "etcd-*", "external-hostname", "kubelet-*", "oidc-*", "peer-*",
			"permit-*", "proxy-client-*", "requestheader-*", "secure-port", "service-account-*", "service-cluster-ip-range",
			"storage-backend", "tls-cert-file", "tls-private-key-file", "tls-sni-cert-key", "token-auth-file", "tracing-config-file",
		},
	}
}

func controllerManagerFlags() componentRules {
	return componentRules{
		allowed: append(tuning(),
			"concurrent-*", "controller-shutdown-timeout", "controller-start-interval", "enable-garbage-collector",
			"endpoint-updates-batch-period", "endpointslice-updates-batch-period", "horizontal-pod-autoscaler-*", "kube-api-*",
			"legacy-service-account-token-clean-up-period", "max-endpoints-per-slice", "min-resync-period", "mirroring-*",
			"namespace-sync-period", "resource-quota-sync-period", "terminated-pod-gc-threshold",
		),
		owned: []string{
			"authentication-*", "authorization-*", "bind-address", "cert-dir", "client-ca-file", "cloud-*", "cluster-signing-*",
			"controllers", "external-cloud-volume-plugin", "flex-volume-plugin-dir", "kubeconfig", "leader-*", "master", "permit-*",
			"pv-recycler-*", "requestheader-*", "root-ca-file", "secure-port", "service-account-private-key-file",
			"service-cluster-ip-range", "tls-*", "use-service-account-credentials",
		},
	}
}

// componentFlag judges a flag of a component. Its value may be a list; since a
// command line parser may split the whole at commas and take quotes off, what
// follows a comma is judged as though it might be a flag as well.
func componentFlag(rules componentRules) value {
	values := map[string]value{"v": verbosity, "vmodule": moduleVerbosity}
	return func(flag given) *field.Error {
		parts := component.FindStringSubmatch(flag.value)
		if parts == nil {
			return flag.wants("name=value, with a name of letters, digits and single dashes between them")
		}
		for _, piece := range strings.Split(flag.value, ",") {
			if name := flagIn(piece); matches(rules.owned, name) {
				return field.Forbidden(flag.path, fmt.Sprintf(
					"%s cannot be given in --%s, since who may enter and where data lies depends on it: leave it out", name, flag.name))
			}
		}
		if !matches(rules.allowed, parts[1]) {
			return field.Invalid(flag.path, "--"+flag.name+"="+flag.value, fmt.Sprintf("%s cannot be given in --%s; what can: %s",
				parts[1], flag.name, strings.Join(slices.Sorted(slices.Values(rules.allowed)), ", ")))
		}
		if judge, ok := values[parts[1]]; ok {
			return judge(given{name: flag.name + "=" + parts[1], value: parts[2], path: flag.path})
		}
		return nil
	}
}

// flagIn is the name of the flag that a piece of a list would be.
func flagIn(piece string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(piece, "- \t\"'"), "=")
	name = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
	return strings.TrimRight(name, "-+ \t\"'")
}
