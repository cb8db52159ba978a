// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestCustomKindFromHost shows objects of the host inside: one by its name, and all of another
// namespace. A tenant changes them, takes their names, and claims their mark.
func TestCustomKindFromHost(t *testing.T) {
	s := setUp(t)
	s.stop()
	ctx := t.Context()
	other, err := s.host.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "prod-"}}, metav1.CreateOptions{})
	s.must(err)
	s.shown = []tenancyv1.CustomMapping{
		{From: tenancyv1.CustomSource{Namespace: s.hostNamespace, Name: "main"}, To: tenancyv1.CustomTarget{Namespace: s.namespace, Name: "here"}},
		{From: tenancyv1.CustomSource{Namespace: other.Name, Name: tenancyv1.AllNames}, To: tenancyv1.CustomTarget{Namespace: s.namespace + "-all", Name: tenancyv1.AllNames}},
	}
	account := framework.User{Name: s.accountName(), Subject: rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: s.hostNamespace, Name: "vc-demo"}}
	lent := tenancyv1.ShownRules([]tenancyv1.KindFromHost{{APIVersion: "example.org/v1", Resource: "widgets", Mappings: s.shown}})
	s.plane.Grant(t, account, other.Name, lent[other.Name]...)
	s.start()

	there := func(namespace string) *subject {
		each := newSubject(t, s, &kind{GroupVersionResource: widgets, kind: "Widget"})
		each.onHost, each.inside = s.hostObjects.Resource(widgets).Namespace(namespace), s.virtualObjects.Resource(widgets).Namespace(s.namespace)
		return each
	}
	own, all := there(s.hostNamespace), there(other.Name)
	all.inside = s.virtualObjects.Resource(widgets).Namespace(s.namespace + "-all")
	await := func(each *subject, name, what string, is func(spec, status any) bool) {
		t.Helper()
		framework.Eventually(t, "widget "+name+" "+what, func(ctx context.Context) (bool, error) {
			found, err := each.inside.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return is(nil, nil), nil
			}
			return err == nil && is(found.Object["spec"], found.Object["status"]), err
		})
	}
	sized := func(size int64) func(spec, status any) bool {
		return func(spec, _ any) bool { return reflect.DeepEqual(spec, fields{"size": size, "secret": "yes"}) }
	}
	gone := func(spec, _ any) bool { return spec == nil }

	main := widgetOf("main", fields{"size": int64(1), "secret": "yes"})
	main.SetLabels(map[string]string{"team": "host"})
	main, err = own.onHost.Create(ctx, main, metav1.CreateOptions{})
	s.must(err)
	_, err = own.onHost.Create(ctx, widgetOf("unnamed", fields{"size": int64(9)}), metav1.CreateOptions{})
	s.must(err)
	await(own, "here", "is shown under another name", sized(1))
	main.Object["status"] = fields{"phase": "Ready"}
	main, err = own.onHost.UpdateStatus(ctx, main, metav1.UpdateOptions{})
	s.must(err)
	await(own, "here", "has the status", func(_, status any) bool { return reflect.DeepEqual(status, fields{"phase": "Ready"}) })
	main.Object["spec"] = fields{"size": int64(2), "secret": "yes"}
	_, err = own.onHost.Update(ctx, main, metav1.UpdateOptions{})
	s.must(err)
	await(own, "here", "is current", sized(2))

	// What a tenant changes is put back, and never reaches the host.
	found, err := own.inside.Get(ctx, "here", metav1.GetOptions{})
	s.must(err)
	if labels := found.GetLabels(); len(labels) != 1 || labels[tenancyv1.LabelMapped] == "" {
		t.Errorf("labels: got %v, want the mark alone", labels)
	}
	found.Object["spec"] = fields{"size": int64(66)}
	_, err = own.inside.Update(ctx, found, metav1.UpdateOptions{})
	s.must(err)
	await(own, "here", "is put back", sized(2))
	s.must(own.inside.Delete(ctx, "here", metav1.DeleteOptions{}))
	await(own, "here", "comes back", sized(2))
	if _, err := own.onHost.Get(ctx, s.translator.HostName(s.namespace, "here"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a twin of what is shown: got %v, want none", err)
	}
	if now, err := own.onHost.Get(ctx, "main", metav1.GetOptions{}); err != nil || !sized(2)(now.Object["spec"], nil) {
		t.Errorf("on the host: got %v and %v, want it as it was", now, err)
	}

	// All of a namespace come as soon as there is one inside, but not what stands for objects of others.
	for name, labels := range map[string]map[string]string{"first": nil, "taken": nil, "of-another": {tenancyv1.LabelCluster: "abcdef0123"}} {
		widget := widgetOf(name, fields{"size": int64(3), "secret": "yes"})
		widget.SetLabels(labels)
		_, err := all.onHost.Create(ctx, widget, metav1.CreateOptions{})
		s.must(err)
	}
	_, err = s.virtual.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-all"}}, metav1.CreateOptions{})
	s.must(err)
	await(all, "first", "is shown", sized(3))
	s.must(all.onHost.Delete(ctx, "first", metav1.DeleteOptions{}))
	await(all, "first", "goes with the host's", gone)
	s.must(all.onHost.Delete(ctx, "taken", metav1.DeleteOptions{}))
	await(all, "taken", "goes", gone)
	tenants, err := all.inside.Create(ctx, widgetOf("taken", fields{"size": int64(4)}), metav1.CreateOptions{})
	s.must(err)
	_, err = all.onHost.Create(ctx, widgetOf("taken", fields{"size": int64(3)}), metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "an Event tells the tenant", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace+"-all").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(tenants.GetUID()) + ",reason=MappedNameTaken"})
		return err == nil && len(events.Items) == 1, err
	})
	await(all, "taken", "is the tenant's", func(spec, _ any) bool { return reflect.DeepEqual(spec, fields{"size": int64(4)}) })
	if _, err := all.inside.Get(ctx, "of-another", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what stands for an object of another virtual cluster: got %v, want it not shown", err)
	}
	forged := widgetOf("forged", fields{"size": int64(5)})
	forged.SetLabels(map[string]string{tenancyv1.LabelMapped: s.translator.Cluster().ID})
	_, err = own.inside.Create(ctx, forged, metav1.CreateOptions{})
	s.must(err)
	await(own, "forged", "goes", gone)
	if list, err := own.inside.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("inside there are %d and %v, want the named one alone", len(list.Items), err)
	}

	// What nobody asks for any more goes.
	s.stop()
	s.shown = nil
	s.start()
	await(own, "here", "goes with the mapping", gone)
	await(all, "taken", "stays the tenant's", func(spec, _ any) bool { return spec != nil })
}
