// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/pkg/quota"
	"garret.dev/garret/test/framework"
)

// bounded is a new namespace with a quota, once the quota is counted.
func bounded(t *testing.T, hard map[corev1.ResourceName]string) (tenancyv1.VirtualClusterInterface, string) {
	t.Helper()
	namespace := shared.host.NewNamespace(t, "quota-")
	bound(t, namespace, hard)
	return shared.garret.Clients.TenancyV1().VirtualClusters(namespace), namespace
}

// bound makes the quota of a namespace. That it is counted is known to the server
// when a dry run is judged by it.
func bound(t *testing.T, namespace string, hard map[corev1.ResourceName]string) {
	t.Helper()
	limits := corev1.ResourceList{}
	for name, quantity := range hard {
		limits[name] = resource.MustParse(quantity)
	}
	_, err := shared.host.Client.CoreV1().ResourceQuotas(namespace).Create(t.Context(),
		&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "team"}, Spec: corev1.ResourceQuotaSpec{Hard: limits}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in := shared.garret.Clients.TenancyV1().VirtualClusters(namespace)
	huge := sized("huge", "1000", "1000Gi")
	huge.Spec.ControlPlane.Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1000"), "memory": resource.MustParse("1000Gi")}}
	huge.Spec.Helm.Values = &runtime.RawExtension{Raw: []byte(`{"syncer":{"resources":{"limits":{"cpu":"1","memory":"1Gi"}}}}`)}
	framework.Eventually(t, "the quota is enforced", func(ctx context.Context) (bool, error) {
		_, err := in.Create(ctx, huge, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"), nil
	})
}

// sized is a virtual cluster of which the control plane requests a CPU, so many or
// a part of it, and a volume. The syncer requests 5m beside it.
func sized(name, cpu, storage string) *v1.VirtualCluster {
	size := resource.MustParse(storage)
	vc := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	vc.Spec.ControlPlane.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse("256Mi")}
	vc.Spec.ControlPlane.Storage.Size = &size
	return vc
}

// exceeded wants a write refused by the quota, with the names of what is too much.
func exceeded(t *testing.T, what string, err error, names ...corev1.ResourceName) {
	t.Helper()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: team") {
		t.Fatalf("%s: got %v, want that the quota is exceeded", what, err)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), string(name)+"=") {
			t.Errorf("%s: %v does not name %s", what, err, name)
		}
	}
}

// untilUsed waits for what the status of the quota says.
func untilUsed(t *testing.T, namespace string, want map[corev1.ResourceName]string) {
	t.Helper()
	var got corev1.ResourceList
	err := framework.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		found, err := shared.host.Client.CoreV1().ResourceQuotas(namespace).Get(ctx, "team", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		got = found.Status.Used
		for name, quantity := range want {
			if used, known := got[name]; !known || used.Cmp(resource.MustParse(quantity)) != 0 {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatalf("used: got %v, want %v: %v", got, want, err)
	}
}

// TestQuota has the controllers run once for quotas of several namespaces.
func TestQuota(t *testing.T) {
	runControllers(t)
	for name, test := range map[string]func(*testing.T){
		"bounds what is asked for": boundsWhatIsAskedFor, "bounds limits": boundsLimits, "holds under concurrent writes": holdsUnderConcurrentWrites,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func boundsWhatIsAskedFor(t *testing.T) {
	in, namespace := bounded(t, map[corev1.ResourceName]string{quota.RequestsStorage: "10Gi", quota.RequestsCPU: "1k", "pods": "7"})
	add := func(vc *v1.VirtualCluster, options metav1.CreateOptions) error {
		_, err := in.Create(t.Context(), vc, options)
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(add(sized("one", "395m", "4Gi"), metav1.CreateOptions{}))
	must(add(sized("dry", "395m", "4Gi"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}))
	must(add(sized("two", "395m", "4Gi"), metav1.CreateOptions{}))
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.RequestsStorage: "8Gi", quota.RequestsCPU: "800", "pods": "0"})

	exceeded(t, "storage", add(sized("three", "100m", "3Gi"), metav1.CreateOptions{}), quota.RequestsStorage)
	exceeded(t, "cpu", add(sized("three", "200m", "1Gi"), metav1.CreateOptions{}), quota.RequestsCPU)
	exceeded(t, "both", add(sized("three", "1", "5Gi"), metav1.CreateOptions{}), quota.RequestsCPU, quota.RequestsStorage)

	cpu := func(cpu string) error {
		_, err := in.Patch(t.Context(), "two", types.MergePatchType,
			[]byte(`{"spec":{"controlPlane":{"resources":{"requests":{"cpu":"`+cpu+`"}}}}}`), metav1.PatchOptions{})
		return err
	}
	exceeded(t, "an update", cpu("600m"), quota.RequestsCPU)
	must(cpu("500m"))
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.RequestsCPU: "905"})
	must(cpu("80m"))
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.RequestsCPU: "485"})
	must(in.Delete(t.Context(), "one", metav1.DeleteOptions{}))
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.RequestsStorage: "4Gi", quota.RequestsCPU: "85"})
	room(t, in, sized("three", "910m", "6Gi"))
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.RequestsStorage: "10Gi", quota.RequestsCPU: "1k", "pods": "0"})

	// The limits change, the host counts anew what is its own, and leaves ours as it was.
	_, err := shared.host.Client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, metav1.CreateOptions{})
	must(err)
	_, err = shared.host.Client.CoreV1().ResourceQuotas(namespace).Patch(t.Context(), "team", types.MergePatchType,
		[]byte(`{"spec":{"hard":{"secrets":"9","`+string(quota.RequestsMemory)+`":"1Gi"}}}`), metav1.PatchOptions{})
	must(err)
	untilUsed(t, namespace, map[corev1.ResourceName]string{
		quota.RequestsStorage: "10Gi", quota.RequestsCPU: "1k", quota.RequestsMemory: "608Mi", "secrets": "1"})
	described := shared.host.Kubectl().Do(t, "describe", "resourcequota", "team", "-n", namespace)
	if !strings.Contains(strings.Join(strings.Fields(described), " "), string(quota.RequestsStorage)+" 10Gi 10Gi") {
		t.Errorf("got:\n%s\nwant used and hard 10Gi of %s", described, quota.RequestsStorage)
	}
}

// A container without a limit counts with the default one, and what was there before the
// quota can still be changed, and go.
func boundsLimits(t *testing.T) {
	namespace := shared.host.NewNamespace(t, "quota-")
	in := shared.garret.Clients.TenancyV1().VirtualClusters(namespace)
	before := sized("before", "100m", "1Gi")
	before.Finalizers = []string{"example.com/held"}
	if _, err := in.Create(t.Context(), before, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bound(t, namespace, map[corev1.ResourceName]string{quota.LimitsMemory: "4Gi", quota.RequestsStorage: "20Gi"})
	if _, err := in.Create(t.Context(), sized("after", "100m", "1Gi"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) ||
		!strings.Contains(err.Error(), "requested: tenancy.garret.dev/limits.memory=2560Mi") {
		t.Errorf("without limits: got %v, want that the default ones are too much", err)
	}
	limited := func(memory string) string {
		return `{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"after","namespace":"` + namespace + `"},"spec":{
			"controlPlane":{"resources":{"limits":{"memory":"` + memory + `"}}},"helm":{"values":{"syncer":{"resources":{"limits":{"memory":"128Mi"}}}}}}}`
	}
	shared.host.Kubectl().Input(limited("2Gi")).Refused(t, "limited: tenancy.garret.dev/limits.memory=4Gi", "create", "-f", "-")
	shared.host.Kubectl().Apply(t, limited("1Gi"))
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.LimitsMemory: "3712Mi", quota.RequestsStorage: "6Gi"})

	patched(t, in, "before", `{"metadata":{"labels":{"a":"b"}}}`)
	if err := in.Delete(t.Context(), "before", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	patched(t, in, "before", `{"metadata":{"finalizers":null}}`)
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.LimitsMemory: "1152Mi", quota.RequestsStorage: "5Gi"})
}

// room creates what there is room for: the server learns of it a little after the quota tells.
func room(t *testing.T, in tenancyv1.VirtualClusterInterface, object *v1.VirtualCluster) {
	t.Helper()
	framework.Eventually(t, "there is room for "+object.Name, func(ctx context.Context) (bool, error) {
		_, err := in.Create(ctx, object, metav1.CreateOptions{})
		if apierrors.IsForbidden(err) || apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// Many create at once, twice as many as there is room for, while others are deleted:
// never is more let in than the limit, and what is used ends up as what there is.
func holdsUnderConcurrentWrites(t *testing.T) {
	in, namespace := bounded(t, map[corev1.ResourceName]string{quota.RequestsStorage: "10Gi"})
	for i := range 4 {
		if _, err := in.Create(t.Context(), sized(fmt.Sprintf("old-%d", i), "100m", "1Gi"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, err := in.Create(t.Context(), sized(fmt.Sprintf("new-%d", i), "100m", "1Gi"), metav1.CreateOptions{})
			if err != nil && !apierrors.IsForbidden(err) && !apierrors.IsConflict(err) {
				t.Error(err)
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			if err := in.Delete(t.Context(), fmt.Sprintf("old-%d", i), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	there, err := in.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(there.Items); got < 6 || got > 10 {
		t.Errorf("got %d virtual clusters of 1Gi, want no more than 10, and room used", got)
	}
	untilUsed(t, namespace, map[corev1.ResourceName]string{quota.RequestsStorage: fmt.Sprintf("%dGi", len(there.Items))})
	// What was refused to one that came too early is there for the next.
	for i := len(there.Items); i < 10; i++ {
		room(t, in, sized(fmt.Sprintf("later-%d", i), "100m", "1Gi"))
	}
	_, err = in.Create(t.Context(), sized("eleventh", "100m", "1Gi"), metav1.CreateOptions{})
	exceeded(t, "the eleventh", err, quota.RequestsStorage)
}
