// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"maps"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/translate"
)

// gatewaySides are two sides that serve the Gateway API, with a syncer between them.
type gatewaySides struct {
	t             *testing.T
	virtual, host *dynamicfake.FakeDynamicClient
	// namespaces are those inside, services those on the host.
	namespaces, services *fake.Clientset
	b                    *builder
}

func gatewayResource(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: tenancyv1.GroupGatewayAPI, Version: "v1", Resource: resource}
}

// betweenGateways runs a syncer of routes and Gateways. The host shows the Gateway infra/shared as edge/public.
func betweenGateways(t *testing.T) gatewaySides {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{gatewayResource("gateways"): "GatewayList", gatewayResource("httproutes"): "HTTPRouteList", gatewayResource("referencegrants"): "ReferenceGrantList"}
	s := gatewaySides{t, dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds), dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds),
		fake.NewClientset(), fake.NewClientset(), nil}
	for _, name := range []string{"shop", "data", "edge"} {
		if _, err := s.namespaces.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	spec := &tenancyv1.SyncerSpec{}
	spec.ToHost.Gateways.Enabled, spec.ToHost.HTTPRoutes.Enabled = ptr.To(true), ptr.To(true)
	rules := Rules{Virtual: s.virtual, Host: s.host, Grants: gatewayResource("referencegrants"), Shown: []ShownKind{{Kind: "Gateway",
		KindFromHost: tenancyv1.KindFromHost{APIVersion: "gateway.networking.k8s.io/v1", Resource: "gateways", Mappings: []tenancyv1.CustomMapping{{
			From: tenancyv1.CustomSource{Namespace: "infra", Name: "shared"}, To: tenancyv1.CustomTarget{Namespace: "edge", Name: "public"}}}}}}}
	for _, rule := range spec.Rules() {
		rules.Kinds = append(rules.Kinds, RuledKind{KindRule: rule, Kind: map[string]string{"gateways": "Gateway", "httproutes": "HTTPRoute"}[rule.Resource]})
	}
	works := &engine.Engine{}
	recorder := &record.FakeRecorder{}
	b := &builder{engine: works, notices: newNotices(recorder), referrals: referrals{}, Config: Config{Translator: testTranslator(), Recorder: recorder, Rules: rules,
		Metrics: engine.NewMetrics(metrics.NewKubeRegistry()), Clock: clock.RealClock{}, Evidence: lineagetest.Certain{},
		Virtual: NewVirtual(s.namespaces), Host: NewHost(s.services, testTranslator().Cluster(), ShownNodes{})}}
	b.rules()
	b.byRule()
	b.shownKinds()
	if b.err != nil {
		t.Fatal(b.err)
	}
	s.b = b
	b.Host.Services.Follow()
	works.AddInformers(append(b.Virtual.Followed(), b.Host.Followed()...)...)
	ctx, cancel := context.WithCancel(t.Context())
	ready, started, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	close(ready)
	go func() {
		defer close(done)
		_ = works.Run(ctx, engine.Stages{Ready: ready, Started: func() { close(started) }, Settle: func(context.Context) error { return nil }})
	}()
	t.Cleanup(func() { cancel(); <-done })
	<-started
	return s
}

func gatewayObject(kind, namespace, name string, spec tree) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: tree{"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
		"metadata": tree{"name": name, "namespace": namespace, "uid": namespace + "-" + name}, "spec": spec}}
}

func (s gatewaySides) create(side *dynamicfake.FakeDynamicClient, resource string, object *unstructured.Unstructured) {
	s.t.Helper()
	if _, err := side.Resource(gatewayResource(resource)).Namespace(object.GetNamespace()).Create(s.t.Context(), object, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// service gives the host the Service that stands for one inside, and waits until the syncer knows it.
func (s gatewaySides) service(namespace, name string) {
	s.t.Helper()
	translator := testTranslator()
	made := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: translator.HostName(namespace, name), Namespace: translator.Cluster().HostNamespace}}
	translator.Mark(made, translate.Identity{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}, UID: "u"}, nil, nil)
	if _, err := s.services.CoreV1().Services(made.Namespace).Create(s.t.Context(), made, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(s.t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return len(s.b.Host.Services.List()) > 0, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s gatewaySides) delete(side *dynamicfake.FakeDynamicClient, resource, namespace, name string) {
	s.t.Helper()
	if err := side.Resource(gatewayResource(resource)).Namespace(namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s gatewaySides) update(resource string, object *unstructured.Unstructured) {
	s.t.Helper()
	if _, err := s.virtual.Resource(gatewayResource(resource)).Namespace(object.GetNamespace()).Update(s.t.Context(), object, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// route waits until the host's route of this name inside has such a value, or is not there for nil.
func (s gatewaySides) route(what, name, field string, want any) {
	s.t.Helper()
	var got any
	err := wait.PollUntilContextTimeout(s.t.Context(), time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		found, err := s.host.Resource(gatewayResource("httproutes")).Namespace(testTranslator().Cluster().HostNamespace).Get(ctx, testTranslator().HostName("shop", name), metav1.GetOptions{})
		if got = nil; err == nil {
			got = found.Object["spec"].(tree)[field]
		}
		return reflect.DeepEqual(got, want), nil
	})
	if err != nil {
		s.t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// reports has the host's controller say of the only parent of a route what it makes of it, and waits until
// the status inside says what is wanted, in the words of summary.
func (s gatewaySides) reports(name, condition, reason, want, message string) {
	s.t.Helper()
	wrong := "the route has no parent"
	err := wait.PollUntilContextTimeout(s.t.Context(), time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		there := s.host.Resource(gatewayResource("httproutes")).Namespace(testTranslator().Cluster().HostNamespace)
		host, err := there.Get(ctx, testTranslator().HostName("shop", name), metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		parents, _, _ := unstructured.NestedSlice(host.Object, "spec", "parentRefs")
		if len(parents) == 0 {
			return false, nil
		}
		host.Object["status"] = tree{"parents": list(tree{"parentRef": parents[0], "conditions": list(tree{"type": condition, "status": "False", "reason": reason, "message": "x"})})}
		if _, err := there.UpdateStatus(ctx, host, metav1.UpdateOptions{}); err != nil {
			return false, nil
		}
		inside, err := s.virtual.Resource(gatewayResource("httproutes")).Namespace("shop").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		if reported, _, _ := unstructured.NestedSlice(inside.Object, "status", "parents"); len(reported) == 1 {
			wrong = summary(reported[0], want, message)
		}
		return wrong == "", nil
	})
	if err != nil {
		s.t.Fatalf("status of %s: %s", name, wrong)
	}
}

// TestReferenceGrants has a grant open a Service of another namespace to a route, as long as it is there.
func TestReferenceGrants(t *testing.T) {
	s := betweenGateways(t)
	grant := func(name string, from, to tree) *unstructured.Unstructured {
		return gatewayObject("ReferenceGrant", "data", name, tree{"from": list(from), "to": list(to)})
	}
	route, service := tree{"group": tenancyv1.GroupGatewayAPI, "kind": "HTTPRoute", "namespace": "shop"}, tree{"group": "", "kind": "Service", "name": "db"}
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "one", tree{"hostnames": list("one.example"),
		"rules": list(tree{"backendRefs": list(tree{"name": "db", "namespace": "data", "port": int64(80)})})}))
	for name, wrong := range map[string][2]tree{
		"another-kind":      {{"group": tenancyv1.GroupGatewayAPI, "kind": "GRPCRoute", "namespace": "shop"}, service},
		"another-namespace": {{"group": tenancyv1.GroupGatewayAPI, "kind": "HTTPRoute", "namespace": "edge"}, service},
		"another-group":     {{"group": "example.org", "kind": "HTTPRoute", "namespace": "shop"}, service},
		"another-object":    {route, {"group": "", "kind": "Service", "name": "web"}},
		"secrets":           {route, {"group": "", "kind": "Secret"}},
	} {
		s.create(s.virtual, "referencegrants", grant(name, wrong[0], wrong[1]))
	}
	// One of another namespace than the Service's grants nothing.
	foreign := grant("foreign", route, service)
	foreign.SetNamespace("shop")
	s.create(s.virtual, "referencegrants", foreign)
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "two", tree{"hostnames": list("two.example")}))
	s.route("a route that refers to nothing", "two", "hostnames", list("two.example"))
	closed := list(tree{"backendRefs": list(tree{"group": "", "kind": "Service", "name": testTranslator().DerivedName("barred", "data", "db"), "port": int64(80)})})
	s.route("a route without a grant", "one", "rules", closed)

	s.create(s.virtual, "referencegrants", grant("right", route, service))
	cluster := testTranslator().Cluster()
	opened := list(tree{"backendRefs": list(tree{"name": testTranslator().HostName("data", "db"), "namespace": cluster.HostNamespace, "port": int64(80)})})
	s.route("a route with a grant", "one", "rules", opened)
	s.delete(s.virtual, "referencegrants", "data", "right")
	s.route("a route whose grant is gone", "one", "rules", closed)
	s.create(s.virtual, "referencegrants", grant("all", route, tree{"group": "", "kind": "Service"}))
	s.route("a route with a grant for all Services", "one", "rules", opened)
}

// TestAllowedRoutes has a Gateway of another namespace inside decide by its listeners.
func TestAllowedRoutes(t *testing.T) {
	s := betweenGateways(t)
	gateway := func(listeners ...any) *unstructured.Unstructured {
		return gatewayObject("Gateway", "edge", "web", tree{"gatewayClassName": "x", "listeners": listeners})
	}
	listener := func(name string, port int64, from tree) tree {
		return tree{"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": tree{"namespaces": from}}
	}
	all, same, labelled := tree{"from": "All"}, tree{"from": "Same"}, tree{"from": "Selector", "selector": tree{"matchLabels": tree{"public": "yes"}}}
	parents := func(more tree) tree {
		parent := tree{"name": "web", "namespace": "edge"}
		for key, value := range more {
			parent[key] = value
		}
		return tree{"parentRefs": list(parent)}
	}
	name, there := testTranslator().HostName("edge", "web"), testTranslator().Cluster().HostNamespace
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "any", parents(nil)))
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "named", parents(tree{"sectionName": "a"})))
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "numbered", parents(tree{"port": int64(81)})))
	anyOne, named, numbered := list(tree{"name": name, "namespace": there}), list(tree{"name": name, "namespace": there, "sectionName": "a"}), list(tree{"name": name, "namespace": there, "port": int64(81)})
	// Those that are not admitted name no listener that there is.
	barred := func(section string, more tree) []any {
		parent := tree{"name": name, "namespace": there, "sectionName": testTranslator().DerivedName("barred", "edge", "web/"+section)}
		maps.Copy(parent, more)
		return list(parent)
	}

	s.create(s.virtual, "gateways", gateway(listener("a", 80, all), listener("b", 81, same)))
	s.route("the listener that is named admits", "named", "parentRefs", named)
	s.route("one of two listeners admits", "any", "parentRefs", named)
	s.route("the other listener is meant", "numbered", "parentRefs", barred("", tree{"port": int64(81)}))
	s.reports("any", "Accepted", "NoMatchingListenerHostname", `{"name":"web","namespace":"edge"} Accepted=False/NoMatchingListenerHostname`, "x")
	s.reports("named", "Accepted", "NoMatchingParent", `{"name":"web","namespace":"edge","sectionName":"a"} Accepted=False/NoMatchingParent`, "x")
	s.update("gateways", gateway(listener("a", 80, same), listener("b", 81, same)))
	s.route("no listener admits", "any", "parentRefs", barred("", nil))
	s.reports("any", "Accepted", "NoMatchingParent", `{"name":"web","namespace":"edge"} Accepted=False/NotAllowedByListeners`, "listener a of Gateway edge/web does not")
	s.update("gateways", gateway(listener("a", 80, labelled), listener("b", 81, all)))
	s.reports("named", "Accepted", "NoMatchingParent", `{"name":"web","namespace":"edge","sectionName":"a"} Accepted=False/NotAllowedByListeners`, "listener a of Gateway edge/web does not")
	s.route("the other of two listeners admits", "any", "parentRefs", list(tree{"name": name, "namespace": there, "sectionName": "b"}))
	s.route("the listener wants a label that the namespace lacks", "named", "parentRefs", barred("a", nil))
	s.route("the other listener admits", "numbered", "parentRefs", numbered)
	if _, err := s.namespaces.CoreV1().Namespaces().Update(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"public": "yes"}}}, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.route("the namespace has the label", "named", "parentRefs", named)
	s.route("both listeners admit", "any", "parentRefs", anyOne)
	s.update("gateways", gateway(listener("a", 80, all), listener("b", 81, same), listener("c", 82, labelled)))
	s.route("two of three listeners admit", "any", "parentRefs", list(named[0], tree{"name": name, "namespace": there, "sectionName": "c"}))
	s.delete(s.virtual, "gateways", "edge", "web")
	s.route("the Gateway is gone", "any", "parentRefs", barred("", nil))
}

// TestListenersOfOneReference has a controller accept a route at one of the listeners that the syncer
// names for a reference that names none. Inside, the route has one parent, which is accepted.
func TestListenersOfOneReference(t *testing.T) {
	entry := func(controller, section, accepted string) tree {
		parent := tree{"name": "web", "namespace": "edge"}
		if section != "" {
			parent["sectionName"] = section
		}
		return tree{"controllerName": controller, "parentRef": parent, "conditions": list(tree{"type": "Accepted", "status": accepted})}
	}
	route := func(parent tree) any { return tree{"spec": tree{"parentRefs": list(parent)}} }
	unnamed, named := tree{"name": "web", "namespace": "edge"}, tree{"name": "web", "namespace": "edge", "sectionName": "a"}
	for what, test := range map[string]struct {
		virtual       any
		entries, want []any
	}{
		"none":                      {route(unnamed), list(), []any{}},
		"the second accepts":        {route(unnamed), list(entry("x", "a", "False"), entry("x", "b", "True"), entry("x", "c", "False")), list(entry("x", "", "True"))},
		"none accepts":              {route(unnamed), list(entry("x", "a", "False"), entry("x", "b", "Unknown")), list(entry("x", "", "False"))},
		"two controllers":           {route(unnamed), list(entry("x", "a", "False"), entry("y", "b", "True")), list(entry("x", "", "False"), entry("y", "", "True"))},
		"the route names them":      {route(named), list(entry("x", "a", "False"), entry("y", "b", "True")), list(entry("x", "a", "False"), entry("y", "b", "True"))},
		"another Gateway":           {route(tree{"name": "other", "namespace": "edge"}), list(entry("x", "a", "True")), list(entry("x", "a", "True"))},
		"a listener, not a parent":  {route(unnamed), list(tree{"name": "a"}), list(tree{"name": "a"})},
		"something without a field": {tree{}, list("x"), list("x")},
	} {
		if got := gather(test.virtual, test.entries); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, want %v", what, got, test.want)
		}
	}
}

// TestClosedToEarlierVersion has a tenant keep what the host has of his route by a change that is refused,
// and the other namespace close itself to it meanwhile.
func TestClosedToEarlierVersion(t *testing.T) {
	s := betweenGateways(t)
	from, to := tree{"group": tenancyv1.GroupGatewayAPI, "kind": "HTTPRoute", "namespace": "shop"}, tree{"group": "", "kind": "Service"}
	s.create(s.virtual, "referencegrants", gatewayObject("ReferenceGrant", "data", "all", tree{"from": list(from), "to": list(to)}))
	backend := tree{"backendRefs": list(tree{"name": "db", "namespace": "data", "port": int64(80)})}
	route := func(rules ...any) *unstructured.Unstructured {
		return gatewayObject("HTTPRoute", "shop", "one", tree{"hostnames": list("one.example"), "rules": rules})
	}
	s.service("data", "db")
	s.create(s.virtual, "httproutes", route(backend))
	opened := list(tree{"backendRefs": list(tree{"name": testTranslator().HostName("data", "db"), "namespace": testTranslator().Cluster().HostNamespace, "port": int64(80)})})
	s.route("a route with a grant", "one", "rules", opened)
	s.update("httproutes", route(tree{"filters": list(tree{"type": "ExtensionRef", "extensionRef": tree{"name": "x"}})}))
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "two", tree{"hostnames": list("two.example")}))
	s.route("a later route", "two", "hostnames", list("two.example"))
	s.route("what the host has of a change that is refused", "one", "rules", opened)
	s.delete(s.virtual, "referencegrants", "data", "all")
	s.route("a refused change whose grant is gone", "one", "rules", nil)
}

// TestSecretsOfOtherNamespaces brings the Secret of another namespace to the host only while a grant opens it.
func TestSecretsOfOtherNamespaces(t *testing.T) {
	s := betweenGateways(t)
	s.create(s.virtual, "gateways", gatewayObject("Gateway", "shop", "web", tree{"gatewayClassName": "x",
		"listeners": list(tree{"name": "https", "tls": tree{"certificateRefs": list(tree{"name": "own"}, tree{"name": "cert", "namespace": "data"})}})}))
	named := func(what, secret string, want bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			return s.b.namedByRule(tenancyv1.ResourceSecrets, secret) == want, nil
		})
		if err != nil {
			t.Fatalf("%s: %s goes to the host: got %t, want %t", what, secret, !want, want)
		}
	}
	named("without a grant", "shop/own", true)
	named("without a grant", "data/cert", false)
	from, to := tree{"group": tenancyv1.GroupGatewayAPI, "kind": "Gateway", "namespace": "shop"}, tree{"group": "", "kind": "Secret"}
	s.create(s.virtual, "referencegrants", gatewayObject("ReferenceGrant", "data", "all", tree{"from": list(from), "to": list(to)}))
	named("with a grant", "data/cert", true)
	s.delete(s.virtual, "referencegrants", "data", "all")
	named("when the grant is gone", "data/cert", false)
	named("when the grant is gone", "shop/own", true)
}

// TestShownGateway has a route follow a Gateway of the host that comes and goes.
func TestShownGateway(t *testing.T) {
	s := betweenGateways(t)
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "one", tree{"hostnames": list("one.example"), "parentRefs": list(tree{"name": "public", "namespace": "edge"})}))
	s.create(s.virtual, "httproutes", gatewayObject("HTTPRoute", "shop", "two", tree{"hostnames": list("two.example")}))
	s.route("a route that refers to nothing", "two", "hostnames", list("two.example"))
	barred := list(tree{"name": testTranslator().HostName("edge", "public"), "namespace": testTranslator().Cluster().HostNamespace, "sectionName": testTranslator().DerivedName("barred", "edge", "public/")})
	s.route("a route to a Gateway that is not there", "one", "parentRefs", barred)
	s.create(s.host, "gateways", gatewayObject("Gateway", "infra", "shared", tree{"gatewayClassName": "x"}))
	s.route("the Gateway came", "one", "parentRefs", list(tree{"name": "shared", "namespace": "infra"}))
	s.delete(s.host, "gateways", "infra", "shared")
	s.route("the Gateway went", "one", "parentRefs", barred)
}

// TestObservedGeneration wants generations of the object inside in a status, and an earlier one where the
// controller saw an earlier one.
func TestObservedGeneration(t *testing.T) {
	status := tree{"observedGeneration": int64(7), "conditions": list(tree{"type": "New", "observedGeneration": int64(7)}, tree{"type": "Old", "observedGeneration": int64(6)}, tree{"type": "None"})}
	observeInside(status, 7, 3)
	want := tree{"observedGeneration": int64(3), "conditions": list(tree{"type": "New", "observedGeneration": int64(3)}, tree{"type": "Old", "observedGeneration": int64(2)}, tree{"type": "None"})}
	if !reflect.DeepEqual(status, want) {
		t.Errorf("got %v, want %v", status, want)
	}
}

// TestNamesOfOtherNamespaces wants the names inside in a status about what lies in another namespace.
func TestNamesOfOtherNamespaces(t *testing.T) {
	r := builtIn(t, "httproutes")
	host := testTranslator().Cluster().HostNamespace
	done := &translation{translator: r.b.Translator, namespace: "shop", shown: map[types.NamespacedName]types.NamespacedName{{Namespace: host, Name: "web-x"}: {Namespace: "edge", Name: "web"}}}
	got := done.readNames(tree{"parentRef": tree{"name": "web-x", "namespace": host}}, host)
	if want := any(tree{"parentRef": tree{"name": "web", "namespace": "edge"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	done.known = func(host types.NamespacedName) (types.NamespacedName, bool) {
		return types.NamespacedName{Namespace: "edge", Name: "public"}, host == types.NamespacedName{Namespace: "infra", Name: "shared"}
	}
	got = done.readNames(tree{"ancestorRef": tree{"name": "shared", "namespace": "infra"}}, host)
	if want := any(tree{"ancestorRef": tree{"name": "public", "namespace": "edge"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("what the status alone names: got %v, want %v", got, want)
	}
}
