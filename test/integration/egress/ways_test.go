// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

const group = "target.example.org"

// target answers as a pod, as a webhook that denies, and as an API server of the group.
func target() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "reached") })
	mux.HandleFunc("/apis/"+group+"/v1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: group + "/v1"})
	})
	mux.HandleFunc("/review", func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Code: http.StatusForbidden, Message: "reached"}}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	})
	return mux
}

// way is one in which a tenant has the API server connect. It returns what the tenant
// reads: "reached" is in it if the target answered.
type way struct {
	name string
	try  func(ctx context.Context) string
}

// get is a way by a path.
func get(name, path string) way {
	return way{name, func(ctx context.Context) string {
		answer, err := shared.inside.Client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		if err != nil {
			return string(answer) + " " + err.Error()
		}
		return string(answer)
	}}
}

// hook is a way by a webhook, which is asked about ConfigMaps with a label of its name.
func hook(t *testing.T, name string, config admissionregistrationv1.WebhookClientConfig) way {
	t.Helper()
	ctx, labels := t.Context(), map[string]string{"way": name}
	authority, err := pki.ServerAuthority(shared.inside.Dir).Bundle()
	if err != nil {
		t.Fatal(err)
	}
	config.CABundle = authority
	_, err = shared.inside.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: name + ".example.org", ClientConfig: config, ObjectSelector: &metav1.LabelSelector{MatchLabels: labels},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
			SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	try := way{name, func(ctx context.Context) string {
		_, err := shared.inside.Client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "x", Labels: labels}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return "the webhook was not asked"
		}
		return err.Error()
	}}
	framework.Eventually(t, "the webhook "+name+" is in force", func(ctx context.Context) (bool, error) {
		return try.try(ctx) != "the webhook was not asked", nil
	})
	return try
}

// ways makes what each way to the target needs inside.
func ways(t *testing.T) []way {
	t.Helper()
	ctx, client := t.Context(), shared.inside.Client
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	address, port := shared.target.Addr().String(), int32(shared.target.Port())
	_, err := client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "target"}, Status: corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 1}}}}, metav1.CreateOptions{})
	must(err)
	_, err = client.CoreV1().Pods("default").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "target"},
		Spec: corev1.PodSpec{NodeName: "target", Containers: []corev1.Container{{Name: "main", Image: "none"}}}}, metav1.CreateOptions{})
	must(err)
	_, err = client.CoreV1().Pods("default").Patch(ctx, "target", types.MergePatchType,
		[]byte(fmt.Sprintf(`{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%q}]}}`, address, address)), metav1.PatchOptions{}, "status")
	must(err)
	_, err = client.CoreV1().Services("default").Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "target"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}}, metav1.CreateOptions{})
	must(err)
	_, err = client.DiscoveryV1().EndpointSlices("default").Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "target", Labels: map[string]string{discoveryv1.LabelServiceName: "target"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "target"}}},
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To(port), Protocol: ptr.To(corev1.ProtocolTCP)}}}, metav1.CreateOptions{})
	must(err)
	registry, err := aggregator.NewForConfig(shared.inside.Config)
	must(err)
	authority, err := pki.ServerAuthority(shared.inside.Dir).Bundle()
	must(err)
	_, err = registry.ApiregistrationV1().APIServices().Create(ctx, &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1." + group},
		Spec: apiregistrationv1.APIServiceSpec{Group: group, Version: "v1", GroupPriorityMinimum: 1, VersionPriority: 1, CABundle: authority,
			Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: "target"}}}, metav1.CreateOptions{})
	must(err)
	return []way{
		get("pods/proxy", fmt.Sprintf("/api/v1/namespaces/default/pods/https:target:%d/proxy/hello", port)),
		get("services/proxy", "/api/v1/namespaces/default/services/https:target:https/proxy/hello"),
		get("nodes/proxy", fmt.Sprintf("/api/v1/nodes/https:target:%d/proxy/hello", port)),
		hook(t, "by-service", admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: "default", Name: "target", Path: ptr.To("/review")}}),
		hook(t, "by-url", admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://" + shared.target.String() + "/review")}),
		{"apiservice", func(ctx context.Context) string {
			// The API server looks again when it changes, and else after a while.
			again := fmt.Sprintf(`{"metadata":{"annotations":{"again":"%d"}}}`, time.Now().UnixNano())
			service, err := registry.ApiregistrationV1().APIServices().Patch(ctx, "v1."+group, types.MergePatchType, []byte(again), metav1.PatchOptions{})
			if err != nil {
				return err.Error()
			}
			for _, condition := range service.Status.Conditions {
				if condition.Type == apiregistrationv1.Available && condition.Status == apiregistrationv1.ConditionTrue {
					return "reached"
				} else if condition.Type == apiregistrationv1.Available {
					return condition.Message
				}
			}
			return "no condition yet"
		}},
	}
}

func expect(t *testing.T, ways []way, words ...string) {
	t.Helper()
	for _, way := range ways {
		framework.SucceedsWithin(t, 40*time.Second, way.name, func(ctx context.Context) error {
			got := way.try(ctx)
			for _, word := range words {
				if !strings.Contains(got, word) {
					return errors.New(got)
				}
			}
			return nil
		})
	}
}

// TestDoors tries all ways to one address, which is nobody's, then a neighbour's, then the
// virtual cluster's own, and then nobody's again.
func TestDoors(t *testing.T) {
	ctx := t.Context()
	kubelet.NewPod(t, shared.inside, "talker")
	node, err := shared.inside.Client.CoreV1().Nodes().Get(ctx, "talker-node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	syncer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(node.Status.DaemonEndpoints.KubeletEndpoint.Port))
	stop := shared.open(t, syncer)
	all := ways(t)

	expect(t, all, "403", "in a range of the host")
	hostPod(t, "9876543210", corev1.PodRunning)
	expect(t, all, "403", "in a range of the host")
	own := hostPod(t, clusterID, corev1.PodRunning)
	expect(t, all, "reached")

	t.Run("the kubelet", func(t *testing.T) {
		inside := shared.inside.Kubectl()
		if got := inside.Do(t, "logs", "talker"); got != "first line\n" {
			t.Errorf("logs: got %q", got)
		}
		if got := inside.Do(t, "exec", "talker", "--", "echo", "hello"); got != "hello\n" {
			t.Errorf("exec: got %q", got)
		}
	})
	t.Run("loopback", func(t *testing.T) {
		_, port, _ := strings.Cut(shared.inside.Address, ":")
		for name, url := range map[string]string{
			"api-server": "https://127.0.0.1:" + port + "/review", "controller-manager": "https://127.0.0.1:10257/review", "issuer": "https://127.0.0.1:8443/review",
			"health": "https://127.0.0.1:8080/review", "other-loopback": fmt.Sprintf("https://127.0.0.2:%d/review", shared.target.Port()),
			"metadata": "https://169.254.169.254/review", "mapped": fmt.Sprintf("https://[::ffff:127.0.0.1]:%s/review", port), "unspecified": "https://0.0.0.0:" + port + "/review",
			"localhost": "https://localhost:" + port + "/review",
		} {
			expect(t, []way{hook(t, name, admissionregistrationv1.WebhookClientConfig{URL: ptr.To(url)})}, "403", "loopback, link-local or metadata", "no setting opens it")
		}
		expect(t, []way{hook(t, "decimal", admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://2130706433:" + port + "/review")})}, "403", "usual form")
		// That of the syncer is on loopback, too.
		expect(t, []way{hook(t, "syncer", admissionregistrationv1.WebhookClientConfig{URL: ptr.To(fmt.Sprintf("https://127.0.0.1:%d/review", shared.target.Port()))})}, "reached")
	})

	// The API server finds the doors again, once there are any.
	stop()
	expect(t, all[:1], "cluster.sock")
	stop = shared.open(t, syncer)
	expect(t, all, "reached")

	// The address of a pod that has ended may be anybody's.
	own.Status.Phase = corev1.PodSucceeded
	if _, err := shared.host.Client.CoreV1().Pods(hostNamespace).UpdateStatus(ctx, own, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	stop()
	defer shared.open(t, syncer)()
	expect(t, all, "403", "in a range of the host")
}

// hostPod makes a pod on the host that has the target's address.
func hostPod(t *testing.T, id string, phase corev1.PodPhase) *corev1.Pod {
	t.Helper()
	ctx, pods := t.Context(), shared.host.Client.CoreV1().Pods(hostNamespace)
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "target-", Labels: map[string]string{tenancyv1.LabelCluster: id}, Annotations: map[string]string{tenancyv1.AnnotationVirtualName: "target"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase, pod.Status.PodIP = phase, shared.target.Addr().String()
	pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	if pod, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return pod
}
