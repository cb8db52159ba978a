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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// claimSpec asks for a gibibyte.
func claimSpec() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}
}

// createClaim makes a claim inside and waits for its host claim.
func (s *side) createClaim(name string) (virtual, host *corev1.PersistentVolumeClaim) {
	s.t.Helper()
	_, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(s.t.Context(),
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: claimSpec()}, metav1.CreateOptions{})
	s.must(err)
	host = s.awaitHostClaim(name, func(*corev1.PersistentVolumeClaim) bool { return true })
	virtual, err = s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(s.t.Context(), name, metav1.GetOptions{})
	s.must(err)
	return virtual, host
}

// bindOnHost plays the host's provisioner.
func (s *side) bindOnHost(name, volume string) {
	s.t.Helper()
	claims := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace)
	framework.Eventually(s.t, "claim "+name+" is bound on the host", func(ctx context.Context) (bool, error) {
		host, err := claims.Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		if host.Spec.VolumeName != volume {
			host.Spec.VolumeName = volume
			if host, err = claims.Update(ctx, host, metav1.UpdateOptions{}); err != nil {
				return false, nil // somebody was faster
			}
		}
		host.Status.Phase, host.Status.AccessModes = corev1.ClaimBound, host.Spec.AccessModes
		host.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		_, err = claims.UpdateStatus(ctx, host, metav1.UpdateOptions{})
		return err == nil, nil
	})
	s.awaitClaim(name, corev1.ClaimBound)
}

func (s *side) awaitClaim(name string, phase corev1.PersistentVolumeClaimPhase) {
	s.t.Helper()
	framework.Eventually(s.t, "claim "+name+" is "+string(phase)+" inside", func(ctx context.Context) (bool, error) {
		found, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && found.Status.Phase == phase, err
	})
}

func (s *side) awaitHostClaim(name string, is func(*corev1.PersistentVolumeClaim) bool) *corev1.PersistentVolumeClaim {
	s.t.Helper()
	var host *corev1.PersistentVolumeClaim
	framework.Eventually(s.t, "claim "+name+" is on the host as it should be", func(ctx context.Context) (bool, error) {
		found, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		host = found
		return err == nil && is(found), err
	})
	return host
}

// awaitEvent waits for an event on the object inside and returns what it says.
func (s *side) awaitEvent(uid types.UID, reason string) string {
	s.t.Helper()
	var message string
	framework.Eventually(s.t, "there is an event "+reason, func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(uid)})
		if err != nil {
			return false, err
		}
		at := slices.IndexFunc(events.Items, func(e corev1.Event) bool { return e.Reason == reason })
		if at >= 0 {
			message = events.Items[at].Message
		}
		return at >= 0, nil
	})
	return message
}

// loseInside has the API server inside forget a claim while no syncer sees it, as
// when its data go back in time.
func (s *side) loseInside(name string) {
	s.t.Helper()
	claims := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace)
	_, err := claims.Patch(s.t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	s.must(err)
	s.must(claims.Delete(s.t.Context(), name, metav1.DeleteOptions{}))
	framework.Eventually(s.t, "claim "+name+" is gone inside", func(ctx context.Context) (bool, error) {
		found, err := claims.Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(found.Finalizers) > 0 {
			// The protection of claims was faster.
			_, err = claims.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		}
		return apierrors.IsNotFound(err), nil
	})
}

// TestClaimHasNoOwner wants no owner on the host that the garbage collector could
// follow to a claim, and one on pods that never goes before them.
func TestClaimHasNoOwner(t *testing.T) {
	s := setUp(t)
	_, claim := s.createClaim("data")
	if len(claim.OwnerReferences) > 0 {
		t.Errorf("claim on the host: got owners %v, want none", claim.OwnerReferences)
	}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}
	s.createPod("bare", spec)
	if owner := metav1.GetControllerOf(s.hostPod("bare")); owner != nil {
		t.Errorf("a pod on the host that nobody makes again: got controller %v, want none", owner)
	}
	_, err := s.virtual.CoreV1().Pods(s.namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "example.org/v1", Kind: "Set", Name: "web", UID: "1", Controller: ptr.To(true)}}}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	owner := metav1.GetControllerOf(s.hostPod("web"))
	if owner == nil || owner.Kind != "Namespace" || owner.Name != s.hostNamespace {
		t.Errorf("pod on the host: got controller %v, want its namespace, so that a drain does not take it for a bare one", owner)
	}
}

// TestClaimIsDeletedWithItsHostClaim deletes a claim while the syncer is down,
// and wants the deletion to be seen all the same.
func TestClaimIsDeletedWithItsHostClaim(t *testing.T) {
	s := setUp(t)
	virtual, host := s.createClaim("data")
	if !slices.Contains(virtual.Finalizers, tenancyv1.FinalizerData) {
		t.Fatalf("finalizers before there is a host claim: got %v, want %s", virtual.Finalizers, tenancyv1.FinalizerData)
	}
	s.stop()
	s.must(s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Delete(t.Context(), "data", metav1.DeleteOptions{}))
	s.start()
	framework.Eventually(t, "the claim is deleted on the host, and then inside", func(ctx context.Context) (bool, error) {
		_, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, "data", metav1.GetOptions{})
		found, hostErr := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, host.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && hostErr == nil && found.UID == host.UID {
			t.Fatal("the claim inside is gone before its host claim")
		}
		return apierrors.IsNotFound(err) && apierrors.IsNotFound(hostErr), nil
	})
}

// TestClaimThatIsMissingKeepsItsData loses a claim inside, and wants the host claim
// to stay: missing is not deleted.
func TestClaimThatIsMissingKeepsItsData(t *testing.T) {
	s := setUp(t)
	_, before := s.createClaim("data")
	s.stop()
	s.loseInside("data")
	s.start()
	orphan := func(c *corev1.PersistentVolumeClaim) bool {
		return c.Labels[tenancyv1.LabelOrphan] != "" && c.DeletionTimestamp == nil
	}
	if host := s.awaitHostClaim("data", orphan); host.UID != before.UID {
		t.Error("on the host there is another claim, want the one with the data")
	}

	// One of the same name does not get what it has no right to, nor is it given an empty volume.
	again, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(t.Context(),
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: claimSpec()}, metav1.CreateOptions{})
	s.must(err)
	if message := s.awaitEvent(again.UID, "HostDataKept"); !strings.Contains(message, before.Name) {
		t.Errorf("event: got %q, want the host claim named", message)
	}
	// Nor does a pod that names it.
	pod := s.createPod("curious", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}},
		Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}})
	s.awaitEvent(pod.UID, "HostDataKept")
	if _, err := s.host.CoreV1().Pods(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, "curious"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod on the host that would mount the data of another claim: got %v, want none", err)
	}
	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(t.Context(), "curious", metav1.DeleteOptions{}))
	_, err = s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Patch(t.Context(), "data", types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":["`+tenancyv1.FinalizerData+`"]}}`), metav1.PatchOptions{})
	s.must(err)
	s.must(s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Delete(t.Context(), "data", metav1.DeleteOptions{}))
	framework.Eventually(t, "the claim of the same name is gone", func(ctx context.Context) (bool, error) {
		_, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, "data", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if host := s.awaitHostClaim("data", orphan); host.UID != before.UID {
		t.Error("the deletion of another claim of the name took the data along")
	}
}

// TestClaimWhoseHostClaimIsDeleted deletes the host claims of a bound claim and of
// one that never had data.
func TestClaimWhoseHostClaimIsDeleted(t *testing.T) {
	s := setUp(t)
	volume := "pvc-" + string(uuid.NewUUID())
	bound, host := s.createClaim("bound")
	s.bindOnHost("bound", volume)
	_, unbound := s.createClaim("unbound")
	for _, each := range []*corev1.PersistentVolumeClaim{host, unbound} {
		claims := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace)
		_, err := claims.Patch(t.Context(), each.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		s.must(err)
		s.must(claims.Delete(t.Context(), each.Name, metav1.DeleteOptions{}))
	}
	s.awaitHostClaim("unbound", func(c *corev1.PersistentVolumeClaim) bool { return c.UID != unbound.UID && c.Spec.VolumeName == "" })

	s.awaitClaim("bound", corev1.ClaimLost)
	if message := s.awaitEvent(bound.UID, "HostClaimLost"); !strings.Contains(message, volume) {
		t.Errorf("event: got %q, want the volume named", message)
	}
	// What is made in its place can be bound to that volume only, never to an empty one.
	s.awaitHostClaim("bound", func(c *corev1.PersistentVolumeClaim) bool { return c.UID != host.UID && c.Spec.VolumeName == volume })
	s.awaitClaim("bound", corev1.ClaimLost)
	s.bindOnHost("bound", volume)
}

// TestVolumeOfSomebodyElse has a tenant, who may make any volume inside, name one
// of the host's by a claim.
func TestVolumeOfSomebodyElse(t *testing.T) {
	s := setUp(t)
	foreign := "disk-of-another-team-" + s.namespace
	_, err := s.virtual.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: foreign, Labels: map[string]string{tenancyv1.LabelCluster: s.translator.Cluster().ID}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: "host.garret.dev", VolumeHandle: "x"}},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	spec := claimSpec()
	spec.VolumeName = foreign
	claim, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(t.Context(),
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "greedy"}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	s.awaitEvent(claim.UID, "Untranslatable")
	_, err = s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, "greedy"), metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("host claim: got %v, want none", err)
	}
}

// TestClaimBeingDeleted creates a pod for a claim that is being deleted. The pod waits and says so,
// as with any scheduler, and gets the next claim of the name.
func TestClaimBeingDeleted(t *testing.T) {
	s := setUp(t)
	claim, _ := s.createClaim("data")
	_, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Patch(t.Context(), "data", types.StrategicMergePatchType, []byte(`{"metadata":{"finalizers":["test.example/keeps"]}}`), metav1.PatchOptions{})
	s.must(err)
	s.stop()
	s.must(s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Delete(t.Context(), "data", metav1.DeleteOptions{}))
	spec := plain(volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}))
	pod := s.createPod("web", spec)
	s.start()
	s.awaitWaiting("web", "claim data is being deleted")
	s.awaitEvent(pod.UID, "FailedScheduling")
	s.notOnHost("web")
	_, err = s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Patch(t.Context(), "data", types.StrategicMergePatchType, []byte(`{"metadata":{"$deleteFromPrimitiveList/finalizers":["test.example/keeps"]}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the claim is gone", func(ctx context.Context) (bool, error) {
		_, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, "data", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if next, _ := s.createClaim("data"); next.UID == claim.UID {
		t.Fatal("the claim is the one that was deleted")
	}
	s.hostPod("web")
}
