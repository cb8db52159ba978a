// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	corelisters "k8s.io/client-go/listers/core/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/validation"
	registrystrategy "garret.dev/garret/pkg/registry/strategy"
)

// strategy is for writes to metadata and spec.
type strategy struct {
	registrystrategy.Base
	validator *validation.Validator
	// namespaces are those of the host; nil where nobody knows them.
	namespaces corelisters.NamespaceLister
	now        func() time.Time
}

var (
	_ rest.RESTCreateStrategy = strategy{}
	_ rest.RESTUpdateStrategy = strategy{}
	_ rest.RESTDeleteStrategy = strategy{}

	_ rest.DeclarativeValidationStrategy = strategy{}
	_ rest.RESTUpdateStrategy            = statusStrategy{}

	_ rest.ResetFieldsStrategy = strategy{}
	_ rest.ResetFieldsStrategy = statusStrategy{}
)

func newStrategy(scheme *runtime.Scheme, validator *validation.Validator) strategy {
	base := registrystrategy.New(scheme)
	base.NameGenerator = shortNames{base.NameGenerator}
	return strategy{Base: base, validator: validator, now: time.Now}
}

// shortNames makes of metadata.generateName a name that is short enough.
type shortNames struct{ names.NameGenerator }

// generatedSuffix is how many characters the generator appends.
const generatedSuffix = 5

func (s shortNames) GenerateName(base string) string {
	return s.NameGenerator.GenerateName(base[:min(len(base), v1.MaxNameLength-generatedSuffix)])
}

func (strategy) NamespaceScoped() bool { return true }

func (s strategy) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	vc := obj.(*tenancy.VirtualCluster)
	return append(validation.Warnings(vc, nil), podSecurityWarnings(s.namespaces, vc, nil)...)
}

func (s strategy) WarningsOnUpdate(_ context.Context, obj, old runtime.Object) []string {
	vc, before := obj.(*tenancy.VirtualCluster), old.(*tenancy.VirtualCluster)
	return append(validation.Warnings(vc, before), podSecurityWarnings(s.namespaces, vc, before)...)
}

// PrepareForCreate starts the status afresh; the cluster id is there from the
// first moment, since everything that is made on the host carries it.
func (strategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	vc := obj.(*tenancy.VirtualCluster)
	vc.Generation = 1
	vc.Status = tenancy.VirtualClusterStatus{
		Phase:     tenancy.PhasePending,
		ClusterID: v1.ClusterID(vc.UID),
	}
	recordTemplate(ctx, vc)
}

func (strategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	vc, before := obj.(*tenancy.VirtualCluster), old.(*tenancy.VirtualCluster)
	vc.Status = *before.Status.DeepCopy()
	if !equality.Semantic.DeepEqual(vc.Spec, before.Spec) {
		vc.Generation = before.Generation + 1
	}
	recordTemplate(ctx, vc)
}

// recordTemplate writes into the status what became of the template in this write.
func recordTemplate(ctx context.Context, vc *tenancy.VirtualCluster) {
	result := outcomeFrom(ctx)
	if result == nil {
		return
	}
	vc.Status.Template = result.template
	if result.template == nil {
		meta.RemoveStatusCondition(&vc.Status.Conditions, tenancy.ConditionTemplateApplied)
		return
	}
	known := meta.FindStatusCondition(vc.Status.Conditions, tenancy.ConditionTemplateApplied)
	if known != nil && !result.applied && follows(vc) {
		// What kept a later change out, if anything did, still does.
		known.ObservedGeneration = vc.Generation
		return
	}
	meta.SetStatusCondition(&vc.Status.Conditions, metav1.Condition{
		Type: tenancy.ConditionTemplateApplied, Status: metav1.ConditionTrue, Reason: tenancy.ReasonApplied,
		Message:            fmt.Sprintf("Made from the template %s, version %s.", result.template.Name, result.template.Version),
		ObservedGeneration: vc.Generation,
	})
}

func (s strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	return s.validator.Create(obj.(*tenancy.VirtualCluster))
}

func (s strategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.validator.Update(obj.(*tenancy.VirtualCluster), old.(*tenancy.VirtualCluster))
}

// GetResetFields tells server-side apply which fields this path does not write.
func (strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return registrystrategy.ResetFields(fieldpath.MakePathOrDie("status"))
}

// statusStrategy is for writes to the status.
type statusStrategy struct{ strategy }

// PrepareForUpdate lets a write change the status only, without the template in it: who writes
// a status must not lift what a template forces. The cluster id changes only where retained
// data are adopted. A status without a phase keeps the earlier phase, and the time of the last
// activity never goes back.
func (s statusStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	vc, before := obj.(*tenancy.VirtualCluster), old.(*tenancy.VirtualCluster)
	vc.Spec = before.Spec
	metav1.ResetObjectMetaForStatus(vc, before)
	if bySyncer(ctx, before) {
		vc.Status = reported(&vc.Status, &before.Status)
	}
	vc.Status.Template = before.Status.Template
	if vc.Status.Phase == "" {
		vc.Status.Phase = before.Status.Phase
	}
	if !takesUp(ctx, vc, before) {
		vc.Status.ClusterID = before.Status.ClusterID
	}
	vc.Status.LastActivityTime = later(before.Status.LastActivityTime, vc.Status.LastActivityTime, s.now())
}

// later is the later of two times of activity, and none that is yet to come: who could write
// that would keep a virtual cluster awake for good.
func later(before, after *metav1.Time, now time.Time) *metav1.Time {
	if after != nil && after.After(now) {
		after = &metav1.Time{Time: now.Truncate(time.Second)}
	}
	if after == nil || (before != nil && !before.Before(after)) {
		return before
	}
	return after
}

// takesUp says whether a new status takes up the id of data that were retained.
// That is possible once, in place of the id that follows from the UID, and as long as
// nothing is made on the host that carries it. The syncer may write this status as
// well, and its Role is there a moment before the release is: it may not.
func takesUp(ctx context.Context, vc, before *tenancy.VirtualCluster) bool {
	untouched := before.Status.Phase == tenancy.PhasePending && before.Status.Release == nil && before.DeletionTimestamp == nil &&
		before.Status.ClusterID == v1.ClusterID(before.UID)
	_, known := request.UserFrom(ctx)
	return untouched && vc.Status.Phase == tenancy.PhasePending && v1.IsClusterID(vc.Status.ClusterID) && known && !bySyncer(ctx, before)
}

// bySyncer says whether the writer is the account of the virtual cluster's own syncer,
// which whoever has edit in its namespace can use.
func bySyncer(ctx context.Context, vc *tenancy.VirtualCluster) bool {
	writer, known := request.UserFrom(ctx)
	return known && writer.GetName() == serviceaccount.MakeUsername(vc.Namespace, v1.ReleaseName(vc.Name))
}

// syncersConditions are those that a syncer reports.
var syncersConditions = []string{
	v1.ConditionControlPlaneReady, v1.ConditionSyncerReady, v1.ConditionAccessApplied, v1.ConditionOrphaned, v1.ConditionMetricsAvailable,
	v1.ConditionCustomKindsSynced, v1.ConditionKubeconfigSecret,
}

// reported is what becomes of a status that a syncer writes: it says what it alone
// knows. Where the virtual cluster is, and whether it is ready, is for garret-controller.
func reported(now, before *tenancy.VirtualClusterStatus) tenancy.VirtualClusterStatus {
	status := *before.DeepCopy()
	status.KubernetesVersion, status.CertificateAuthorityData, status.Quota = now.KubernetesVersion, now.CertificateAuthorityData, now.Quota
	status.RestingFor, status.LastActivityTime = now.RestingFor, now.LastActivityTime
	ofSyncer := func(c metav1.Condition) bool { return slices.Contains(syncersConditions, c.Type) }
	status.Conditions = slices.DeleteFunc(status.Conditions, ofSyncer)
	for _, condition := range now.Conditions {
		if ofSyncer(condition) {
			status.Conditions = append(status.Conditions, condition)
		}
	}
	return status
}

// WarningsOnUpdate are about the spec, which stays.
func (statusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (statusStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.StatusUpdate(obj.(*tenancy.VirtualCluster), old.(*tenancy.VirtualCluster))
}

// GetResetFields tells server-side apply which fields this path does not write.
func (statusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return registrystrategy.StatusResetFields(fieldpath.MakePathOrDie("status", "clusterID"), fieldpath.MakePathOrDie("status", "template"))
}

// attributes are what label and field selectors choose by.
func attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	vc, ok := obj.(*tenancy.VirtualCluster)
	if !ok {
		return nil, nil, fmt.Errorf("not a VirtualCluster but a %T", obj)
	}
	template := ""
	if ref := vc.Spec.TemplateRef; ref != nil {
		template = ref.Name
	}
	return vc.Labels, generic.MergeFieldsSets(generic.ObjectMetaFieldsSet(&vc.ObjectMeta, true), fields.Set{
		v1.FieldStatusPhase:           string(vc.Status.Phase),
		v1.FieldSpecKubernetesVersion: vc.Spec.Kubernetes.Version,
		v1.FieldSpecHostClusterRef:    vc.Spec.HostClusterRef.Name,
		v1.FieldSpecTemplateRef:       template,
	}), nil
}
