// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestMappedServices has a spec name Services of the host and of another virtual cluster. The
// controller tells what it finds, follows changes, and opens what is behind them, nothing else.
func TestMappedServices(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	ctx, prod := t.Context(), namespace(t)
	service := func(ns, name string, change func(*corev1.Service)) *corev1.Service {
		t.Helper()
		made := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}}}}
		change(made)
		made, err := shared.kube.CoreV1().Services(ns).Create(ctx, made, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	database := service(prod, "db", func(s *corev1.Service) { s.Spec.Ports = []corev1.ServicePort{{Port: 5432}} })
	service(prod, "members", func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone })
	bare := service(prod, "bare", func(s *corev1.Service) { s.Spec.Selector = nil })

	// Another virtual cluster of the namespace, whose syncer made the twin of a Service. One
	// with the marks in another namespace is anybody's.
	other, err := v.clusters().Create(ctx, &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	marks := func(id string) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.Labels = map[string]string{tenancyv1.LabelCluster: id}
			s.Annotations = map[string]string{tenancyv1.AnnotationVirtualNamespace: "shop", tenancyv1.AnnotationVirtualName: "web"}
		}
	}
	service(prod, "forged", marks(tenancyv1.ClusterID(other.UID)))
	twin := service(v.ns, "web-shop-x", marks(tenancyv1.ClusterID(other.UID)))

	from := func(ns, name string) tenancyv1.ServiceSource {
		return tenancyv1.ServiceSource{Namespace: ns, Name: name}
	}
	inOther := from("shop", "web")
	inOther.VirtualCluster = &tenancyv1.VirtualClusterName{Name: "other"}
	sources := []tenancyv1.ServiceSource{from(prod, "db"), inOther, from(prod, "members"), from(prod, "bare"), from(prod, "later"), from(v.ns, "vc-demo")}
	v.create(func(vc *tenancyv1.VirtualCluster) {
		for i, source := range sources {
			vc.Spec.Syncer.FromHost.Services.Mappings = append(vc.Spec.Syncer.FromHost.Services.Mappings,
				tenancyv1.ServiceMapping{From: source, To: tenancyv1.ServiceName{Namespace: "default", Name: fmt.Sprintf("s%d", i)}})
		}
	})
	await := func(what string, want ...string) {
		t.Helper()
		framework.Succeeds(t, what, func(ctx context.Context) error {
			vc, err := v.get(ctx)
			if err != nil {
				return err
			}
			var got []string
			for _, found := range vc.Status.Services {
				said := found.Message
				if len(found.ClusterIPs) > 0 {
					said = found.ClusterIPs[0]
				}
				got = append(got, said)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Errorf("got %q, want %q", got, want)
			}
			return nil
		})
	}
	opened := func(what string, want ...string) {
		t.Helper()
		framework.Succeeds(t, what, func(ctx context.Context) error {
			policy, err := shared.kube.NetworkingV1().NetworkPolicies(v.ns).Get(ctx, "vc-demo.workloads", metav1.GetOptions{})
			if err != nil {
				return err
			}
			var got []string
			for _, rule := range policy.Spec.Egress {
				for _, peer := range rule.To {
					if peer.NamespaceSelector != nil && peer.PodSelector != nil {
						got = append(got, openedTo(peer, rule.Ports))
					}
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Errorf("got %q, want %q", got, want)
			}
			return nil
		})
	}
	const none, headless, own = "the Service does not exist", "the Service has no address of its own", "the Service belongs to this virtual cluster"
	await("all that the spec names is told", database.Spec.ClusterIP, twin.Spec.ClusterIP, headless, bare.Spec.ClusterIP, none, own)
	toDatabase, toOther := prod+" map[app:db] 5432", v.ns+" map[app:web-shop-x] web"
	opened("what is behind Services is open", toDatabase, toOther)

	// What comes, changes and goes is followed.
	later := service(prod, "later", func(s *corev1.Service) { s.Spec.Ports = []corev1.ServicePort{{Port: 7}} })
	await("a Service that came is told", database.Spec.ClusterIP, twin.Spec.ClusterIP, headless, bare.Spec.ClusterIP, later.Spec.ClusterIP, own)
	database.Spec.Selector = map[string]string{"app": "standby"}
	if _, err := shared.kube.CoreV1().Services(prod).Update(ctx, database, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := shared.kube.CoreV1().Services(v.ns).Delete(ctx, twin.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await("a Service that went is told", database.Spec.ClusterIP, none, headless, bare.Spec.ClusterIP, later.Spec.ClusterIP, own)
	opened("what is behind Services now is open", prod+" map[app:standby] 5432", prod+" map[app:later] 7")
}

func openedTo(peer networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) string {
	text := fmt.Sprint(peer.NamespaceSelector.MatchLabels[corev1.LabelMetadataName], " ", peer.PodSelector.MatchLabels)
	for _, port := range ports {
		text += " " + port.Port.String()
	}
	return text
}
