// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// isolation judges what differs from old.
func isolation(spec, old *tenancy.IsolationSpec, path *field.Path) field.ErrorList {
	errs := quotaHard(spec.Quota.Hard, old.Quota.Hard, path.Child("quota", "hard"))
	if !slices.Equal(spec.DeniedAnnotations, old.DeniedAnnotations) {
		errs = append(errs, deniedKeys(spec.DeniedAnnotations, path.Child("deniedAnnotations"))...)
	}
	if ptr.Deref(spec.NetworkPolicy.Enabled, true) || spec.NetworkPolicy.PublicEgress == nil || *spec.NetworkPolicy.PublicEgress {
		return errs
	}
	if ptr.Equal(spec.NetworkPolicy.Enabled, old.NetworkPolicy.Enabled) && ptr.Equal(spec.NetworkPolicy.PublicEgress, old.NetworkPolicy.PublicEgress) {
		return errs
	}
	return append(errs, field.Invalid(path.Child("networkPolicy", "publicEgress"), false,
		"has no effect without NetworkPolicies: set networkPolicy.enabled to true, or leave this out"))
}

// quotaHard judges the names that are new and the quantities that differ.
func quotaHard(hard, old corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(hard)) {
		quantity := hard[name]
		if before, known := old[name]; known && before.Cmp(quantity) == 0 {
			continue
		}
		at := path.Key(string(name))
		if !v1.IsQuotaName(name) && !countsRuled(name) {
			some := []corev1.ResourceName{v1.DevicesName("CLASS"), v1.CountName(schema.GroupResource{Resource: "RESOURCE", Group: "GROUP"})}
			errs = append(errs, field.NotSupported(at, name, append(v1.QuotaNames(), some...)))
			continue
		}
		switch {
		case quantity.Sign() < 0:
			errs = append(errs, field.Invalid(at, quantity.String(), "must be zero or more; leave it out for no limit"))
		case v1.CountsObjects(name) && quantity.MilliValue()%1000 != 0:
			errs = append(errs, field.Invalid(at, quantity.String(), "must be a whole number"))
		}
	}
	return errs
}

// countsRuled says whether the name counts the objects of a kind that a rule may be about. It does
// not ask for the rule: a HostCluster has a quota for virtual clusters with and without it.
func countsRuled(name corev1.ResourceName) bool {
	resource, group, _ := strings.Cut(strings.TrimPrefix(string(name), v1.QuotaCount), ".")
	kind := schema.GroupResource{Group: group, Resource: resource}
	return name == v1.CountName(kind) && len(ruledKind(&v1.KindRule{APIVersion: group + "/v1", Resource: resource}, nil)) == 0
}

// hostIsolation judges what an administrator opens to all virtual clusters.
func hostIsolation(spec *tenancy.HostIsolation, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, drivers := range map[string][]string{"inlineVolumeDrivers": spec.InlineVolumeDrivers, "deviceConfigDrivers": spec.DeviceConfigDrivers} {
		for i, driver := range drivers {
			for _, problem := range utilvalidation.IsDNS1123Subdomain(driver) {
				errs = append(errs, field.Invalid(path.Child(name).Index(i), driver, problem))
			}
		}
	}
	errs = append(errs, metadataKeys(spec.AllowedAnnotations, path.Child("allowedAnnotations"))...)
	errs = append(errs, metadataKeys(spec.AllowedLabels, path.Child("allowedLabels"))...)
	errs = append(errs, deniedKeys(spec.DeniedAnnotations, path.Child("deniedAnnotations"))...)
	errs = append(errs, podRules(&spec.Pods, path.Child("pods"))...)
	errs = append(errs, metadataKeys(spec.AllowedPodRules.Labels, path.Child("allowedPodRules", "labels"))...)
	errs = append(errs, metadataKeys(spec.AllowedPodRules.Annotations, path.Child("allowedPodRules", "annotations"))...)
	for i, name := range spec.AllowedPodRules.PriorityClasses {
		errs = append(errs, className(name, path.Child("allowedPodRules", "priorityClasses").Index(i))...)
	}
	errs = append(errs, allowedStorage(&spec.AllowedStorage, path.Child("allowedStorage"))...)
	errs = append(errs, ranges(spec.EndpointRanges, path.Child("endpointRanges"))...)
	errs = append(errs, ranges(spec.ExternalIPRanges, path.Child("externalIPRanges"))...)
	errs = append(errs, ranges(spec.EgressRanges, path.Child("egressRanges"))...)
	return append(errs, quotaHard(spec.Quota.Hard, nil, path.Child("quota", "hard"))...)
}

// deniedKeys allows * alone, besides what metadataKeys allows.
func deniedKeys(keys []string, path *field.Path) field.ErrorList {
	if slices.Equal(keys, []string{"*"}) {
		return nil
	}
	return metadataKeys(keys, path)
}

// metadataKeys allows keys of labels and annotations with a domain, and a * at the end of a name.
func metadataKeys(keys []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, key := range keys {
		whole := strings.TrimSuffix(key, "*")
		if whole != key {
			whole += "x"
		}
		switch {
		case !strings.Contains(key, "/"):
			errs = append(errs, field.Invalid(path.Index(i), key, "must be a key with its domain, such as example.org/size or example.org/*"))
		case v1.IsOwnKey(whole):
			errs = append(errs, field.Invalid(path.Index(i), key, "must not be in the domain garret.dev, whose keys say which virtual cluster an object belongs to"))
		default:
			for _, problem := range utilvalidation.IsQualifiedName(whole) {
				errs = append(errs, field.Invalid(path.Index(i), key, problem))
			}
		}
	}
	return errs
}

// ranges allows CIDRs that are written in the one way that there is for each.
func ranges(cidrs []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil:
			errs = append(errs, field.Invalid(path.Index(i), cidr, "must be an address range such as 192.0.2.0/24"))
		case prefix.Addr().Is4In6():
			errs = append(errs, field.Invalid(path.Index(i), cidr, "must be written as the IPv4 range that it is"))
		case prefix.Masked() != prefix:
			errs = append(errs, field.Invalid(path.Index(i), cidr, fmt.Sprintf("must begin with the first address of the range: %s", prefix.Masked())))
		}
	}
	return errs
}
