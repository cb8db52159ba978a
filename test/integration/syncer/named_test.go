// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// TestNamedServices gives Services of a tenant further names on the host, of which one is taken.
func TestNamedServices(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.stop()
	s.named = resources.NewNamedServices()
	s.start()
	outside, inside := s.host.CoreV1().Services(s.hostNamespace), s.virtual.CoreV1().Services(s.namespace)
	name := func(names map[string]string) {
		vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.hostNamespace, Name: "demo"}}
		for to, from := range names {
			vc.Spec.Syncer.ToHost.Services.Mappings = append(vc.Spec.Syncer.ToHost.Services.Mappings,
				tenancyv1.HostServiceMapping{From: tenancyv1.ServiceName{Namespace: s.namespace, Name: from}, To: to})
		}
		s.named.Observe(vc)
	}
	await := func(name, what string, is func(*corev1.Service, error) bool) {
		t.Helper()
		framework.Eventually(t, "Service "+name+" of the host "+what, func(ctx context.Context) (bool, error) {
			return is(outside.Get(ctx, name, metav1.GetOptions{})), nil
		})
	}
	gone := func(_ *corev1.Service, err error) bool { return apierrors.IsNotFound(err) }
	leads := func(to string, port int32) func(*corev1.Service, error) bool {
		return func(service *corev1.Service, err error) bool {
			twin, missing := outside.Get(ctx, s.translator.HostName(s.namespace, to), metav1.GetOptions{})
			return err == nil && missing == nil && service.Spec.ClusterIP != twin.Spec.ClusterIP && len(service.Spec.Selector) > 0 &&
				maps.Equal(service.Spec.Selector, twin.Spec.Selector) && service.Spec.Ports[0].Port == port && service.Spec.Ports[0].NodePort == 0
		}
	}
	theirs, err := outside.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "taken"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9}}}}, metav1.CreateOptions{})
	s.must(err)
	for _, each := range []string{"web", "api"} {
		// The host's allocator of addresses is not there: the address inside is one that the host has free.
		_, err := inside.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: each}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort,
			Selector: map[string]string{"app": each}, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
		s.must(err)
	}
	name(map[string]string{"shop": "web", "taken": "api"})
	await("shop", "leads to web", leads("web", 80))
	framework.Eventually(t, "an Event tells that the name is taken", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=api,reason=HostNameTaken"})
		return err == nil && len(events.Items) == 1 && strings.Contains(events.Items[0].Message, "taken"), err
	})
	if found, err := outside.Get(ctx, "taken", metav1.GetOptions{}); err != nil || found.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("Service whose name is asked for: got %v, %v, want it untouched", found, err)
	}

	// It follows its source, another one, and the end of both.
	web, err := inside.Get(ctx, "web", metav1.GetOptions{})
	s.must(err)
	web.Spec.Ports[0].Port = 81
	_, err = inside.Update(ctx, web, metav1.UpdateOptions{})
	s.must(err)
	await("shop", "has the port of now", leads("web", 81))
	name(map[string]string{"shop": "api", "front": "web"})
	await("shop", "leads to api", leads("api", 80))
	await("front", "leads to web", leads("web", 81))
	s.must(inside.Delete(ctx, "web", metav1.DeleteOptions{}))
	await("front", "goes with its source", gone)

	// A mapping that is taken away while no syncer runs is gone, too.
	s.stop()
	s.named = resources.NewNamedServices()
	s.start()
	name(nil)
	await("shop", "goes with the mapping", gone)
	if found, err := outside.Get(ctx, "taken", metav1.GetOptions{}); err != nil || found.UID != theirs.UID {
		t.Errorf("Service whose name was asked for: got %v, %v, want it untouched", found, err)
	}
}
