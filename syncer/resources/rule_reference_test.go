// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// builtIn is a kind with a rule of Garret's own, where the host shows one Gateway.
func builtIn(t *testing.T, resource string) *ruled {
	t.Helper()
	spec := &tenancyv1.SyncerSpec{}
	for _, kind := range []*tenancyv1.KindSwitch{&spec.ToHost.BackendTLSPolicies, &spec.ToHost.Gateways, &spec.ToHost.GRPCRoutes, &spec.ToHost.HTTPRoutes,
		&spec.ToHost.TCPRoutes, &spec.ToHost.TLSRoutes, &spec.ToHost.UDPRoutes} {
		kind.Enabled = ptr.To(true)
	}
	for _, rule := range spec.Rules() {
		if rule.Resource != resource {
			continue
		}
		built, err := newFieldTree(rule.Fields)
		if err != nil {
			t.Fatal(err)
		}
		b := &builder{Config: Config{Translator: testTranslator()}, referrals: referrals{"gateways.gateway.networking.k8s.io": func(inside types.NamespacedName) (types.NamespacedName, bool) {
			return types.NamespacedName{Namespace: "infra", Name: "shared"}, inside == types.NamespacedName{Namespace: "edge", Name: "public"}
		}}}
		return &ruled{RuledKind: RuledKind{KindRule: rule}, b: b, tree: built}
	}
	t.Fatalf("no rule of %s", resource)
	return nil
}

type tree = map[string]any

func list(items ...any) []any { return items }

// TestGatewayAPI says what of routes and Gateways goes to the host, and what an attacker tries in vain.
func TestGatewayAPI(t *testing.T) {
	own := func(name string) string { return testTranslator().HostName("shop", name) }
	nowhere := func(namespace, name string) string { return testTranslator().DerivedName("barred", namespace, name) }
	there := testTranslator().Cluster().HostNamespace
	// parent is a reference that leads to a Gateway, but to no listener of it.
	parent := func(namespace, name string) tree {
		return tree{"name": testTranslator().HostName(namespace, name), "namespace": there, "sectionName": nowhere(namespace, name+"/")}
	}
	service := func(namespace, name string, port int64) tree {
		return tree{"group": "", "kind": "Service", "name": nowhere(namespace, name), "port": port}
	}
	secret := func(namespace, name string) tree {
		return tree{"group": "", "kind": "Secret", "name": nowhere(namespace, name)}
	}
	certificate := func(ref tree) tree { return tree{"listeners": list(tree{"tls": tree{"certificateRefs": list(ref)}})} }
	route := func(rule tree) tree { return tree{"rules": list(rule)} }
	backend := func(ref tree) tree { return route(tree{"backendRefs": list(ref)}) }
	for name, test := range map[string]struct {
		resource string
		spec     tree
		// want is the spec on the host; nil where the syncer refuses the object. told is a part of the Event.
		want tree
		told string
	}{
		"a route": {"httproutes", tree{"hostnames": list("shop.example.org"), "parentRefs": list(tree{"name": "web", "sectionName": "https"}),
			"rules": list(tree{"matches": list(tree{"path": tree{"value": "/"}}), "backendRefs": list(tree{"name": "shop", "port": int64(80), "weight": int64(3)}), "unknown": "stays"})},
			tree{"hostnames": list("shop.example.org"), "parentRefs": list(tree{"name": own("web"), "sectionName": "https"}),
				"rules": list(tree{"matches": list(tree{"path": tree{"value": "/"}}), "backendRefs": list(tree{"name": own("shop"), "port": int64(80), "weight": int64(3)})})}, ""},
		"its own namespace named": {"grpcroutes", backend(tree{"group": "", "kind": "Service", "name": "shop", "namespace": "shop"}),
			backend(tree{"group": "", "kind": "Service", "name": own("shop")}), ""},
		"a Gateway of the host that is shown": {"httproutes", tree{"parentRefs": list(tree{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "edge"})},
			tree{"parentRefs": list(tree{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared", "namespace": "infra"})}, ""},
		"a mirror": {"httproutes", route(tree{"filters": list(tree{"type": "RequestMirror", "requestMirror": tree{"backendRef": tree{"name": "copy", "port": int64(80)}, "percent": int64(5)}})}),
			route(tree{"filters": list(tree{"type": "RequestMirror", "requestMirror": tree{"backendRef": tree{"name": own("copy"), "port": int64(80)}, "percent": int64(5)}})}), ""},
		"a Gateway of the host by its name there": {"httproutes", tree{"parentRefs": list(tree{"name": "shared", "namespace": "infra"})}, tree{"parentRefs": list(parent("infra", "shared"))}, `spec.parentRefs[0].namespace is "infra"`},
		"a Gateway of another namespace inside":   {"httproutes", tree{"parentRefs": list(tree{"name": "web", "namespace": "other"})}, tree{"parentRefs": list(parent("other", "web"))}, "of its own namespace"},
		"a Service of another namespace inside":   {"httproutes", backend(tree{"name": "db", "namespace": "other", "port": int64(80)}), backend(service("other", "db", 80)), "spec.rules[0].backendRefs[0].namespace"},
		"a mirror to another namespace": {"httproutes", route(tree{"filters": list(tree{"requestMirror": tree{"backendRef": tree{"name": "spy", "namespace": "kube-system", "port": int64(80)}}})}),
			route(tree{"filters": list(tree{"requestMirror": tree{"backendRef": service("kube-system", "spy", 80)}})}), "requestMirror.backendRef.namespace"},
		"a Secret for a backend":            {"httproutes", backend(tree{"kind": "Secret", "name": "keys"}), backend(service("shop", "keys", 1)), "names a Secret"},
		"a backend of the controller's own": {"httproutes", backend(tree{"group": "traefik.io", "kind": "TraefikService", "name": "api@internal"}), backend(service("shop", "api@internal", 1)), `the group "traefik.io"`},
		"a Service for a parent":            {"httproutes", tree{"parentRefs": list(tree{"group": "", "kind": "Service", "name": "web"})}, nil, `the group ""`},
		"an extension":                      {"httproutes", route(tree{"filters": list(tree{"type": "ExtensionRef", "extensionRef": tree{"name": "auth"}})}), nil, "extensionRef cannot be synced"},
		"filters of one backend":            {"httproutes", backend(tree{"name": "shop", "filters": list(tree{"extensionRef": tree{"name": "x"}})}), nil, "filters cannot be synced"},
		"external authentication":           {"httproutes", route(tree{"filters": list(tree{"externalAuth": tree{"backendRef": tree{"name": "x"}}})}), nil, "externalAuth cannot be synced"},
		"a Gateway": {"gateways", tree{"gatewayClassName": "traefik", "listeners": list(tree{"name": "https", "port": int64(443), "protocol": "HTTPS", "hostname": "*.example.org",
			"tls":           tree{"mode": "Terminate", "certificateRefs": list(tree{"kind": "Secret", "name": "cert"})},
			"allowedRoutes": tree{"namespaces": tree{"from": "All"}, "kinds": list(tree{"kind": "HTTPRoute"})}})},
			tree{"gatewayClassName": "traefik", "listeners": list(tree{"name": "https", "port": int64(443), "protocol": "HTTPS", "hostname": "*.example.org",
				"tls":           tree{"mode": "Terminate", "certificateRefs": list(tree{"kind": "Secret", "name": own("cert")})},
				"allowedRoutes": tree{"kinds": list(tree{"kind": "HTTPRoute"})}})}, ""},
		"a certificate of another namespace": {"gateways", certificate(tree{"name": "cert", "namespace": "infra"}), certificate(secret("infra", "cert")), "certificateRefs[0].namespace"},
		"a certificate of another kind":      {"gateways", certificate(tree{"group": "", "kind": "ConfigMap", "name": "cert"}), certificate(secret("shop", "cert")), "names a ConfigMap"},
		"a TLSRoute": {"tlsroutes", tree{"hostnames": list("db.example.org"), "parentRefs": list(tree{"name": "web", "sectionName": "tls"}), "rules": list(tree{"backendRefs": list(tree{"name": "db", "port": int64(5432)})})},
			tree{"hostnames": list("db.example.org"), "parentRefs": list(tree{"name": own("web"), "sectionName": "tls"}), "rules": list(tree{"backendRefs": list(tree{"name": own("db"), "port": int64(5432)})})}, ""},
		"a TCPRoute":                         {"tcproutes", backend(tree{"name": "db", "port": int64(5432)}), backend(tree{"name": own("db"), "port": int64(5432)}), ""},
		"a UDPRoute to another namespace":    {"udproutes", backend(tree{"name": "dns", "namespace": "kube-system", "port": int64(53)}), backend(service("kube-system", "dns", 53)), "spec.rules[0].backendRefs[0].namespace"},
		"a TCPRoute to the controller's own": {"tcproutes", backend(tree{"group": "traefik.io", "kind": "TraefikService", "name": "api@internal"}), backend(service("shop", "api@internal", 1)), `the group "traefik.io"`},
		"a BackendTLSPolicy": {"backendtlspolicies", tree{"targetRefs": list(tree{"group": "", "kind": "Service", "name": "shop", "sectionName": "https"}),
			"validation": tree{"hostname": "shop.internal", "caCertificateRefs": list(tree{"group": "", "kind": "ConfigMap", "name": "ca"}), "later": "stays"}},
			tree{"targetRefs": list(tree{"group": "", "kind": "Service", "name": own("shop"), "sectionName": "https"}),
				"validation": tree{"hostname": "shop.internal", "caCertificateRefs": list(tree{"group": "", "kind": "ConfigMap", "name": own("ca")})}}, ""},
		"a policy about a Gateway": {"backendtlspolicies", tree{"targetRefs": list(tree{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web"})}, nil, "names the group"},
		"a policy with a Secret": {"backendtlspolicies", tree{"validation": tree{"caCertificateRefs": list(tree{"group": "", "kind": "Secret", "name": "keys"})}},
			tree{"validation": tree{"caCertificateRefs": list(tree{"group": "", "kind": "ConfigMap", "name": nowhere("shop", "keys")})}}, "names a Secret"},
		"a policy with options":  {"backendtlspolicies", tree{"options": tree{"x": "y"}}, nil, "spec.options cannot be synced"},
		"an address of the host": {"gateways", tree{"addresses": list(tree{"value": "10.0.0.1"})}, nil, "spec.addresses cannot be synced"},
		"parameters of the host": {"gateways", tree{"infrastructure": tree{"parametersRef": tree{"name": "x"}}}, nil, "spec.infrastructure cannot be synced"},
	} {
		t.Run(name, func(t *testing.T) {
			r := builtIn(t, test.resource)
			virtual := &unstructured.Unstructured{Object: tree{"metadata": tree{"name": "one", "namespace": "shop"}, "spec": test.spec}}
			host := &unstructured.Unstructured{}
			err := r.apply(virtual, host)
			if test.want != nil && (err != nil || !reflect.DeepEqual(host.Object["spec"], any(test.want))) {
				t.Errorf("got %v and %v, want %v", host.Object["spec"], err, test.want)
			}
			if err == nil {
				_, done, _ := r.translate(virtual)
				err = done.refusal()
			}
			if test.told == "" && err != nil || test.told != "" && (err == nil || !strings.Contains(err.Error(), test.told)) {
				t.Errorf("got %v and %v, want the tenant to be told %q", host.Object["spec"], err, test.told)
			}
		})
	}
}

// TestStatusOfReferences wants the names inside in a status that repeats references.
func TestStatusOfReferences(t *testing.T) {
	r := builtIn(t, "httproutes")
	virtual := &unstructured.Unstructured{Object: tree{"metadata": tree{"name": "one", "namespace": "shop"},
		"spec": tree{"parentRefs": list(tree{"name": "web"}, tree{"name": "public", "namespace": "edge"})}}}
	_, done, err := r.translate(virtual)
	if err != nil {
		t.Fatal(err)
	}
	got := done.readNames(list(tree{"parentRef": tree{"name": "web", "namespace": "team"}}, tree{"parentRef": tree{"name": "shared", "namespace": "infra"}},
		tree{"parentRef": tree{"name": "theirs", "namespace": "elsewhere"}}), "team")
	want := list(tree{"parentRef": tree{"name": "web", "namespace": "shop"}}, tree{"parentRef": tree{"name": "public", "namespace": "edge"}},
		tree{"parentRef": tree{"name": "theirs", "namespace": "elsewhere"}})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestStatusOfBarred wants the reasons of the Gateway API in a status about references that lead nowhere, and
// what the tenant wrote in place of it.
func TestStatusOfBarred(t *testing.T) {
	condition := func(kind, status, reason, message string) tree {
		return tree{"type": kind, "status": status, "reason": reason, "message": message}
	}
	for name, test := range map[string]struct {
		resource, field string
		spec            tree
		// of makes the entry of the host's status, in the names inside, of the spec on the host.
		of   func(host tree) any
		want func(entry any) string
	}{
		"a Service": {"httproutes", "parents", tree{"parentRefs": list(tree{"name": "web"}), "rules": list(tree{"backendRefs": list(tree{"name": "shop", "port": int64(80)}, tree{"name": "db", "namespace": "data", "port": int64(80)})})},
			func(tree) any {
				return tree{"parentRef": tree{"name": "web"}, "conditions": list(condition("Accepted", "True", "Accepted", ""), condition("ResolvedRefs", "False", "BackendNotFound", "x"))}
			},
			func(entry any) string {
				return summary(entry, `{"name":"web"} Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted`, "spec.rules[0].backendRefs[1].namespace")
			}},
		"a kind": {"httproutes", "parents", tree{"parentRefs": list(tree{"name": "web"}), "rules": list(tree{"backendRefs": list(tree{"group": "example.org", "kind": "Thing", "name": "x"})})},
			func(tree) any {
				return tree{"parentRef": tree{"name": "web"}, "conditions": list(condition("ResolvedRefs", "True", "ResolvedRefs", ""))}
			},
			func(entry any) string {
				return summary(entry, `{"name":"web"} ResolvedRefs=False/InvalidKind`, "example.org")
			}},
		"its own namespace named": {"httproutes", "parents", tree{"parentRefs": list(tree{"name": "web", "namespace": "shop", "sectionName": "a"}, tree{"name": "web", "sectionName": "b"})},
			func(tree) any { return tree{"parentRef": tree{"name": "web", "sectionName": "a"}} },
			func(entry any) string {
				return summary(entry, `{"name":"web","namespace":"shop","sectionName":"a"}`, "")
			}},
		"its own namespace not named": {"httproutes", "parents", tree{"parentRefs": list(tree{"name": "web", "namespace": "shop", "sectionName": "a"}, tree{"name": "web", "sectionName": "b"})},
			func(tree) any { return tree{"parentRef": tree{"name": "web", "sectionName": "b"}} },
			func(entry any) string { return summary(entry, `{"name":"web","sectionName":"b"}`, "") }},
		"a Gateway that is not there": {"httproutes", "parents", tree{"parentRefs": list(tree{"name": "web", "namespace": "edge"})},
			func(host tree) any {
				parent := host["parentRefs"].([]any)[0].(tree)
				return tree{"parentRef": tree{"name": "web", "namespace": "edge", "sectionName": parent["sectionName"]}, "conditions": list(condition("Accepted", "False", "NoMatchingParent", "x"))}
			},
			func(entry any) string {
				return summary(entry, `{"name":"web","namespace":"edge"} Accepted=False/NoMatchingParent`, "x")
			}},
		"a listener": {"gateways", "listeners", tree{"listeners": list(tree{"name": "a", "tls": tree{"certificateRefs": list(tree{"name": "cert"})}}, tree{"name": "b", "tls": tree{"certificateRefs": list(tree{"name": "cert", "namespace": "data"})}})},
			func(tree) any {
				return tree{"name": "b", "conditions": list(condition("ResolvedRefs", "False", "InvalidCertificateRef", "x"))}
			},
			func(entry any) string {
				return summary(entry, "null ResolvedRefs=False/RefNotPermitted", "listeners[1]")
			}},
		"another listener": {"gateways", "listeners", tree{"listeners": list(tree{"name": "a"}, tree{"name": "b", "tls": tree{"certificateRefs": list(tree{"name": "cert", "namespace": "data"})}})},
			func(tree) any {
				return tree{"name": "a", "conditions": list(condition("ResolvedRefs", "True", "ResolvedRefs", "x"))}
			},
			func(entry any) string { return summary(entry, "null ResolvedRefs=True/ResolvedRefs", "x") }},
	} {
		t.Run(name, func(t *testing.T) {
			r := builtIn(t, test.resource)
			virtual := &unstructured.Unstructured{Object: tree{"metadata": tree{"name": "one", "namespace": "shop"}, "spec": test.spec}}
			fields, done, err := r.translate(virtual)
			if err != nil {
				t.Fatal(err)
			}
			entry := test.of(fields["spec"].(tree))
			done.explain(virtual.Object, list(entry), test.field)
			if wrong := test.want(entry); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// summary says how an entry of a status differs from what is wanted: its parent with its conditions, and
// a part of the last one's message.
func summary(entry any, want, message string) string {
	parent, _ := json.Marshal(entry.(tree)["parentRef"])
	got, last := string(parent), ""
	for _, each := range listAt(entry, "conditions") {
		condition := each.(tree)
		got += fmt.Sprintf(" %s=%s/%s", condition["type"], condition["status"], condition["reason"])
		last = condition["message"].(string)
	}
	if got != want || !strings.Contains(last, message) {
		return fmt.Sprintf("got %s with %q, want %s with %q", got, last, want, message)
	}
	return ""
}
