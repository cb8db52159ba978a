// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/activator"
	"garret.dev/garret/pkg/controller/work"
	"garret.dev/garret/pkg/dormancy"
)

// knockable is a controller with a virtual cluster that sleeps for the third time.
func knockable(t *testing.T, change func(*tenancyv1.VirtualCluster)) (*Controller, *tenancyv1.VirtualCluster) {
	clock := clocktesting.NewFakeClock(now)
	c := &Controller{Dependencies: Dependencies{Clock: clock}, memory: map[cache.ObjectName]*memory{},
		queue: work.NewQueue("test", "virtualCluster", retryFirst, retryLast, clock), watched: deployer(t, true).watched}
	vc := object(1)
	vc.Spec.Sleep.WakeOnTraffic = true
	vc.Status.ClusterID = "0123456789"
	vc.Status.Sleep = &tenancyv1.SleepStatus{Number: 3, Since: before(time.Hour), Reason: tenancyv1.SleepReasonInactive}
	if change != nil {
		change(vc)
	}
	return c, vc
}

// TestConnectionWakes has a connection end the sleep that it met, where the spec asks for that, and
// nothing else.
func TestConnectionWakes(t *testing.T) {
	for name, test := range map[string]struct {
		sleep  int64
		change func(*tenancyv1.VirtualCluster)
		want   dormancy.Decision
	}{
		"this sleep":       {3, nil, dormancy.Decision{Do: dormancy.Wake, Cause: tenancyv1.WakeCauseTraffic}},
		"an earlier sleep": {2, nil, dormancy.Decision{}},
		"nobody":           {0, nil, dormancy.Decision{}},
		"not asked for":    {3, func(vc *tenancyv1.VirtualCluster) { vc.Spec.Sleep.WakeOnTraffic = false }, dormancy.Decision{}},
		"paused since":     {3, func(vc *tenancyv1.VirtualCluster) { vc.Spec.Paused = true }, dormancy.Decision{Do: dormancy.Pause, Reason: tenancyv1.SleepReasonPaused}},
		"paused": {3, func(vc *tenancyv1.VirtualCluster) {
			vc.Spec.Paused, vc.Status.Sleep.Reason = true, tenancyv1.SleepReasonPaused
		}, dormancy.Decision{}},
		"another host": {3, func(vc *tenancyv1.VirtualCluster) { vc.Spec.HostClusterRef.Name = "unknown" }, dormancy.Decision{}},
		"awake":        {3, func(vc *tenancyv1.VirtualCluster) { vc.Status.Sleep.Since = nil }, dormancy.Decision{}},
		"after its request": {3, func(vc *tenancyv1.VirtualCluster) {
			vc.Status.WakeRequest = &tenancyv1.WakeRequest{Sleep: 3, User: "alice"}
		}, dormancy.Decision{Do: dormancy.Wake, Cause: tenancyv1.WakeCauseRequest, User: "alice"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, vc := knockable(t, test.change)
			if test.sleep > 0 {
				c.knock(types.NamespacedName{Namespace: "team", Name: "demo"}, test.sleep)
				c.knock(types.NamespacedName{Namespace: "team", Name: "other"}, 3)
			}
			if got := c.decide(vc, c.remember(cache.NewObjectName("team", "demo"))); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestGuard tells once which Services wake nothing, and why.
func TestGuard(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", Labels: map[string]string{tenancyv1.LabelCluster: "0123456789"},
		Annotations: map[string]string{tenancyv1.AnnotationVirtualName: "web"}}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.5", ClusterIPs: []string{"10.96.0.5"},
		Selector: map[string]string{tenancyv1.LabelCluster: "0123456789"}, Ports: []corev1.ServicePort{{Port: 80}}}}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "closed"}}
	c, vc := knockable(t, nil)
	events := record.NewFakeRecorder(10)
	c.Host, c.Recorder = fake.NewClientset(service, policy), events
	m := c.remember(cache.NewObjectName("team", "demo"))
	told := func() string {
		select {
		case event := <-events.Events:
			return event
		default:
			return ""
		}
	}
	guard := func() string {
		t.Helper()
		if err := c.guard(t.Context(), vc, m); err != nil {
			t.Fatal(err)
		}
		return told()
	}
	if got := guard(); !strings.Contains(got, reasonUnguarded) || !strings.Contains(got, "--pod-ips") {
		t.Errorf("without an address: got %q", got)
	}
	c.activator = activator.New(activator.Options{Host: c.Host, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Node: "node", Knock: c.knock})
	defer c.activator.Stop(t.Context())
	if got := guard(); !strings.Contains(got, "web: the NetworkPolicy closed may restrict who reaches its pods") {
		t.Errorf("under a policy: got %q", got)
	}
	if got := guard(); got != "" {
		t.Errorf("told again: %q", got)
	}
	host, err := c.watched.hosts.Get(tenancyv1.LocalHostCluster)
	if err != nil {
		t.Fatal(err)
	}
	denying := host.DeepCopy()
	denying.Spec.Sleep.DenyWakeOnTraffic = true
	if err := c.watched.hostChanges.GetStore().Update(denying); err != nil {
		t.Fatal(err)
	}
	if got := guard(); !strings.Contains(got, "spec.sleep.denyWakeOnTraffic of the HostCluster local") {
		t.Errorf("denied by the host cluster: got %q", got)
	}
	c.knock(types.NamespacedName{Namespace: "team", Name: "demo"}, 3)
	if got := c.decide(vc, m); got != (dormancy.Decision{}) {
		t.Errorf("a connection, denied by the host cluster: got %+v", got)
	}
	vc.Spec.Sleep.WakeOnTraffic = false
	if got := guard(); got != "" {
		t.Errorf("not asked for: got %q", got)
	}
}
