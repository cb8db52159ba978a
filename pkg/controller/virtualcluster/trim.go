// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// maxKept is the length of the longest label or annotation that is kept, in bytes: that of
// the longest name.
const maxKept = 253

// trim drops what nobody here reads. That is more than thrift: whoever may write in
// some namespace can give any object the label that is watched for, and fill it.
func trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return &corev1.Pod{ObjectMeta: kept(o), Spec: corev1.PodSpec{Containers: keptContainers(o.Spec.Containers)}, Status: o.Status}, nil
	case *corev1.PersistentVolumeClaim:
		return &corev1.PersistentVolumeClaim{ObjectMeta: kept(o), Status: corev1.PersistentVolumeClaimStatus{Phase: o.Status.Phase}}, nil
	case *corev1.Service:
		return &corev1.Service{ObjectMeta: kept(o), Spec: corev1.ServiceSpec{ClusterIP: o.Spec.ClusterIP}}, nil
	case *appsv1.StatefulSet:
		return &appsv1.StatefulSet{ObjectMeta: kept(o), Status: o.Status}, nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: kept(o)}, nil
	case *corev1.ServiceAccount:
		return &corev1.ServiceAccount{ObjectMeta: kept(o)}, nil
	case *rbacv1.Role:
		return &rbacv1.Role{ObjectMeta: kept(o)}, nil
	case *rbacv1.RoleBinding:
		return &rbacv1.RoleBinding{ObjectMeta: kept(o)}, nil
	}
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// kept is the part of an object's metadata that is read here.
func kept(object metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: object.GetName(), Namespace: object.GetNamespace(), UID: object.GetUID(),
		ResourceVersion: object.GetResourceVersion(), Generation: object.GetGeneration(),
		CreationTimestamp: object.GetCreationTimestamp(), DeletionTimestamp: object.GetDeletionTimestamp(),
		DeletionGracePeriodSeconds: object.GetDeletionGracePeriodSeconds(),
		Labels:                     keptOf(object.GetLabels(), tenancyv1.LabelVirtualCluster, tenancyv1.LabelCluster, tenancyv1.LabelOrphan, tenancyv1.LabelEnforce, appsv1.ControllerRevisionHashLabelKey),
		Annotations:                keptOf(object.GetAnnotations(), tenancyv1.AnnotationClusterID, tenancyv1.AnnotationVirtualName, tenancyv1.AnnotationVirtualKind, tenancyv1.AnnotationVirtualUID),
	}
}

func keptOf(values map[string]string, keys ...string) map[string]string {
	some := map[string]string{}
	for _, key := range keys {
		if value, set := values[key]; set && len(value) <= maxKept {
			some[key] = value
		}
	}
	return some
}

// keptContainers are the syncer's name and arguments: what it syncs.
func keptContainers(containers []corev1.Container) []corev1.Container {
	at := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == containerSyncer })
	if at < 0 {
		return nil
	}
	return []corev1.Container{{Name: containerSyncer, Args: containers[at].Args}}
}
