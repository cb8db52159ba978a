// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"maps"
	"slices"
	"strings"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Metadata decides which labels and annotations of tenants reach the host as they are.
// Patterns are keys, which may end in * for any end.
type Metadata struct {
	// AllowedAnnotations are the administrator's, besides AnnotationsByDefault.
	AllowedAnnotations []string
	// DeniedAnnotations stay inside, whatever else allows them.
	DeniedAnnotations []string
	// AllowedLabels reach the host besides being carried under keys of their own.
	AllowedLabels []string
}

// annotationRule allows annotations of some kinds.
type annotationRule struct {
	// who reads them on the host.
	who       string
	resources []string
	keys      []string
	// secret says that the value names a Secret of the object's namespace.
	secret bool
}

// annotationRules are what travels by default: what says how an object is served, watched
// or certified. What names an object of the host, runs code or a configuration in
// a program of the host, or joins what belongs to others is not among them. Nor is what has
// a program write into the host's object, as http01-edit-in-place: the syncer would undo it.
func annotationRules() []annotationRule {
	services, ingresses, pods := []string{tenancyv1.ResourceServices}, []string{tenancyv1.ResourceIngresses}, []string{tenancyv1.ResourcePods}
	exposed := []string{tenancyv1.ResourceServices, tenancyv1.ResourceIngresses}
	return []annotationRule{
		{who: "Kubernetes", resources: ingresses, keys: []string{"kubernetes.io/ingress.class"}},
		{who: "Kubernetes", resources: services, keys: []string{"service.kubernetes.io/topology-mode"}},
		{who: "cert-manager", resources: ingresses, keys: under("cert-manager.io", "cluster-issuer", "common-name", "alt-names", "ip-sans", "uri-sans", "email-sans", "subject-*",
			"duration", "renew-before", "renew-before-percentage", "usages", "private-key-*", "revision-history-limit")},
		{who: "cert-manager", resources: ingresses, keys: append(under("acme.cert-manager.io", "http01-ingress-class", "http01-ingress-ingressclassname"), "kubernetes.io/tls-acme")},
		{who: "external-dns", resources: exposed, keys: under("external-dns.alpha.kubernetes.io", "hostname", "ttl", "ingress-hostname-source")},
		{who: "ingress-nginx", resources: ingresses, keys: under("nginx.ingress.kubernetes.io", "affinity", "affinity-mode", "app-root", "auth-realm", "auth-secret-type", "auth-type",
			"backend-protocol", "canary", "canary-*", "client-body-buffer-size", "cors-*", "custom-http-errors", "denylist-source-range", "enable-cors", "force-ssl-redirect",
			"from-to-www-redirect", "limit-*", "load-balance", "permanent-redirect", "permanent-redirect-code", "preserve-trailing-slash", "proxy-body-size", "proxy-buffer-size",
			"proxy-buffering", "proxy-buffers-number", "proxy-connect-timeout", "proxy-http-version", "proxy-max-temp-file-size", "proxy-next-upstream*", "proxy-read-timeout",
			"proxy-request-buffering", "proxy-send-timeout", "rewrite-target", "service-upstream", "session-cookie-*", "ssl-passthrough", "ssl-redirect", "temporal-redirect",
			"use-regex", "whitelist-source-range")},
		{who: "ingress-nginx", resources: ingresses, keys: under("nginx.ingress.kubernetes.io", "auth-secret"), secret: true},
		{who: "Traefik", resources: ingresses, keys: under("traefik.ingress.kubernetes.io", "router.entrypoints", "router.priority", "router.pathmatcher", "router.tls", "router.tls.certresolver", "router.tls.domains.*")},
		{who: "Traefik", resources: services, keys: under("traefik.ingress.kubernetes.io", "service.nativelb", "service.passhostheader", "service.serversscheme", "service.sticky.cookie", "service.sticky.cookie.*")},
		{who: "HAProxy", resources: exposed, keys: under("haproxy.org", "allow-list", "cookie-persistence", "cors-*", "deny-list", "load-balance", "path-rewrite", "rate-limit-*", "server-ssl", "ssl-redirect*", "timeout-*")},
		{who: "AWS", resources: ingresses, keys: under("alb.ingress.kubernetes.io", "backend-protocol", "backend-protocol-version", "healthcheck-*", "healthy-threshold-count", "inbound-cidrs",
			"ip-address-type", "listen-ports", "scheme", "ssl-redirect", "success-codes", "target-type", "unhealthy-threshold-count")},
		{who: "AWS", resources: services, keys: under("service.beta.kubernetes.io", "aws-load-balancer-backend-protocol", "aws-load-balancer-connection-*", "aws-load-balancer-cross-zone-load-balancing-enabled",
			"aws-load-balancer-healthcheck-*", "aws-load-balancer-internal", "aws-load-balancer-ip-address-type", "aws-load-balancer-nlb-target-type", "aws-load-balancer-proxy-protocol",
			"aws-load-balancer-scheme", "aws-load-balancer-type")},
		{who: "Azure", resources: services, keys: under("service.beta.kubernetes.io", "azure-load-balancer-disable-tcp-reset", "azure-load-balancer-health-probe-*", "azure-load-balancer-internal", "azure-load-balancer-tcp-idle-timeout")},
		{who: "Google", resources: services, keys: []string{"networking.gke.io/load-balancer-type", "cloud.google.com/load-balancer-type"}},
		{who: "Prometheus", resources: []string{tenancyv1.ResourcePods, tenancyv1.ResourceServices}, keys: under("prometheus.io", "path", "port", "scheme", "scrape")},
		{who: "Istio", resources: pods, keys: under("sidecar.istio.io", "inject", "proxyCPU", "proxyCPULimit", "proxyMemory", "proxyMemoryLimit", "rewriteAppHTTPProbers")},
		{who: "Linkerd", resources: pods, keys: []string{"linkerd.io/inject", "config.linkerd.io/opaque-ports"}},
	}
}

// under are keys of one domain.
func under(domain string, names ...string) []string {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = domain + "/" + name
	}
	return keys
}

// carriers are the kinds whose metadata may travel.
var carriers = []string{tenancyv1.ResourceServiceAccounts, tenancyv1.ResourcePods, tenancyv1.ResourceServices, tenancyv1.ResourceIngresses, tenancyv1.ResourceClaims}

// byDefault are the rules by kind, and the domains that somebody on the host reads.
var byDefault, readDomains = func() (map[string][]annotationRule, map[string]bool) {
	rules, domains := map[string][]annotationRule{}, map[string]bool{}
	for _, rule := range annotationRules() {
		for _, resource := range rule.resources {
			rules[resource] = append(rules[resource], rule)
		}
		for _, key := range rule.keys {
			domains[domainOf(key)] = true
		}
	}
	return rules, domains
}()

// Annotations returns the annotations of an object that the host gets. It also returns the keys
// of those that stay inside although a program of the host might read them. HostSecret returns
// the name on the host of a Secret beside the object.
func (m Metadata) Annotations(resource, namespace string, annotations map[string]string, hostSecret func(name string) string) (travel map[string]string, leftOut []string) {
	if !slices.Contains(carriers, resource) {
		return nil, nil
	}
	travel = map[string]string{}
	for key, value := range annotations {
		rule, known := ruleOf(resource, key)
		switch {
		case tenancyv1.IsOwnKey(key) || tenancyv1.MatchesKey(m.DeniedAnnotations, key) || !known && !tenancyv1.MatchesKey(m.AllowedAnnotations, key):
			if readDomains[domainOf(key)] {
				leftOut = append(leftOut, key)
			}
		case rule.secret:
			if name, own := secretIn(namespace, value); own {
				travel[key] = hostSecret(name)
			} else {
				leftOut = append(leftOut, key)
			}
		default:
			travel[key] = value
		}
	}
	slices.Sort(leftOut)
	return travel, leftOut
}

// Labels returns the labels of an object that the host gets under their own keys.
func (m Metadata) Labels(resource string, labels map[string]string) map[string]string {
	if !slices.Contains(carriers, resource) || len(m.AllowedLabels) == 0 {
		return nil
	}
	travel := maps.Clone(labels)
	maps.DeleteFunc(travel, func(key, _ string) bool {
		return tenancyv1.IsOwnKey(key) || !tenancyv1.MatchesKey(m.AllowedLabels, key)
	})
	return travel
}

// AnnotatedSecrets are the Secrets beside an object that its annotations name.
func AnnotatedSecrets(resource, namespace string, annotations map[string]string) []string {
	var names []string
	for key, value := range annotations {
		rule, known := ruleOf(resource, key)
		if name, own := secretIn(namespace, value); known && rule.secret && own {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// secretIn reads NAME or NAMESPACE/NAME, and says whether that is in the namespace.
func secretIn(namespace, value string) (string, bool) {
	name := strings.TrimPrefix(value, namespace+"/")
	return name, name != "" && !strings.Contains(name, "/")
}

func ruleOf(resource, key string) (annotationRule, bool) {
	for _, rule := range byDefault[resource] {
		if tenancyv1.MatchesKey(rule.keys, key) {
			return rule, true
		}
	}
	return annotationRule{}, false
}

func domainOf(key string) string {
	domain, _, _ := strings.Cut(key, "/")
	return domain
}
