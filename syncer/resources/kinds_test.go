// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/isolation"
)

func TestVirtualStatus(t *testing.T) {
	tr := testTranslator()
	virtual := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: 3},
		Spec: corev1.PodSpec{ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "gate"}},
			Containers: []corev1.Container{{Name: "app"}}},
		Status: corev1.PodStatus{
			QOSClass: corev1.PodQOSBestEffort,
			Conditions: []corev1.PodCondition{
				{Type: "gate", Status: corev1.ConditionTrue},
				{Type: "own", Status: corev1.ConditionTrue},
				{Type: corev1.PodResizePending, Status: corev1.ConditionTrue},
			},
		},
	}
	hostName := tr.HostName("shop", "web")
	host := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: hostName, Generation: 9},
		Spec:       corev1.PodSpec{InitContainers: []corev1.Container{{Name: "mesh-init"}}, Containers: []corev1.Container{{Name: "mesh-proxy"}, {Name: "app"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.5", QOSClass: corev1.PodQOSBurstable, ObservedGeneration: 9,
			Message:               "pod team/" + hostName + " is well",
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "mesh-init"}},
			ContainerStatuses:     []corev1.ContainerStatus{{Name: "mesh-proxy"}, {Name: "app"}},
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, ObservedGeneration: 9},
				{Type: "gate", Status: corev1.ConditionFalse},
			},
		},
	}
	status := virtualStatus(virtual, host, containers.OwnOf(virtual, host), tr.Readable("shop", "web"), true)
	if status.Phase != corev1.PodRunning || status.PodIP != "10.0.0.5" {
		t.Errorf("got %s at %s, want what the host says", status.Phase, status.PodIP)
	}
	if len(status.InitContainerStatuses) > 0 || len(status.ContainerStatuses) != 1 || status.ContainerStatuses[0].Name != "app" {
		t.Errorf("containers: got %v and %v, want the pod's own alone", status.InitContainerStatuses, status.ContainerStatuses)
	}
	if status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("class: got %s, want the one fixed at creation", status.QOSClass)
	}
	if status.ObservedGeneration != 3 {
		t.Errorf("generation: got %d, want that inside", status.ObservedGeneration)
	}
	if behind := virtualStatus(virtual, host, containers.OwnOf(virtual, host), tr.Readable("shop", "web"), false); behind.ObservedGeneration != 0 {
		t.Errorf("generation while a change is not carried: got %d, want that of before", behind.ObservedGeneration)
	}
	if want := "pod shop/web is well"; status.Message != want {
		t.Errorf("message: got %q, want %q", status.Message, want)
	}
	got := map[corev1.PodConditionType]corev1.ConditionStatus{}
	for _, condition := range status.Conditions {
		got[condition.Type] = condition.Status
	}
	want := map[corev1.PodConditionType]corev1.ConditionStatus{corev1.PodReady: "True", "gate": "True", "own": "True"}
	if len(got) != len(want) {
		t.Errorf("conditions: got %v, want %v", got, want)
	}
	for condition, value := range want {
		if got[condition] != value {
			t.Errorf("condition %s: got %s, want %s", condition, got[condition], value)
		}
	}
	if again := virtualStatus(&corev1.Pod{ObjectMeta: virtual.ObjectMeta, Spec: virtual.Spec, Status: *status}, host, containers.OwnOf(virtual, host), tr.Readable("shop", "web"), true); len(again.Conditions) != len(status.Conditions) {
		t.Errorf("a second report differs: %v", again.Conditions)
	}
}

func TestSelect(t *testing.T) {
	tests := []struct {
		name            string
		enable, disable []string
		kind            string
		want, fails     bool
	}{
		{"default", nil, nil, tenancyv1.ResourcePods, true, false},
		{"disabled", nil, []string{"events"}, tenancyv1.ResourceEvents, false, false},
		{"enabled again", []string{"events"}, []string{"events"}, tenancyv1.ResourceEvents, true, false},
		{"a kind with a rule of its own is not synced by a flag", nil, []string{"volumesnapshots"}, "volumesnapshots", false, false},
		{"and cannot be asked for by one", []string{"volumesnapshots"}, nil, "", false, true},
		{"a kind that is off by default", nil, nil, tenancyv1.ResourceBudgets, false, false},
		{"and asked for", []string{tenancyv1.ResourceBudgets}, nil, tenancyv1.ResourceBudgets, true, false},
		{"nonsense", nil, []string{"podz"}, "", false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			selection, err := Select(test.enable, test.disable)
			if (err != nil) != test.fails {
				t.Fatalf("got error %v, want one: %v", err, test.fails)
			}
			if selection[test.kind] != test.want {
				t.Errorf("%s: got %v, want %v", test.kind, selection[test.kind], test.want)
			}
		})
	}
}

func TestHostService(t *testing.T) {
	tr := testTranslator()
	virtual := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "api", Labels: map[string]string{"l": "v"}, Annotations: map[string]string{"service.example.org/internal": "false"}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": "web"}, ExternalIPs: []string{"192.0.2.1"},
			Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := (Marker{}).CheckService(virtual); err == nil || !strings.Contains(err.Error(), "spec.externalIPs is refused") {
		t.Errorf("external addresses: got %v, want a refusal that names the field", err)
	}
	host := HostService(Marker{Translator: tr}, virtual)
	if host.Name != tr.HostName("shop", "api") || host.Namespace != "team" {
		t.Errorf("got %s/%s, want the translated name", host.Namespace, host.Name)
	}
	if len(host.Spec.ExternalIPs) != 0 || host.Annotations["service.example.org/internal"] != "" {
		t.Errorf("the tenant speaks to the host: external addresses %v, annotations %v", host.Spec.ExternalIPs, host.Annotations)
	}
	if len(host.Spec.Selector) != 3 || host.Spec.Selector["tenant.garret.dev/app"] != "web" || host.Spec.Selector["garret.dev/cluster"] != "c1" || host.Spec.Selector["garret.dev/virtual-namespace"] != "shop" {
		t.Errorf("selector: got %v, want the tenant's within cluster and namespace", host.Spec.Selector)
	}
	if identity, ours := tr.IdentityOf(host); !ours || identity.UID != "" {
		t.Errorf("identity: got %+v, want one without UID, to be adopted", identity)
	}
	of := &corev1.Service{Spec: corev1.ServiceSpec{LoadBalancerIP: "192.0.2.1"}}
	if applyService(Marker{Translator: tr}, virtual, of); of.Spec.LoadBalancerIP != "" {
		t.Errorf("the balancer's address of an earlier release stays: %s", of.Spec.LoadBalancerIP)
	}
	virtual.Spec.Selector = nil
	if host := HostService(Marker{Translator: tr}, virtual); host.Spec.Selector != nil {
		t.Errorf("selector: got %v for a service without", host.Spec.Selector)
	}
}

// TestServiceBecomesBalanced wants a class and external addresses that come later to reach the host,
// and to go again.
func TestServiceBecomesBalanced(t *testing.T) {
	ranges, err := tenancyv1.ParseAddressRanges([]string{"203.0.113.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	marker := Marker{Translator: testTranslator(), Exceptions: isolation.Exceptions{ExternalIPs: ranges}}
	virtual := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "api"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}
	host := HostService(marker, virtual)
	virtual.Spec.Type, virtual.Spec.LoadBalancerClass, virtual.Spec.ExternalIPs = corev1.ServiceTypeLoadBalancer, ptr.To("example.org/fast"), []string{"203.0.113.9"}
	if applyService(marker, virtual, host); ptr.Deref(host.Spec.LoadBalancerClass, "") != "example.org/fast" || !slices.Equal(host.Spec.ExternalIPs, virtual.Spec.ExternalIPs) {
		t.Errorf("got class %v and addresses %v, want those inside", host.Spec.LoadBalancerClass, host.Spec.ExternalIPs)
	}
	virtual.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}
	if applyService(marker, virtual, host); host.Spec.LoadBalancerClass != nil || len(host.Spec.ExternalIPs) > 0 {
		t.Errorf("got class %v and addresses %v, want neither any more", host.Spec.LoadBalancerClass, host.Spec.ExternalIPs)
	}
}
