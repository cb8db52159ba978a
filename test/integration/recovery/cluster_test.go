// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/deployed"
)

// cluster is a virtual cluster with workloads.
type cluster struct{ *deployed.Cluster }

// space is the namespace inside that workloads are in.
const space = "shop"

// run makes a virtual cluster with a namespace for workloads inside.
func run(t *testing.T, object *v1.VirtualCluster) cluster {
	t.Helper()
	c := cluster{deployed.Run(t, host.ControlPlane, host.garret.Clients, object)}
	supervised, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go c.Supervise(supervised)
	newNamespace(t, c, space)
	return c
}

// create makes a claim, a configmap, a pod that uses both, and a service inside, all
// of one name, and waits until the host has them with the claim bound to a volume.
func (c cluster) create(t *testing.T, name string) {
	t.Helper()
	ctx, core := t.Context(), c.Client.CoreV1()
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := core.PersistentVolumeClaims(space).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: claimSpec()}, metav1.CreateOptions{})
	must(err)
	_, err = core.ConfigMaps(space).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"name": name}}, metav1.CreateOptions{})
	must(err)
	framework.Succeeds(t, "the service "+name+" is created", func(ctx context.Context) error {
		// The webhook that asks the host for its address may not be there yet.
		_, err := core.Services(space).Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Selector: meta.Labels, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
		return err
	})
	_, err = core.Pods(space).Create(ctx, &corev1.Pod{ObjectMeta: meta, Spec: podSpec(name)}, metav1.CreateOptions{})
	must(err)
	c.bind(t, name)
	framework.Eventually(t, "the pod "+name+" is on the host", func(ctx context.Context) (bool, error) {
		return c.onHost(t, "pods")[space+"/"+name] != "", nil
	})
}

func claimSpec() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}
}

func podSpec(name string) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "busybox:1", EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: ptr.To(true)}}}}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}},
	}
}

// bind plays the host's provisioner for the claim inside, and returns the volume.
func (c cluster) bind(t *testing.T, name string) string {
	t.Helper()
	volume := "pvc-" + string(uuid.NewUUID())
	framework.Succeeds(t, "the claim "+name+" is bound inside", func(ctx context.Context) error {
		for _, found := range c.claims(t) {
			if found.Annotations[v1.AnnotationVirtualName] != name || found.Status.Phase == corev1.ClaimBound {
				continue
			}
			claims := host.Client.CoreV1().PersistentVolumeClaims(c.Namespace)
			found.Spec.VolumeName = volume
			updated, err := claims.Update(ctx, &found, metav1.UpdateOptions{})
			if err != nil {
				return err
			}
			updated.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, AccessModes: updated.Spec.AccessModes,
				Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}
			if _, err := claims.UpdateStatus(ctx, updated, metav1.UpdateOptions{}); err != nil {
				return err
			}
		}
		return c.isBound(ctx, name, volume)
	})
	return volume
}

func (c cluster) isBound(ctx context.Context, name, volume string) error {
	claim, err := c.Client.CoreV1().PersistentVolumeClaims(space).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if claim.Spec.VolumeName != volume || claim.Status.Phase != corev1.ClaimBound {
		return fmt.Errorf("claim %s inside: got %q of volume %q, want Bound of %q", name, claim.Status.Phase, claim.Spec.VolumeName, volume)
	}
	return nil
}

// claims are the workloads' claims on the host.
func (c cluster) claims(t *testing.T) []corev1.PersistentVolumeClaim {
	t.Helper()
	found, err := host.Client.CoreV1().PersistentVolumeClaims(c.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: v1.LabelCluster})
	if err != nil {
		t.Fatal(err)
	}
	return found.Items
}

// onHost are the synced objects of a kind on the host that are not being deleted:
// the UID of each by namespace and name inside.
func (c cluster) onHost(t *testing.T, resource string) map[string]types.UID {
	t.Helper()
	kind, _ := v1.CataloguedKind(resource)
	items, err := metadataOf(t.Context(), host.Client, kind, c.Namespace, v1.LabelCluster)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]types.UID{}
	for _, item := range items {
		if item.Annotations[v1.AnnotationVirtualName] != "" && item.Annotations[v1.AnnotationVirtualKind] == "" && item.DeletionTimestamp == nil {
			found[item.Annotations[v1.AnnotationVirtualNamespace]+"/"+item.Annotations[v1.AnnotationVirtualName]] = item.UID
		}
	}
	return found
}

// metadataOf lists the metadata of a kind's objects in a namespace.
func metadataOf(ctx context.Context, client *kubernetes.Clientset, kind v1.SyncedKind, namespace, selector string) ([]metav1.PartialObjectMetadata, error) {
	path := "/api/" + kind.Version
	if kind.Group != "" {
		path = "/apis/" + kind.Group + "/" + kind.Version
	}
	list := &metav1.PartialObjectMetadataList{}
	err := client.CoreV1().RESTClient().Get().AbsPath(path, "namespaces", namespace, kind.Resource).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").
		Param("labelSelector", selector).Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.Resource, err)
	}
	return list.Items, nil
}

// checkpoint is the last one that the host knows.
func (c cluster) checkpoint(t *testing.T) string {
	t.Helper()
	found, err := host.Client.CoreV1().ConfigMaps(c.Namespace).Get(t.Context(), "vc-demo-lineage", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Data["checkpoint"]
}

// awaitCheckpoint waits until one follows the one of before.
func (c cluster) awaitCheckpoint(t *testing.T, before string) {
	t.Helper()
	framework.Eventually(t, "there is another checkpoint", func(context.Context) (bool, error) { return c.checkpoint(t) != before, nil })
}

// awaitCondition waits for a condition and returns its message.
func (c cluster) awaitCondition(t *testing.T, kind string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	var message string
	framework.Succeeds(t, fmt.Sprintf("condition %s is %s for %s", kind, status, reason), func(ctx context.Context) error {
		vc, err := host.garret.Clients.TenancyV1().VirtualClusters(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		found := meta.FindStatusCondition(vc.Status.Conditions, kind)
		if found == nil || found.Status != status || found.Reason != reason {
			return fmt.Errorf("got %v", found)
		}
		message = found.Message
		return nil
	})
	return message
}

// awaitNoOrphans waits until the condition about orphans is gone.
func (c cluster) awaitNoOrphans(t *testing.T) {
	t.Helper()
	framework.Eventually(t, "no orphans are reported", func(ctx context.Context) (bool, error) {
		vc, err := host.garret.Clients.TenancyV1().VirtualClusters(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
		return err == nil && meta.FindStatusCondition(vc.Status.Conditions, v1.ConditionOrphaned) == nil, nil
	})
}

// decide annotates the virtual cluster.
func (c cluster) decide(t *testing.T, decision string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1.AnnotationRecover, decision)
	_, err := host.garret.Clients.TenancyV1().VirtualClusters(c.Namespace).Patch(t.Context(), c.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
