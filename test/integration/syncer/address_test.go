// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package syncer

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"

	"garret.dev/garret/syncer/admission"
	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/resources"
)

// TestAddressOfADeletedService gives what a Service had to the next one at once, as an API server does
// that allocates addresses itself.
func TestAddressOfADeletedService(t *testing.T) {
	s := setUp(t)
	services := s.virtual.CoreV1().Services(s.namespace)
	allocator := &admission.Allocator{Marker: resources.Marker{Translator: s.translator}, Virtual: s.virtual, Host: s.account, Evidence: lineagetest.Certain{}}
	ofHost := informers.NewSharedInformerFactoryWithOptions(s.account, 0, informers.WithNamespace(s.hostNamespace)).Core().V1().Services().Informer()
	s.must(allocator.Follow(ofHost))
	go ofHost.RunWithContext(t.Context())
	// The webhook asks the host first.
	create := func(name string, spec corev1.ServiceSpec) *corev1.Service {
		t.Helper()
		spec.Type, spec.Selector = corev1.ServiceTypeNodePort, map[string]string{"app": name}
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: spec}
		host, err := allocator.Allocate(t.Context(), service, false)
		for apierrors.IsServerTimeout(err) && t.Context().Err() == nil { // as clients do
			host, err = allocator.Allocate(t.Context(), service, false)
		}
		s.must(err)
		service.Spec.ClusterIP, service.Spec.ClusterIPs, service.Spec.Ports[0].NodePort = host.Spec.ClusterIP, host.Spec.ClusterIPs, host.Spec.Ports[0].NodePort
		created, err := services.Create(t.Context(), service, metav1.CreateOptions{})
		s.must(err)
		return created
	}
	last := create("web-0", corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}})
	for i := 1; i <= 7; i++ {
		s.must(services.Delete(t.Context(), last.Name, metav1.DeleteOptions{}))
		asked := corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, NodePort: last.Spec.Ports[0].NodePort}}}
		if i%2 == 0 {
			asked = corev1.ServiceSpec{ClusterIP: last.Spec.ClusterIP, Ports: []corev1.ServicePort{{Port: 80}}}
		}
		next := create(fmt.Sprintf("web-%d", i), asked)
		if i%2 == 0 && next.Spec.ClusterIP != last.Spec.ClusterIP || i%2 != 0 && next.Spec.Ports[0].NodePort != last.Spec.Ports[0].NodePort {
			t.Errorf("got %+v, want what %s had", next.Spec, last.Name)
		}
		last = next
	}
	// What another one has is refused, although the one before it let go of it just now.
	_, err := allocator.Allocate(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "taken"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort,
		Ports: []corev1.ServicePort{{Port: 80, NodePort: last.Spec.Ports[0].NodePort}}}}, false)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "provided port is already allocated") {
		t.Errorf("got %v, want that the port is taken", err)
	}
}
