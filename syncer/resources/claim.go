// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

const (
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
	volumes    *engine.Controller
	recorder   record.EventRecorder
	// snapshots are those that go to the host; nil while they stay inside.
	snapshots *ruled
	// exceptions say which classes of attributes a claim may name.
	exceptions isolation.Exceptions
	// own and classes are the tenant's volumes and storage classes; nil while they stay inside.
	own     *ownVolumes
	classes *ownClasses
}

func (b *builder) claims() {
	c := &claims{translator: b.Translator, virtual: b.Virtual, host: b.Host, volumes: b.volumes(), recorder: b.Recorder, exceptions: b.Exceptions}
	var follows []follow
	if shown := b.shownAttributes; shown != nil {
		c.exceptions.AttributesClass = func(name string) bool {
			_, is := shown.Get("", name)
			return is
		}
		follows = append(follows, follow{shown.Informer(), c.ofAttributes})
	}
	if b.Selection[tenancyv1.ResourceVolumes] {
		c.own = b.volumesOfTenant()
		follows = append(follows, follow{c.own.virtual.Informer(), c.own.claimsFor})
	}
	if b.Selection[tenancyv1.OwnStorageClasses] {
		c.classes = b.classesOfTenant()
		follows = append(follows, follow{c.classes.virtual.Informer(), c.classes.claimsOf})
	}
	if at := slices.IndexFunc(b.ruled, func(r *ruled) bool { return r.Definition() == tenancyv1.SnapshotDefinition }); at >= 0 {
		c.snapshots = b.ruled[at]
	}
	declare(b, b.Virtual.Claims, b.Host.Claims, declared[*corev1.PersistentVolumeClaim]{
		create:  c.create,
		apply:   c.apply,
		status:  c.status,
		missing: c.hostMissing,
		adopt:   c.adopt,
		// A claim on the host goes only with the one inside.
		keepsData: true,
		follows:   follows,
	})
}

// adopt creates the claim inside again, bound to the volume that the host claim has,
// or finds one of the name that has no volume yet.
func (c *claims) adopt(ctx context.Context, host *corev1.PersistentVolumeClaim) (types.UID, error) {
	identity, _ := c.translator.IdentityOf(host)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: identity.Namespace}}
	if _, err := c.virtual.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create namespace inside: %w", err)
	}
	client := c.virtual.Client.CoreV1().PersistentVolumeClaims(identity.Namespace)
	volume := c.volumeInside(host)
	wanted := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: identity.Name, Labels: translate.TenantLabels(host.Labels), Finalizers: []string{tenancyv1.FinalizerData}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: host.Spec.AccessModes, Resources: host.Spec.Resources, StorageClassName: host.Spec.StorageClassName,
			VolumeMode: host.Spec.VolumeMode, VolumeAttributesClassName: host.Spec.VolumeAttributesClassName, VolumeName: volume,
		},
	}
	created, err := client.Create(ctx, wanted, metav1.CreateOptions{})
	if err == nil {
		return created.UID, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create inside: %w", err)
	}
	found, err := client.Get(ctx, identity.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read inside: %w", err)
	}
	if found.DeletionTimestamp != nil {
		return "", errors.New("a claim of that name is being deleted inside: wait until it is gone, and decide again")
	}
	if found.Spec.VolumeName != "" && found.Spec.VolumeName != volume {
		return "", fmt.Errorf("a claim of that name has another volume, %s: delete it inside, or the one on the host, %s", found.Spec.VolumeName, host.Name)
	}
	if !slices.Contains(found.Finalizers, tenancyv1.FinalizerData) {
		// Before it has the data: its deletion is seen from now on.
		found.Finalizers = append(found.Finalizers, tenancyv1.FinalizerData)
		if found, err = client.Update(ctx, found, metav1.UpdateOptions{}); err != nil {
			return "", fmt.Errorf("finalizer inside: %w", err)
		}
	}
	return found.UID, nil
}

// volumeInside is the name inside of the volume that a claim on the host has.
func (c *claims) volumeInside(host *corev1.PersistentVolumeClaim) string {
	if c.own != nil {
		if volume, found := c.own.host.Get("", host.Spec.VolumeName); found {
			identity, _ := c.translator.IdentityOf(volume)
			return identity.Name
		}
	}
	return host.Spec.VolumeName
}

// claimsReleased lets claims go that are not synced.
func (b *builder) claimsReleased() {
	b.engine.AddTask(func(ctx context.Context) { engine.Release(ctx, b.Virtual.Claims) })
}

// ofAttributes are the claims that name the class of attributes.
func (c *claims) ofAttributes(class any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, virtual := range c.virtual.Claims.List() {
		if ptr.Deref(virtual.Spec.VolumeAttributesClassName, "") == class.(*storagev1.VolumeAttributesClass).Name {
			keys = append(keys, engine.KeyOf(virtual))
		}
	}
	return keys
}

// apply asks for what may change of a claim on the host.
func (c *claims) apply(virtual, host *corev1.PersistentVolumeClaim) error {
	if wanted := virtual.Spec.VolumeAttributesClassName; wanted != nil && *wanted != ptr.Deref(host.Spec.VolumeAttributesClassName, "") {
		// One that the claim has already may be shown no longer.
		spec, violations := isolation.ClaimSpec(&corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: wanted}, c.exceptions)
		if err := forbidden(violations); err != nil {
			return err
		}
		host.Spec.VolumeAttributesClassName = spec.VolumeAttributesClassName
	}
	return growClaim(virtual, host)
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
	if volume, own := c.ofTenant(virtual); own {
		return c.createBound(virtual, host, volume)
	}
	if err := c.checkVolume(virtual); err != nil {
		return err
	}
	spec, violations := isolation.ClaimSpec(&virtual.Spec, c.exceptions)
	if err := forbidden(violations); err != nil {
		return err
	}
	host.Spec = *spec
	// The host provisions a volume only for a claim that names none, so that this
	// one gets back what it had, or nothing.
	host.Spec.VolumeName = virtual.Spec.VolumeName
	if class, found := virtual.Annotations[annotationStorageClass]; found && host.Spec.StorageClassName == nil {
		host.Spec.StorageClassName = &class
	}
	if class := host.Spec.StorageClassName; c.classes != nil && class != nil && *class != "" {
		name, err := c.classes.nameOf(*class)
		if err != nil {
			return err
		}
		host.Spec.StorageClassName = &name
	}
	if class := host.Spec.StorageClassName; class != nil && *class == "" && host.Spec.VolumeName == "" {
		return engine.Refuse(reasonForbidden, `spec.storageClassName "" is refused: without a volumeName it could bind any volume of the host that nobody has claimed yet; no setting lifts it; name a class of the host, which provisions a volume`)
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
	return engine.Refuse(reasonUntranslatable, fmt.Sprintf("volume %s was not provisioned by the host cluster for a claim of this virtual cluster; the host's administrator can bind it by hand", virtual.Spec.VolumeName))
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
		shown = c.volumes.Now(ctx, types.NamespacedName{Name: host.Spec.VolumeName})
	}
	status := *host.Status.DeepCopy()
	if hasOtherVolume(c.translator, virtual, host) || hadVolume(virtual) && status.Phase != corev1.ClaimBound {
		status.Phase = corev1.ClaimLost
	}
	return errors.Join(shown, c.report(ctx, virtual, status))
}

// hasOtherVolume tells whether the host claim is bound to another volume than the one
// inside: somebody made it again, and the data are not in it. A volume of the tenant has a name of
// its own on the host.
func hasOtherVolume(translator *translate.Translator, virtual, host *corev1.PersistentVolumeClaim) bool {
	return virtual.Spec.VolumeName != "" && host.Spec.VolumeName != "" && virtual.Spec.VolumeName != host.Spec.VolumeName && !boundToOwn(translator, virtual, host)
}

// hadVolume tells whether the claim has been bound: its data are somewhere, or lost.
func hadVolume(virtual *corev1.PersistentVolumeClaim) bool {
	return virtual.Spec.VolumeName != "" && (virtual.Status.Phase == corev1.ClaimBound || virtual.Status.Phase == corev1.ClaimLost)
}

// hostMissing tells of a claim whose host claim is gone, and with it, for all that
// is known, its data. A host claim that is made in its place names the volume.
func (c *claims) hostMissing(ctx context.Context, virtual *corev1.PersistentVolumeClaim) (bool, error) {
	if !hadVolume(virtual) {
		return c.bind(ctx, virtual)
	}
	// One whose marker was taken off is not in the cache, and has its data.
	name := c.translator.HostName(virtual.Namespace, virtual.Name)
	if _, err := c.host.Claims.Writer(c.translator.Cluster().HostNamespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
		return true, engine.Refuse(reasonDetached, "its claim on the host cluster no longer has the labels of this virtual cluster")
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
		c.recorder.Eventf(virtual, corev1.EventTypeWarning, reasonLost, "Somebody deleted the claim on the host cluster that held the data. "+
			"This claim binds again when volume %s becomes available on the host cluster; to begin with an empty volume, delete the claim and create it again.", virtual.Spec.VolumeName)
	}
	return nil
}
