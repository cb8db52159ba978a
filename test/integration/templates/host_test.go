// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	"garret.dev/garret/test/framework"
)

func TestLocalExistsByItself(t *testing.T) {
	hosts := shared.garret.Clients.TenancyV1().HostClusters()
	var first *v1.HostCluster
	there := func(ctx context.Context) (bool, error) {
		got, err := hosts.Get(ctx, v1.LocalHostCluster, metav1.GetOptions{})
		if err != nil || first != nil && got.UID == first.UID {
			return false, nil
		}
		first = got
		return true, nil
	}
	framework.Eventually(t, "local is there", there)
	if err := hosts.Delete(t.Context(), v1.LocalHostCluster, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "local is there again", there)

	other := &v1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "far"}}
	_, err := hosts.Create(t.Context(), other, metav1.CreateOptions{})
	invalid(t, err, [2]string{"metadata.name", "the only one is local, which exists by itself"})
	_, err = clusters(t).Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"},
		Spec: v1.VirtualClusterSpec{HostClusterRef: v1.HostClusterReference{Name: "far"}}}, metav1.CreateOptions{})
	invalid(t, err, [2]string{"spec.hostClusterRef.name", `supported values: "local"`})
}

// TestLimit creates more at one time than there is room for, by all ways to create.
func TestLimit(t *testing.T) {
	in := clusters(t)
	all, err := shared.garret.Clients.TenancyV1().VirtualClusters("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const room, tries = 5, 20
	setHost(t, fmt.Sprintf(`{"maxVirtualClusters":%d}`, len(all.Items)+room))
	namespace := create(t, in, "first", v1.VirtualClusterSpec{}).Namespace

	var group sync.WaitGroup
	errs := make([]error, tries)
	for i := range tries {
		group.Go(func() {
			name := fmt.Sprintf("demo-%d", i)
			if i%2 == 0 {
				_, errs[i] = in.Create(context.Background(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				return
			}
			_, errs[i] = in.Apply(context.Background(), applyv1.VirtualCluster(name, namespace), metav1.ApplyOptions{FieldManager: "test"})
		})
	}
	group.Wait()
	made := 1
	for i, err := range errs {
		switch {
		case err == nil:
			made++
		case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "have spec.maxVirtualClusters of the HostCluster raised"):
			t.Errorf("try %d: got %v, want Forbidden with a remedy", i, err)
		}
	}
	if made != room {
		t.Errorf("%d were made, want %d", made, room)
	}
	_, err = in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "dry"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if !apierrors.IsForbidden(err) {
		t.Errorf("dry run: got %v, want Forbidden", err)
	}

	// Those that are there can be changed, and what goes makes room.
	patched(t, in, "first", `{"spec":{"syncer":{"extraArgs":["--v=2"]}}}`)
	if err := in.Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	create(t, in, "second", v1.VirtualClusterSpec{})
	setHost(t, `{"maxVirtualClusters":0}`)
	patched(t, in, "second", `{"spec":{"syncer":{"extraArgs":["--v=2"]}}}`)
	setHost(t, `{"maxVirtualClusters":null}`)
	create(t, in, "third", v1.VirtualClusterSpec{})
}
