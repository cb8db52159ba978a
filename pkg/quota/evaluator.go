// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	quotageneric "k8s.io/apiserver/pkg/quota/v1/generic"

	"garret.dev/garret/apis/tenancy/v1"
)

var _ quotav1.Evaluator = &evaluator{}

// evaluator counts virtual clusters, as the embedded one does, and what they ask for.
type evaluator struct {
	quotav1.Evaluator
	list quotageneric.ListFuncByNamespace
}

// NewEvaluator counts the virtual clusters of a namespace, by
// count/virtualclusters.tenancy.garret.dev and by our names.
func NewEvaluator(list quotageneric.ListFuncByNamespace) quotav1.Evaluator {
	return &evaluator{quotageneric.NewObjectCountEvaluator(v1.Resource("virtualclusters"), list, ""), list}
}

// Handles creates, and updates that change what is asked for. All others pass, whatever the
// quotas are now. Otherwise a quota could refuse the last update of an object that is being
// deleted, because somebody lowered the quota meanwhile.
func (e *evaluator) Handles(a admission.Attributes) bool {
	if a.GetSubresource() != "" {
		return false
	}
	switch a.GetOperation() {
	case admission.Create:
		return true
	case admission.Update:
		return !sameDemand(a.GetOldObject(), a.GetObject())
	}
	return false
}

// sameDemand is false when either is unknown: the error comes later, to the user.
func sameDemand(old, changed runtime.Object) bool {
	before, oldErr := demandOfObject(old)
	after, newErr := demandOfObject(changed)
	return oldErr == nil && newErr == nil && quotav1.Equals(before, after)
}

func demandOfObject(object runtime.Object) (corev1.ResourceList, error) {
	spec, err := specOf(object)
	if err != nil {
		return nil, err
	}
	return demandOf(spec)
}

// Matches is false for quotas with scopes, which are for pods.
func (e *evaluator) Matches(quota *corev1.ResourceQuota, object runtime.Object) (bool, error) {
	return quotageneric.Matches(quota, object, e.MatchingResources, quotageneric.MatchesNoScopeFunc)
}

// MatchingResources are those of the names that are counted here.
func (e *evaluator) MatchingResources(names []corev1.ResourceName) []corev1.ResourceName {
	return append(e.Evaluator.MatchingResources(names), quotav1.Intersection(names, Names())...)
}

// Usage is what one virtual cluster asks for.
func (e *evaluator) Usage(object runtime.Object) (corev1.ResourceList, error) {
	used, err := e.Evaluator.Usage(object)
	if err != nil {
		return nil, err
	}
	found, err := demandOfObject(object)
	if err != nil {
		return nil, err
	}
	maps.Copy(used, found)
	return used, nil
}

// UsageStats is what all of a namespace ask for.
func (e *evaluator) UsageStats(options quotav1.UsageStatsOptions) (quotav1.UsageStats, error) {
	return quotageneric.CalculateUsageStats(options, e.list, quotageneric.MatchesNoScopeFunc, e.Usage)
}
