// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/translate"
)

const hostNamespace = "team"

// host stands for the host's API server, which allots 10.0.0.1, 10.0.0.2 and so on.
func host(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	allotted := 0
	client.PrependReactor("create", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		service := create.Object.(*corev1.Service)
		if _, err := client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("services"), hostNamespace, service.Name); err == nil {
			return false, nil, nil
		}
		allotted++
		if service.Spec.ClusterIP == "" {
			service.Spec.ClusterIP = fmt.Sprintf("10.0.0.%d", allotted)
		}
		service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
		service.UID = types.UID(fmt.Sprintf("host-%d", allotted))
		for i := range service.Spec.Ports {
			if service.Spec.Type == corev1.ServiceTypeNodePort && service.Spec.Ports[i].NodePort == 0 {
				service.Spec.Ports[i].NodePort = int32(30000 + i)
			}
		}
		if slices.Contains(create.CreateOptions.DryRun, metav1.DryRunAll) {
			return true, service, nil
		}
		return false, nil, nil
	})
	client.PrependReactor("update", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
		service := action.(clienttesting.UpdateAction).GetObject().(*corev1.Service)
		if policy := service.Spec.IPFamilyPolicy; policy != nil && *policy != corev1.IPFamilyPolicySingleStack {
			service.Spec.ClusterIPs, service.Spec.IPFamilies = []string{service.Spec.ClusterIP, "fd00::9"}, []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
		}
		return false, nil, nil
	})
	return client
}

func service(name string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

// families is a Service that is stored, with one address and a policy.
func families(address string, policy corev1.IPFamilyPolicy) *corev1.Service {
	return service("web", at(address), func(s *corev1.Service) {
		s.UID, s.Spec.ClusterIPs, s.Spec.IPFamilyPolicy, s.Spec.IPFamilies = "uid-web", []string{address}, &policy, []corev1.IPFamily{corev1.IPv4Protocol}
	})
}

func of(kind corev1.ServiceType) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Type = kind }
}

func at(address string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.ClusterIP = address }
}

// twinOf is a host Service at that address, which stands for a virtual one of that UID.
func twinOf(translator *translate.Translator, virtual *corev1.Service, uid, address string) *corev1.Service {
	twin := &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "left"}, Spec: corev1.ServiceSpec{ClusterIP: address, ClusterIPs: []string{address}}}
	translator.Mark(twin, translate.Identity{NamespacedName: types.NamespacedName{Namespace: virtual.Namespace, Name: virtual.Name}, UID: types.UID(uid)}, nil, nil)
	return twin
}

func review(t *testing.T, server *Server, operation admissionv1.Operation, object, old *corev1.Service, dryRun bool) *admissionv1.AdmissionResponse {
	t.Helper()
	request := &admissionv1.AdmissionRequest{
		UID: "review", Operation: operation, Namespace: object.Namespace, Name: object.Name, DryRun: &dryRun,
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "services"},
	}
	request.Object.Raw = marshal(t, object)
	if old != nil {
		request.OldObject.Raw = marshal(t, old)
	}
	answer := httptest.NewRecorder()
	server.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, servicesPath, bytes.NewReader(marshal(t, admissionv1.AdmissionReview{Request: request}))))
	var result admissionv1.AdmissionReview
	if err := json.Unmarshal(answer.Body.Bytes(), &result); err != nil {
		t.Fatalf("answer %d %s: %v", answer.Code, answer.Body, err)
	}
	if result.Response.UID != "review" {
		t.Errorf("got UID %q, want the request's", result.Response.UID)
	}
	return result.Response
}

func marshal(t *testing.T, object any) []byte {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// writes lists what was asked of the host, other than reads and dry runs. A create
// of a name in use is among them: it is how the webhook finds out.
func writes(client *fake.Clientset) []string {
	var verbs []string
	for _, action := range client.Actions() {
		if create, ok := action.(clienttesting.CreateActionImpl); ok && len(create.CreateOptions.DryRun) > 0 {
			continue
		}
		if verb := action.GetVerb(); verb != "get" {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

func TestReviews(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	other := translate.New(translate.Cluster{ID: "two", Name: "other", HostNamespace: hostNamespace})
	web := service("web")
	stored := service("web")
	stored.UID = "uid-web"
	foreign := twinOf(other, web, "", "10.9.9.9")
	foreign.Name = translator.HostName("default", "web")

	const address = `[{"op":"add","path":"/spec/clusterIP","value":"10.0.0.1"},{"op":"add","path":"/spec/clusterIPs","value":["10.0.0.1"]}`
	for _, test := range []struct {
		name    string
		before  *corev1.Service // on the host
		inside  *corev1.Service // stored inside
		object  *corev1.Service
		old     *corev1.Service
		dryRun  bool
		patch   string
		code    int32 // of a refusal
		written []string
	}{
		{name: "ClusterIP", object: web, patch: address + "]", written: []string{"create"}},
		{name: "NodePort", object: service("web", of(corev1.ServiceTypeNodePort)), written: []string{"create"},
			patch: address + `,{"op":"add","path":"/spec/ports/0/nodePort","value":30000}]`},
		{name: "headless", object: service("web", at("None"))},
		{name: "ExternalName", object: service("web", of(corev1.ServiceTypeExternalName))},
		{name: "dry run", object: web, dryRun: true},
		{name: "dry run over something left", before: twinOf(translator, web, "uid-before", "10.9.9.9"), object: web, dryRun: true},
		{name: "tried before", before: twinOf(translator, web, "", "10.9.9.9"), object: web,
			patch: `[{"op":"add","path":"/spec/clusterIP","value":"10.9.9.9"},{"op":"add","path":"/spec/clusterIPs","value":["10.9.9.9"]}]`, written: []string{"create"}},
		{name: "tried before for another address", before: twinOf(translator, web, "", "10.9.9.9"), object: service("web", at("10.0.0.1")),
			patch: address + "]", written: []string{"create", "delete", "create"}},
		{name: "left by an earlier life", before: twinOf(translator, web, "uid-before", "10.9.9.9"), object: web,
			patch: address + "]", written: []string{"create", "delete", "create"}},
		{name: "exists", before: twinOf(translator, web, "uid-web", "10.9.9.9"), inside: stored, object: web, code: 409, written: []string{"create"}},
		{name: "another cluster's", before: foreign, object: web, code: 409, written: []string{"create"}},
		{name: "update", object: web, old: web},
		{name: "a second family", before: twinOf(translator, web, "uid-web", "10.9.9.9"), object: families("10.9.9.9", corev1.IPFamilyPolicyPreferDualStack), old: families("10.9.9.9", corev1.IPFamilyPolicySingleStack),
			patch: `[{"op":"add","path":"/spec/clusterIPs","value":["10.9.9.9","fd00::9"]},{"op":"add","path":"/spec/ipFamilies","value":["IPv4","IPv6"]}]`, written: []string{"update"}},
		{name: "a second family, of another life", before: twinOf(translator, web, "uid-before", "10.9.9.9"), object: families("10.9.9.9", corev1.IPFamilyPolicyPreferDualStack), old: families("10.9.9.9", corev1.IPFamilyPolicySingleStack)},
		{name: "a family less", before: twinOf(translator, web, "uid-web", "10.9.9.9"), object: families("10.9.9.9", corev1.IPFamilyPolicySingleStack), old: families("10.9.9.9", corev1.IPFamilyPolicyPreferDualStack)},
		{name: "as before", before: twinOf(translator, web, "uid-web", "10.9.9.9"), object: families("10.9.9.9", corev1.IPFamilyPolicyPreferDualStack), old: families("10.9.9.9", corev1.IPFamilyPolicyPreferDualStack)},
		{name: "update of an ExternalName", object: web, old: service("web", of(corev1.ServiceTypeExternalName)), patch: address + "]", written: []string{"create"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			onHost, inside := host(), fake.NewClientset()
			if test.before != nil {
				onHost = host(test.before)
			}
			if test.inside != nil {
				inside = fake.NewClientset(test.inside)
			}
			server := NewServer(nil, nil, &Allocator{Marker: resources.Marker{Translator: translator}, Virtual: inside, Host: onHost, Evidence: lineagetest.Certain{}})
			operation := admissionv1.Create
			if test.old != nil {
				operation = admissionv1.Update
			}
			response := review(t, server, operation, test.object, test.old, test.dryRun)
			if test.code == 0 != response.Allowed {
				t.Fatalf("got allowed %t: %v", response.Allowed, response.Result)
			}
			if !response.Allowed && response.Result.Code != test.code {
				t.Errorf("got code %d, want %d", response.Result.Code, test.code)
			}
			if got := string(response.Patch); got != test.patch {
				t.Errorf("got patch  %s\nwant patch %s", got, test.patch)
			}
			if got := writes(onHost); !slices.Equal(got, test.written) {
				t.Errorf("wrote %q on the host, want %q", got, test.written)
			}
		})
	}
}

func TestHostServiceHasNoUIDUntilItIsAdopted(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	onHost := host()
	virtual := service("web")
	virtual.UID = "chosen by a client"
	review(t, NewServer(nil, nil, &Allocator{Marker: resources.Marker{Translator: translator}, Virtual: fake.NewClientset(), Host: onHost, Evidence: lineagetest.Certain{}}), admissionv1.Create, virtual, nil, false)
	twin, err := onHost.CoreV1().Services(hostNamespace).Get(t.Context(), translator.HostName("default", "web"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if uid, ok := twin.Annotations[tenancyv1.AnnotationVirtualUID]; ok {
		t.Errorf("it stands for UID %q", uid)
	}
}

// TestTheHostsAnswerIsKept has the host's admission change the Service, and wants
// it to carry what the engine needs to leave it at that.
func TestTheHostsAnswerIsKept(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	onHost := host()
	onHost.PrependReactor("create", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
		action.(clienttesting.CreateAction).GetObject().(*corev1.Service).Spec.LoadBalancerSourceRanges = []string{"10.0.0.0/8"}
		return false, nil, nil
	})
	review(t, NewServer(nil, nil, &Allocator{Marker: resources.Marker{Translator: translator}, Virtual: fake.NewClientset(), Host: onHost, Evidence: lineagetest.Certain{}}), admissionv1.Create, service("web"), nil, false)
	twin, err := onHost.CoreV1().Services(hostNamespace).Get(t.Context(), translator.HostName("default", "web"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := twin.Annotations["garret.dev/answered"]; !strings.Contains(got, "spec.loadBalancerSourceRanges") || strings.Contains(got, "spec.ports") {
		t.Errorf("answers: got %q, want the field that the host changed", got)
	}
}

func TestGeneratedName(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	onHost := host()
	virtual := service("")
	virtual.GenerateName = "web-"
	response := review(t, NewServer(nil, nil, &Allocator{Marker: resources.Marker{Translator: translator}, Virtual: fake.NewClientset(), Host: onHost, Evidence: lineagetest.Certain{}}), admissionv1.Create, virtual, nil, false)
	var operations []operation
	if err := json.Unmarshal(response.Patch, &operations); err != nil {
		t.Fatalf("patch %s: %v", response.Patch, err)
	}
	name, _ := operations[0].Value.(string)
	if operations[0].Path != "/metadata/name" || !strings.HasPrefix(name, "web-") || name == "web-" {
		t.Fatalf("got %v, want a name that begins with web-", operations[0])
	}
	if _, err := onHost.CoreV1().Services(hostNamespace).Get(t.Context(), translator.HostName("default", name), metav1.GetOptions{}); err != nil {
		t.Errorf("the host's Service of that name: %v", err)
	}
}

func TestRefusalsOfTheHost(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	hostName := translator.HostName("default", "web")
	for _, test := range []struct {
		name, want string
		err        error
		code       int32
		// again is after how many seconds a client tries again by itself.
		again int32
	}{
		{"quota", "exceeded quota", apierrors.NewForbidden(corev1.Resource("services"), hostName, errors.New("exceeded quota: services=1")), 403, 0},
		{"address taken", `"web" is invalid`, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), hostName, nil), 422, 0},
		{"away", "connection refused", errors.New("connection refused"), 500, 0},
		{"not yet free", "try again", apierrors.NewServerTimeout(corev1.Resource("services"), "create", 1), 500, 1},
		{"too many requests", "try again later", apierrors.NewTooManyRequests("try again later", 3), 429, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			onHost := fake.NewClientset()
			onHost.PrependReactor("create", "services", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, test.err })
			server := NewServer(nil, nil, &Allocator{Marker: resources.Marker{Translator: translator}, Virtual: fake.NewClientset(), Host: onHost, Evidence: lineagetest.Certain{}})
			response := review(t, server, admissionv1.Create, service("web"), nil, false)
			if response.Allowed || response.Result.Code != test.code || !strings.Contains(response.Result.Message, test.want) {
				t.Errorf("got %+v, want a refusal with code %d that tells %q", response.Result, test.code, test.want)
			}
			if details := response.Result.Details; (details != nil || test.again != 0) && (details == nil || details.RetryAfterSeconds != test.again) {
				t.Errorf("got details %+v, want that a client tries again after %d seconds", details, test.again)
			}
			if strings.Contains(response.Result.Message, hostName) {
				t.Errorf("the message tells the name on the host: %s", response.Result.Message)
			}
		})
	}
}

// TestForbiddenServices wants a Service with a field that is kept from the host to
// be refused when it is written, and one that has it already to change.
func TestForbiddenServices(t *testing.T) {
	external := func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"10.0.0.7"} }
	headless := func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }
	balancer := func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.1" }
	tests := []struct {
		name      string
		operation admissionv1.Operation
		service   *corev1.Service
		old       *corev1.Service
		inside    bool
		want      string
	}{
		{"created", admissionv1.Create, service("web", external), nil, false, `services "web" is forbidden: spec.externalIPs is refused`},
		{"created without an address", admissionv1.Create, service("web", external, headless), nil, false, "spec.externalIPs is refused"},
		{"a balancer's address", admissionv1.Create, service("web", of(corev1.ServiceTypeLoadBalancer), balancer), nil, false, "spec.loadBalancerIP"},
		{"added later", admissionv1.Update, service("web", external, at("10.0.0.1")), service("web", at("10.0.0.1")), false, "spec.externalIPs is refused"},
		{"there already", admissionv1.Update, service("web", external, at("10.0.0.1")), service("web", external, at("10.0.0.1")), false, ""},
		{"an alias", admissionv1.Create, service("web", external, of(corev1.ServiceTypeExternalName)), nil, false, ""},
		{"where services stay inside", admissionv1.Create, service("web", external), nil, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := host()
			allocator := &Allocator{Marker: resources.Marker{Translator: translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})},
				Virtual: fake.NewClientset(), Host: client, Evidence: lineagetest.Certain{}, Inside: test.inside}
			response := review(t, NewServer(nil, nil, allocator), test.operation, test.service, test.old, false)
			if test.want == "" {
				if !response.Allowed {
					t.Errorf("got %s, want it allowed", response.Result.Message)
				}
				return
			}
			if response.Allowed || response.Result.Code != http.StatusForbidden || !strings.Contains(response.Result.Message, test.want) {
				t.Errorf("got %+v, want a refusal with %q", response.Result, test.want)
			}
			if did := writes(client); len(did) > 0 {
				t.Errorf("host: got %v, want nothing", did)
			}
		})
	}
}

func TestReached(t *testing.T) {
	server := NewServer(nil, nil, &Allocator{})
	select {
	case <-server.Reached():
		t.Fatal("reached before the first call")
	default:
	}
	review(t, server, admissionv1.Create, service("web", at("None")), nil, false)
	review(t, server, admissionv1.Create, service("web", at("None")), nil, false)
	select {
	case <-server.Reached():
	default:
		t.Error("not reached after a call")
	}
}

// TestOtherKinds has a tenant's own webhook call with things that look like Services.
func TestOtherKinds(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	for _, resource := range []metav1.GroupVersionResource{
		{Group: "example.org", Version: "v1", Resource: "services"},
		{Version: "v1", Resource: "pods"},
	} {
		onHost := host()
		server := NewServer(nil, nil, &Allocator{Marker: resources.Marker{Translator: translator}, Virtual: fake.NewClientset(), Host: onHost, Evidence: lineagetest.Certain{}})
		request := &admissionv1.AdmissionRequest{Operation: admissionv1.Create, Namespace: "default", Name: "web", Resource: resource}
		request.Object.Raw = marshal(t, service("web"))
		if response := reviewed(t.Context(), request, server.admit); !response.Allowed || response.Patch != nil {
			t.Errorf("%s: got %+v, want it untouched", resource, response)
		}
		if got := writes(onHost); len(got) > 0 {
			t.Errorf("%s: wrote %q on the host", resource, got)
		}
	}
}
