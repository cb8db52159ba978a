// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// hostDriver is the driver in the volumes inside. Nothing inside attaches or
	// mounts them: the host's kubelet does, by the claim on the host.
	hostDriver = "host.garret.dev"

	// reasonLost is the reason of Events about claims whose data are gone from the host.
	reasonLost = "HostClaimLost"

	annotationStorageClass = "volume.beta.kubernetes.io/storage-class"
)

// provisioned are the names of volumes that a provisioner made for a claim. A
// tenant can name any volume, but one of these only by having been told its name.
var provisioned = regexp.MustCompile(`^pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// claims carries volume claims to the host, and binds them inside as the host
// has bound them.
type claims struct {
	translator *translate.Translator
	virtual    *Virtual
	host       *Host
	recorder   record.EventRecorder
}

func (b *builder) claims() {
	c := &claims{b.Translator, b.Virtual, b.Host, b.Recorder}
	declare(b, b.Virtual.Claims, b.Host.Claims, declared[*corev1.PersistentVolumeClaim]{
		create:  c.create,
		apply:   growClaim,
		status:  c.status,
		missing: c.hostMissing,
		// A claim on the host goes only with the one inside.
		keepsData: true,
		// A volume that somebody deletes inside is made again from its claim.
		follows: []follow{{b.Virtual.Volumes.Informer(), ofVolume}},
	})
	mirror := &volumes{b.Virtual}
	removal := b.controller("persistentvolumes", 1, mirror)
	b.watch(removal, b.Virtual.Volumes.Informer(), engine.SameKey)
	b.watch(removal, b.Virtual.Claims.Informer(), mirror.ofClaim)
}

// claimsReleased lets claims go that are not synced.
func (b *builder) claimsReleased() {
	b.engine.AddTask(func(ctx context.Context) { engine.Release(ctx, b.Virtual.Claims) })
}

// growClaim asks for more room: only growth is possible.
func growClaim(virtual, host *corev1.PersistentVolumeClaim) error {
	wanted, current := virtual.Spec.Resources.Requests[corev1.ResourceStorage], host.Spec.Resources.Requests[corev1.ResourceStorage]
	if wanted.Cmp(current) > 0 {
		host.Spec.Resources.Requests[corev1.ResourceStorage] = wanted.DeepCopy()
	}
	return nil
}

// create translates the claim.
func (c *claims) create(virtual, host *corev1.PersistentVolumeClaim) error {
	if err := c.checkVolume(virtual); err != nil {
		return err
	}
	host.Spec = *virtual.Spec.DeepCopy()
	// The host provisions a volume only for a claim that names none, so that this
	// one gets back what it had, or nothing.
	host.Spec.VolumeName = virtual.Spec.VolumeName
	if class, found := virtual.Annotations[annotationStorageClass]; found && host.Spec.StorageClassName == nil {
		host.Spec.StorageClassName = &class
	}
	return c.source(virtual, host)
}

// checkVolume refuses a claim of a volume that exists inside only.
func (c *claims) checkVolume(virtual *corev1.PersistentVolumeClaim) error {
	if virtual.Spec.VolumeName == "" {
		return nil
	}
	volume, found := c.virtual.Volumes.Get("", virtual.Spec.VolumeName)
	if found && isMirror(volume) && provisioned.MatchString(volume.Name) {
		return nil
	}
	return engine.Refuse(reasonUntranslatable, fmt.Sprintf("volume %s is not one that the host cluster provisioned for a claim of this virtual cluster; the host's administrator can bind it by hand", virtual.Spec.VolumeName))
}

// source translates the claim that the volume is to be a copy of.
func (c *claims) source(virtual, host *corev1.PersistentVolumeClaim) error {
	host.Spec.DataSource = nil
	source := virtual.Spec.DataSourceRef
	if source == nil {
		return nil
	}
	if source.Kind != "PersistentVolumeClaim" || ptr.Deref(source.APIGroup, "") != "" || ptr.Deref(source.Namespace, virtual.Namespace) != virtual.Namespace {
		return engine.Refuse(reasonUntranslatable, fmt.Sprintf("data source %s %s is not carried to the host cluster", source.Kind, source.Name))
	}
	host.Spec.DataSourceRef.Namespace = nil
	host.Spec.DataSourceRef.Name = c.translator.HostName(virtual.Namespace, source.Name)
	return nil
}

// status plays the binder inside, where none runs: once the host has bound
// the claim, it makes a volume, names it in the claim, and reports the status.
func (c *claims) status(ctx context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	if virtual.DeletionTimestamp != nil {
		return nil
	}
	client := c.virtual.Client.CoreV1().PersistentVolumeClaims(virtual.Namespace)
	var shown error
	if host.Status.Phase == corev1.ClaimBound && host.Spec.VolumeName != "" {
		// First of all: a host claim made in this one's place would be empty without it.
		if virtual.Spec.VolumeName == "" {
			bound := virtual.DeepCopy()
			bound.Spec.VolumeName = host.Spec.VolumeName
			if bound.Spec.StorageClassName == nil {
				bound.Spec.StorageClassName = host.Spec.StorageClassName
			}
			updated, err := client.Update(ctx, bound, metav1.UpdateOptions{})
			if err != nil {
				return fmt.Errorf("bind inside: %w", err)
			}
			virtual = updated
		}
		shown = c.showVolume(ctx, virtual, host)
	}
	status := *host.Status.DeepCopy()
	if hadVolume(virtual) && status.Phase != corev1.ClaimBound {
		status.Phase = corev1.ClaimLost
	}
	return errors.Join(shown, c.report(ctx, virtual, status))
}

// hadVolume tells whether the claim has been bound: its data are somewhere, or lost.
func hadVolume(virtual *corev1.PersistentVolumeClaim) bool {
	return virtual.Spec.VolumeName != "" && (virtual.Status.Phase == corev1.ClaimBound || virtual.Status.Phase == corev1.ClaimLost)
}

// hostMissing tells of a claim whose host claim is gone, and with it, for all that
// is known, its data. A host claim that is made in its place names the volume.
func (c *claims) hostMissing(ctx context.Context, virtual *corev1.PersistentVolumeClaim) (bool, error) {
	if !hadVolume(virtual) {
		return false, nil
	}
	// One whose marker was taken off is not in the cache, and has its data.
	name := c.translator.HostName(virtual.Namespace, virtual.Name)
	if _, err := c.host.Claims.Writer(c.translator.Cluster().HostNamespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
		return true, engine.Refuse(reasonDetached, "its claim on the host cluster no longer carries the marker of this virtual cluster")
	} else if !apierrors.IsNotFound(err) {
		return true, engine.OnHost("read", err)
	}
	status := *virtual.Status.DeepCopy()
	status.Phase = corev1.ClaimLost
	return false, c.report(ctx, virtual, status)
}

// report writes the status inside, and says once that a claim has lost its volume.
func (c *claims) report(ctx context.Context, virtual *corev1.PersistentVolumeClaim, status corev1.PersistentVolumeClaimStatus) error {
	if equality.Semantic.DeepEqual(virtual.Status, status) {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status = status
	if _, err := c.virtual.Client.CoreV1().PersistentVolumeClaims(virtual.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("status inside: %w", err)
	}
	if status.Phase == corev1.ClaimLost && virtual.Status.Phase != corev1.ClaimLost {
		c.recorder.Eventf(virtual, corev1.EventTypeWarning, reasonLost, "The claim on the host cluster that held the data was deleted there. "+
			"This one is bound again when volume %s is made available on the host cluster; to begin with an empty volume, delete it and create it again.", virtual.Spec.VolumeName)
	}
	return nil
}

// showVolume makes the volume inside what the host's is.
func (c *claims) showVolume(ctx context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	client := c.virtual.Client.CoreV1().PersistentVolumes()
	volume, found := c.virtual.Volumes.Get("", host.Spec.VolumeName)
	var err error
	switch {
	case !found:
		volume, err = client.Create(ctx, c.volume(virtual, host), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return engine.Again("the volume inside is not in the cache yet")
		}
	case !isMirror(volume):
		return engine.Refuse(reasonUntranslatable, fmt.Sprintf("the name of volume %s is taken inside", volume.Name))
	case !equality.Semantic.DeepEqual(volume.Spec.Capacity, host.Status.Capacity):
		volume = volume.DeepCopy()
		volume.Spec.Capacity = host.Status.Capacity.DeepCopy()
		volume, err = client.Update(ctx, volume, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("volume %s inside: %w", host.Spec.VolumeName, err)
	}
	if volume.Status.Phase != corev1.VolumeBound {
		volume = volume.DeepCopy()
		volume.Status.Phase = corev1.VolumeBound
		if _, err := client.UpdateStatus(ctx, volume, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("status of volume %s inside: %w", volume.Name, err)
		}
	}
	return nil
}

func (c *claims) volume(virtual, host *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	class := virtual.Spec.StorageClassName
	if class == nil {
		class = host.Spec.StorageClassName
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:   host.Spec.VolumeName,
			Labels: map[string]string{tenancyv1.LabelCluster: c.translator.Cluster().ID},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         host.Status.Capacity.DeepCopy(),
			AccessModes:      virtual.Spec.AccessModes,
			VolumeMode:       virtual.Spec.VolumeMode,
			StorageClassName: ptr.Deref(class, ""),
			// The host decides what becomes of the real one.
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: virtual.Namespace, Name: virtual.Name, UID: virtual.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: hostDriver, VolumeHandle: host.Name},
			},
		},
	}
}

// isMirror says whether the volume inside was made for a claim on the host.
func isMirror(volume *corev1.PersistentVolume) bool {
	return volume.Spec.CSI != nil && volume.Spec.CSI.Driver == hostDriver && volume.Labels[tenancyv1.LabelCluster] != ""
}

// ofVolume names the claim that a volume was made for.
func ofVolume(object any) []types.NamespacedName {
	volume := object.(*corev1.PersistentVolume)
	if !isMirror(volume) || volume.Spec.ClaimRef == nil {
		return nil
	}
	return []types.NamespacedName{{Namespace: volume.Spec.ClaimRef.Namespace, Name: volume.Spec.ClaimRef.Name}}
}

// volumes removes the volumes inside whose claim is gone.
type volumes struct{ virtual *Virtual }

// Reconcile looks at one volume inside.
func (v *volumes) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	volume, found := v.virtual.Volumes.Get("", key.Name)
	if !found || !isMirror(volume) || volume.Spec.ClaimRef == nil {
		return 0, nil
	}
	reference := volume.Spec.ClaimRef
	if claim, found := v.virtual.Claims.Get(reference.Namespace, reference.Name); found && claim.UID == reference.UID {
		return 0, nil
	}
	client := v.virtual.Client.CoreV1().PersistentVolumes()
	if volume.Status.Phase == corev1.VolumeBound {
		// A bound volume is protected from deletion. The change brings it back.
		released := volume.DeepCopy()
		released.Status.Phase = corev1.VolumeReleased
		if _, err := client.UpdateStatus(ctx, released, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return 0, fmt.Errorf("release volume %s inside: %w", volume.Name, err)
		}
		return 0, nil
	}
	err := client.Delete(ctx, volume.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &volume.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("delete volume %s inside: %w", volume.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted a volume inside", "volume", volume.Name)
	return 0, nil
}

// ofClaim names the volume that a claim is bound to.
func (v *volumes) ofClaim(object any) []types.NamespacedName {
	claim := object.(*corev1.PersistentVolumeClaim)
	if claim.Spec.VolumeName == "" {
		return nil
	}
	return []types.NamespacedName{{Name: claim.Spec.VolumeName}}
}
