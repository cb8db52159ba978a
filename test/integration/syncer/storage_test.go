// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const driver = "disks.example.org"

// storing has a syncer run that carries volumes and classes, as far as some are allowed.
func storing(t *testing.T) *side {
	t.Helper()
	s := setUp(t)
	s.stop()
	s.storage = &tenancyv1.AllowedStorage{
		CSI:            []tenancyv1.AllowedCSI{{Driver: driver, VolumeHandles: []string{"team-a-*"}}},
		StorageClasses: []tenancyv1.AllowedStorageClass{{Provisioner: driver, Parameters: []tenancyv1.AllowedValues{{Name: "tier", Values: []string{"fast"}}}}},
	}
	s.start()
	return s
}

// volume creates one inside, and has it deleted at the end.
func (s *side) volume(name, handle string, change func(*corev1.PersistentVolumeSpec)) *corev1.PersistentVolume {
	s.t.Helper()
	spec := corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName: s.namespace, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle}},
	}
	if change != nil {
		change(&spec)
	}
	created, err := s.virtual.CoreV1().PersistentVolumes().Create(s.t.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-" + name}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() { s.forget(created.Name) })
	return created
}

// forget takes a volume away inside, whatever holds it.
func (s *side) forget(name string) {
	s.t.Helper()
	ctx, volumes := context.Background(), s.virtual.CoreV1().PersistentVolumes()
	if err := volumes.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		s.t.Error(err)
	}
	_, err := volumes.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		s.t.Error(err)
	}
}

// class creates one inside, and has it deleted at the end.
func (s *side) class(name string, change func(*storagev1.StorageClass)) *storagev1.StorageClass {
	s.t.Helper()
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-" + name, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: driver, Parameters: map[string]string{"tier": "fast"}}
	if change != nil {
		change(class)
	}
	created, err := s.virtual.StorageV1().StorageClasses().Create(s.t.Context(), class, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		_ = s.virtual.StorageV1().StorageClasses().Delete(context.Background(), created.Name, metav1.DeleteOptions{})
	})
	return created
}

// classed creates a claim inside of the class.
func (s *side) classed(name, class string) *corev1.PersistentVolumeClaim {
	s.t.Helper()
	created, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(s.t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}, metav1.CreateOptions{})
	s.must(err)
	return created
}

// awaitPhase waits for what is said of a volume inside.
func (s *side) awaitPhase(name string, phase corev1.PersistentVolumePhase) {
	s.t.Helper()
	framework.Eventually(s.t, "volume "+name+" is "+string(phase), func(ctx context.Context) (bool, error) {
		volume, err := s.virtual.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
		return err == nil && volume.Status.Phase == phase, err
	})
}

// TestOwnStorageClass wants a class of the tenant on the host as the administrator allows it, and
// claims that name it to name the host's.
func TestOwnStorageClass(t *testing.T) {
	s := storing(t)
	ctx := t.Context()
	// It was made of another one, which is shown of the host.
	fast := s.class("fast", func(c *storagev1.StorageClass) {
		c.Labels = map[string]string{tenancyv1.LabelCluster: s.translator.Cluster().ID}
		c.Annotations["garret.dev/shown-as"] = "/of-the-host"
	})
	name := s.translator.HostName("", fast.Name)
	var host *storagev1.StorageClass
	framework.Eventually(t, "the class is on the host", func(ctx context.Context) (bool, error) {
		var err error
		host, err = s.host.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
		return err == nil, nil
	})
	if host.Provisioner != driver || host.Parameters["tier"] != "fast" || host.Labels[tenancyv1.LabelCluster] != s.translator.Cluster().ID {
		t.Errorf("got %+v", host)
	}
	if host.Annotations["storageclass.kubernetes.io/is-default-class"] != "" {
		t.Error("the tenant's class is the default of the host")
	}
	s.classed("late", fast.Name)
	framework.Eventually(t, "the claim names the host's class", func(ctx context.Context) (bool, error) {
		claim, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "late"), metav1.GetOptions{})
		return err == nil && ptr.Deref(claim.Spec.StorageClassName, "") == name, nil
	})
	s.bindOnHost("late", "pvc-"+s.namespace)
	var shown *corev1.PersistentVolume
	reclaims := func() {
		t.Helper()
		framework.Eventually(t, "the volume inside says what becomes of the data", func(ctx context.Context) (bool, error) {
			var err error
			shown, err = s.virtual.CoreV1().PersistentVolumes().Get(ctx, "pvc-"+s.namespace, metav1.GetOptions{})
			return err == nil && shown.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete, nil
		})
	}
	reclaims()
	_, err := s.virtual.CoreV1().PersistentVolumes().Patch(ctx, shown.Name, types.MergePatchType, []byte(`{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`), metav1.PatchOptions{})
	s.must(err)
	reclaims()
	s.awaitEvent(shown.UID, "HostReclaimPolicy")
	if told := (&subject{side: s.cluster(), kind: &kind{GroupVersionResource: storagev1.SchemeGroupVersion.WithResource("storageclasses")}}).explained(fast.Name); told.State != explainv1alpha1.OnHost || told.Host.Name != name {
		t.Errorf("explained: got %s as %s, want it on the host as %s", told.State, told.Host.Name, name)
	}

	slow := s.class("slow", func(c *storagev1.StorageClass) { c.Parameters["tier"] = "slow" })
	secret := s.class("secret", func(c *storagev1.StorageClass) {
		c.Parameters["csi.storage.k8s.io/provisioner-secret-namespace"] = "kube-system"
	})
	for class, words := range map[types.UID]string{slow.UID: `parameters[tier] "slow" is refused`, secret.UID: "names a Secret or a namespace of the host"} {
		if message := s.awaitEvent(class, "Forbidden"); !strings.Contains(message, words) {
			t.Errorf("got %q, want %q", message, words)
		}
	}
	for _, class := range []string{slow.Name, secret.Name} {
		if _, err := s.host.StorageV1().StorageClasses().Get(ctx, s.translator.HostName("", class), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: got %v, want it to stay inside", class, err)
		}
	}

	// The administrator takes it back: no further claim may get what it says.
	s.stop()
	allowed := s.storage
	s.storage = &tenancyv1.AllowedStorage{CSI: allowed.CSI}
	s.start()
	framework.Eventually(t, "the class is gone from the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	s.stop()
	s.storage = allowed
	s.start()
	framework.Eventually(t, "the class is there again", func(ctx context.Context) (bool, error) {
		_, err := s.host.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
		return err == nil, nil
	})
	s.must(s.virtual.StorageV1().StorageClasses().Delete(ctx, fast.Name, metav1.DeleteOptions{}))
	framework.Eventually(t, "the class goes with the one inside", func(ctx context.Context) (bool, error) {
		_, err := s.host.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// cluster is the side for objects of cluster scope.
func (s *side) cluster() *side {
	of := *s
	of.namespace = ""
	return &of
}

// TestOwnVolume wants a volume of the tenant to bind inside, to reach the host for its claim alone,
// and to outlive it.
func TestOwnVolume(t *testing.T) {
	s := storing(t)
	ctx := t.Context()
	small := s.volume("small", "team-a-1", nil)
	s.volume("large", "team-a-2", func(spec *corev1.PersistentVolumeSpec) {
		spec.Capacity[corev1.ResourceStorage] = resource.MustParse("9Gi")
	})
	foreign := s.volume("foreign", "team-b-1", func(spec *corev1.PersistentVolumeSpec) { spec.StorageClassName = "other" })
	if message := s.awaitEvent(foreign.UID, "Forbidden"); !strings.Contains(message, `spec.csi.volumeHandle "team-b-1" is refused`) || !strings.Contains(message, "spec.isolation.allowedStorage.csi.volumeHandles") {
		t.Errorf("got %q", message)
	}
	s.awaitPhase(small.Name, corev1.VolumeAvailable)
	hostVolume := s.translator.HostName("", small.Name)
	if _, err := s.host.CoreV1().PersistentVolumes().Get(ctx, hostVolume, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want no volume on the host that anybody could claim", err)
	}
	s.classed("data", s.namespace)
	var claim *corev1.PersistentVolumeClaim
	var volume *corev1.PersistentVolume
	framework.Eventually(t, "claim and volume are on the host", func(ctx context.Context) (bool, error) {
		var err, errVolume error
		claim, err = s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "data"), metav1.GetOptions{})
		volume, errVolume = s.host.CoreV1().PersistentVolumes().Get(ctx, hostVolume, metav1.GetOptions{})
		return err == nil && errVolume == nil, nil
	})
	reference := volume.Spec.ClaimRef
	if claim.Spec.VolumeName != hostVolume || ptr.Deref(claim.Spec.StorageClassName, "x") != "" || reference == nil ||
		reference.Namespace != s.hostNamespace || reference.Name != claim.Name || reference.UID != claim.UID || volume.Spec.CSI.VolumeHandle != "team-a-1" || volume.Spec.StorageClassName != "" {
		t.Fatalf("got claim %+v\nand volume %+v", claim.Spec, volume.Spec)
	}

	// The host binds the two.
	volume.Status.Phase = corev1.VolumeBound
	_, err := s.host.CoreV1().PersistentVolumes().UpdateStatus(ctx, volume, metav1.UpdateOptions{})
	s.must(err)
	claim.Status.Phase, claim.Status.AccessModes, claim.Status.Capacity = corev1.ClaimBound, claim.Spec.AccessModes, volume.Spec.Capacity
	_, err = s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	s.must(err)
	s.awaitClaim("data", corev1.ClaimBound)
	s.awaitPhase(small.Name, corev1.VolumeBound)
	// Also a pod that comes later has the data.
	spec := podSpec()
	spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	s.createPod("reader", spec)
	if host := s.hostPod("reader"); host.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != claim.Name {
		t.Errorf("the pod on the host: got %+v, want the claim %s", host.Spec.Volumes, claim.Name)
	}
	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(ctx, "reader", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	if _, err := s.virtual.CoreV1().PersistentVolumes().Get(ctx, hostVolume, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want no second volume inside", err)
	}
	if told := (&subject{side: s.cluster(), kind: &kind{GroupVersionResource: corev1.SchemeGroupVersion.WithResource("persistentvolumes")}}).explained(small.Name); told.State != explainv1alpha1.OnHost || told.Host.Name != hostVolume {
		t.Errorf("explained: got %s as %s, want it on the host as %s", told.State, told.Host.Name, hostVolume)
	}

	// The volume is deleted first, and ends with its claim.
	s.must(s.virtual.CoreV1().PersistentVolumes().Delete(ctx, small.Name, metav1.DeleteOptions{}))
	s.must(s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Delete(ctx, "data", metav1.DeleteOptions{}))
	framework.Eventually(t, "the claim is gone, and the host has released the volume", func(ctx context.Context) (bool, error) {
		_, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, "data", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return false, nil
		}
		found, err := s.host.CoreV1().PersistentVolumes().Get(ctx, hostVolume, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		found.Status.Phase = corev1.VolumeReleased
		_, err = s.host.CoreV1().PersistentVolumes().UpdateStatus(ctx, found, metav1.UpdateOptions{})
		return err == nil, nil
	})
	framework.Eventually(t, "the volume is gone from both sides", func(ctx context.Context) (bool, error) {
		_, inside := s.virtual.CoreV1().PersistentVolumes().Get(ctx, small.Name, metav1.GetOptions{})
		_, onHost := s.host.CoreV1().PersistentVolumes().Get(ctx, hostVolume, metav1.GetOptions{})
		return apierrors.IsNotFound(inside) && apierrors.IsNotFound(onHost), nil
	})
}

// TestOwnVolumeNamed wants a claim that names its volume to get no other, and none that another has.
func TestOwnVolumeNamed(t *testing.T) {
	s := storing(t)
	ctx := t.Context()
	taken := s.volume("taken", "team-a-1", func(spec *corev1.PersistentVolumeSpec) {
		spec.ClaimRef = &corev1.ObjectReference{Namespace: s.namespace, Name: "first"}
	})
	s.volume("free", "team-a-2", nil)
	claim := func(name, volume string) *corev1.PersistentVolumeClaim {
		created, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume, StorageClassName: &s.namespace, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}, metav1.CreateOptions{})
		s.must(err)
		return created
	}
	thief := claim("thief", taken.Name)
	if message := s.awaitEvent(thief.UID, "Untranslatable"); !strings.Contains(message, "bound to another claim, "+s.namespace+"/first") {
		t.Errorf("got %q", message)
	}
	claim("first", taken.Name)
	onHost := s.awaitHostClaim("first", func(*corev1.PersistentVolumeClaim) bool { return true })
	if onHost.Spec.VolumeName != s.translator.HostName("", taken.Name) {
		t.Errorf("got volume %s", onHost.Spec.VolumeName)
	}
	if _, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "thief"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want the claim of another's volume to stay inside", err)
	}
	// Somebody loses the volume inside while the syncer is down: the host keeps its.
	framework.Eventually(t, "the volume is on the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().PersistentVolumes().Get(ctx, s.translator.HostName("", taken.Name), metav1.GetOptions{})
		return err == nil, nil
	})
	s.stop()
	s.forget(taken.Name)
	s.start()
	framework.Eventually(t, "the volume on the host is marked as an orphan", func(ctx context.Context) (bool, error) {
		volume, err := s.host.CoreV1().PersistentVolumes().Get(ctx, s.translator.HostName("", taken.Name), metav1.GetOptions{})
		return err == nil && volume.Labels[tenancyv1.LabelOrphan] == "true" && volume.DeletionTimestamp == nil, err
	})
	s.must(s.engine.Recover(ctx, tenancyv1.RecoverAdopt))
	framework.Eventually(t, "the volume is inside again", func(ctx context.Context) (bool, error) {
		volume, err := s.virtual.CoreV1().PersistentVolumes().Get(ctx, taken.Name, metav1.GetOptions{})
		return err == nil && volume.Spec.CSI.VolumeHandle == "team-a-1" && volume.Spec.StorageClassName == s.namespace && volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.Name == "first", nil
	})
}
