// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestClasses wants the host's classes to be inside, with nothing of the host's own in
// them, as they are at the time, and those of a tenant to be left alone.
func TestClasses(t *testing.T) {
	s := setUp(t)
	s.stop()
	// Other tests share both sides: the syncer of this one sees its own classes alone.
	name := "of-" + s.namespace
	own := map[string]string{"test": name}
	s.selectors = map[string]string{}
	for _, resource := range []string{tenancyv1.ResourceStorageClasses, tenancyv1.ResourceIngressClasses, tenancyv1.ResourceRuntimeClasses, tenancyv1.ResourcePriorityClasses} {
		s.selectors[resource] = "test=" + name
	}
	s.start()
	ctx := t.Context()
	meta := metav1.ObjectMeta{Name: name, Labels: own, Annotations: map[string]string{"example.org/of-the-host": "x", "storageclass.kubernetes.io/is-default-class": "false"}}
	onHost, inside := s.host.StorageV1().StorageClasses(), s.virtual.StorageV1().StorageClasses()
	_, err := inside.Create(ctx, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name + "-theirs"}, Provisioner: "example.org/theirs"}, metav1.CreateOptions{})
	s.must(err)
	for _, each := range []string{name, name + "-theirs"} {
		meta.Name = each
		_, err = onHost.Create(ctx, &storagev1.StorageClass{ObjectMeta: meta, Provisioner: "example.org/disks", AllowVolumeExpansion: ptr.To(true),
			Parameters: map[string]string{"secretName": "of-the-host"}, VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)}, metav1.CreateOptions{})
		s.must(err)
	}
	meta.Name = name
	_, err = s.host.NetworkingV1().IngressClasses().Create(ctx, &networkingv1.IngressClass{ObjectMeta: meta, Spec: networkingv1.IngressClassSpec{Controller: "example.org/controller",
		Parameters: &networkingv1.IngressClassParametersReference{Kind: "Settings", Name: "of-the-host"}}}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.host.NodeV1().RuntimeClasses().Create(ctx, &nodev1.RuntimeClass{ObjectMeta: meta, Handler: "sandbox", Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"of": "the-host"}}}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.host.SchedulingV1().PriorityClasses().Create(ctx, &schedulingv1.PriorityClass{ObjectMeta: meta, Value: 1000}, metav1.CreateOptions{})
	s.must(err)

	storageClass := func(want string) {
		t.Helper()
		framework.Eventually(t, "the storage class inside is the host's, provisioned by "+want, func(ctx context.Context) (bool, error) {
			found, err := inside.Get(ctx, name, metav1.GetOptions{})
			return err == nil && found.Provisioner == want && ptr.Deref(found.AllowVolumeExpansion, false) && *found.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer &&
				found.Annotations["storageclass.kubernetes.io/is-default-class"] == "false" &&
				len(found.Parameters) == 0 && found.Labels["test"] == "" && found.Annotations["example.org/of-the-host"] == "", nil
		})
	}
	storageClass("example.org/disks")
	// Who copies one with all its metadata has a class of their own.
	copied, err := inside.Get(ctx, name, metav1.GetOptions{})
	s.must(err)
	copied = &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name + "-copy", Labels: copied.Labels, Annotations: copied.Annotations}, Provisioner: copied.Provisioner}
	copied, err = inside.Create(ctx, copied, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "the other classes are inside, without what they name on the host", func(ctx context.Context) (bool, error) {
		ingress, err := s.virtual.NetworkingV1().IngressClasses().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		runtime, err := s.virtual.NodeV1().RuntimeClasses().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		priority, err := s.virtual.SchedulingV1().PriorityClasses().Get(ctx, name, metav1.GetOptions{})
		return err == nil && ingress.Spec.Controller == "example.org/controller" && ingress.Spec.Parameters == nil &&
			runtime.Handler == "sandbox" && runtime.Scheduling == nil && priority.Value == 1000, nil
	})

	for _, class := range []schema.GroupVersionResource{
		storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceStorageClasses), networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceIngressClasses),
		nodev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceRuntimeClasses), schedulingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePriorityClasses),
	} {
		s.shownExplained(class, name)
	}

	spec := podSpec()
	spec.PriorityClassName = name
	s.createPod("urgent", spec)
	if host := s.hostPod("urgent"); host.Spec.PriorityClassName != name || ptr.Deref(host.Spec.Priority, 0) != 1000 {
		t.Errorf("priority on the host: got %s, %v, want the class that the pod names", host.Spec.PriorityClassName, host.Spec.Priority)
	}
	spec.PriorityClassName = "system-node-critical"
	s.createPod("critical", spec)
	if host := s.hostPod("critical"); host.Spec.PriorityClassName != "" {
		t.Errorf("priority on the host: got %s, want none of Kubernetes' own", host.Spec.PriorityClassName)
	}

	// What a tenant changes is put back, and what the host changes is brought inside.
	_, err = inside.Patch(ctx, name, types.MergePatchType, []byte(`{"allowVolumeExpansion":false,"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}`), metav1.PatchOptions{})
	s.must(err)
	storageClass("example.org/disks")
	s.must(onHost.Delete(ctx, name, metav1.DeleteOptions{}))
	framework.Eventually(t, "the class is gone inside", func(ctx context.Context) (bool, error) {
		_, err := inside.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	_, err = onHost.Create(ctx, &storagev1.StorageClass{ObjectMeta: meta, Provisioner: "example.org/others", AllowVolumeExpansion: ptr.To(true), VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)}, metav1.CreateOptions{})
	s.must(err)
	storageClass("example.org/others")
	if theirs, err := inside.Get(ctx, name+"-theirs", metav1.GetOptions{}); err != nil || theirs.Provisioner != "example.org/theirs" {
		t.Errorf("the tenant's own class: got %+v and %v, want it as it was", theirs, err)
	}
	// What is off is shown no more.
	s.stop()
	s.off = append(s.off, tenancyv1.ResourceStorageClasses, tenancyv1.ResourceIngressClasses)
	s.start()
	framework.Eventually(t, "the classes of kinds that are off are gone inside", func(ctx context.Context) (bool, error) {
		_, errStorage := inside.Get(ctx, name, metav1.GetOptions{})
		_, errIngress := s.virtual.NetworkingV1().IngressClasses().Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(errStorage) && apierrors.IsNotFound(errIngress), nil
	})
	if _, err := s.virtual.SchedulingV1().PriorityClasses().Get(ctx, name, metav1.GetOptions{}); err != nil {
		t.Errorf("the class of a kind that is on: got %v, want it inside", err)
	}
	if theirs, err := inside.Get(ctx, name+"-theirs", metav1.GetOptions{}); err != nil || theirs.Provisioner != "example.org/theirs" {
		t.Errorf("the tenant's own class of a kind that is off: got %+v and %v, want it as it was", theirs, err)
	}
	if found, err := inside.Get(ctx, copied.Name, metav1.GetOptions{}); err != nil || found.UID != copied.UID {
		t.Errorf("the tenant's copy: got %+v and %v, want it as it was", found, err)
	}
	for _, each := range []string{name, name + "-theirs"} {
		s.must(onHost.Delete(context.WithoutCancel(ctx), each, metav1.DeleteOptions{}))
	}
}
