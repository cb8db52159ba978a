// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// TestMappedServices has the VirtualCluster show Services of the host inside, and a tenant
// change them, take their names, and claim their mark.
func TestMappedServices(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.stop()
	s.mapped = resources.NewMappedServices()
	s.start()
	inside := s.virtual.CoreV1().Services(s.namespace)
	address := func(name string) string {
		t.Helper()
		source, err := s.host.CoreV1().Services(s.hostNamespace).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
		s.must(err)
		return source.Spec.ClusterIP
	}
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.hostNamespace, Name: "demo"}}
	show := func(name string, addresses []string, ports ...int32) {
		t.Helper()
		source := tenancyv1.ServiceSource{Namespace: "prod", Name: name}
		mapping := tenancyv1.ServiceMapping{From: source, To: tenancyv1.ServiceName{Namespace: s.namespace, Name: name}}
		if mappings := vc.Spec.Syncer.FromHost.Services.Mappings; !slices.Contains(mappings, mapping) {
			vc.Spec.Syncer.FromHost.Services.Mappings = append(mappings, mapping)
		}
		vc.Status.Services = slices.DeleteFunc(slices.Clone(vc.Status.Services), func(f tenancyv1.FoundService) bool { return f.From == source })
		found := tenancyv1.FoundService{From: source, ClusterIPs: addresses}
		for _, port := range ports {
			found.Ports = append(found.Ports, tenancyv1.FoundServicePort{Protocol: corev1.ProtocolTCP, Port: port})
		}
		vc.Status.Services = append(vc.Status.Services, found)
		s.mapped.Observe(vc.DeepCopy())
	}
	await := func(name, what string, is func(*corev1.Service, error) bool) {
		t.Helper()
		framework.Eventually(t, "Service "+name+" "+what, func(ctx context.Context) (bool, error) {
			return is(inside.Get(ctx, name, metav1.GetOptions{})), nil
		})
	}
	has := func(address string, port int32) func(*corev1.Service, error) bool {
		return func(service *corev1.Service, err error) bool {
			return err == nil && service.Spec.ClusterIP == address && len(service.Spec.Selector) == 0 && len(service.Spec.Ports) == 1 && service.Spec.Ports[0].Port == port
		}
	}
	gone := func(_ *corev1.Service, err error) bool { return apierrors.IsNotFound(err) }

	first, second := address("first"), address("second")
	show("db", []string{first}, 80)
	await("db", "is shown", has(first, 80))
	show("db", []string{first}, 5432)
	await("db", "has the port of now", has(first, 5432))
	show("db", []string{second}, 5432)
	await("db", "has the address of now", has(second, 5432))

	// A tenant who changes it, or deletes it, gets it back.
	found, err := inside.Get(ctx, "db", metav1.GetOptions{})
	s.must(err)
	found.Spec.Selector = map[string]string{"app": "mine"}
	_, err = inside.Update(ctx, found, metav1.UpdateOptions{})
	s.must(err)
	await("db", "is put back", has(second, 5432))
	s.must(inside.Delete(ctx, "db", metav1.DeleteOptions{}))
	await("db", "comes back", has(second, 5432))

	// A tenant's own of the name stays, and says so.
	_, err = inside.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "taken"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	show("taken", []string{first}, 80)
	framework.Eventually(t, "an Event tells the tenant", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=taken,reason=MappedNameTaken"})
		return err == nil && len(events.Items) == 1 && strings.Contains(events.Items[0].Message, "prod/taken"), err
	})
	await("taken", "is the tenant's", func(service *corev1.Service, err error) bool {
		return err == nil && service.Spec.ClusterIP == corev1.ClusterIPNone
	})

	// Nobody else has the mark, which would keep a Service from the host.
	_, err = inside.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "forged", Labels: map[string]string{tenancyv1.LabelMapped: "true"}},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	await("forged", "goes", gone)

	if _, err := s.host.CoreV1().Services(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "db"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("twin of a mapped Service: got %v, want none", err)
	}
	// What is not found any more goes, and so does what is not asked for any more.
	show("other", []string{first}, 80)
	await("other", "is shown", has(first, 80))
	show("other", nil)
	await("other", "goes with its source", gone)
	vc.Spec.Syncer.FromHost.Services.Mappings = nil
	s.mapped.Observe(vc.DeepCopy())
	await("db", "goes with the mapping", gone)
}
