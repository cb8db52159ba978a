// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// maxPodRules is how many bytes rules may have: those of both sides are one argument of a
	// container, which Linux bounds.
	maxPodRules = 32 << 10
	// systemPriority begins the names of the priority classes that Kubernetes defines itself.
	systemPriority = "system-"
)

// podRules judges rules for all pods.
func podRules(rules *tenancy.PodRules, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, rule := range rules.Images {
		errs = append(errs, imagePlace(rule.From, path.Child("images").Index(i).Child("from"))...)
		errs = append(errs, imagePlace(rule.To, path.Child("images").Index(i).Child("to"))...)
	}
	errs = append(errs, metav1validation.ValidateLabels(rules.NodeSelector, path.Child("nodeSelector"))...)
	for i := range rules.Tolerations {
		errs = append(errs, toleration(&rules.Tolerations[i], path.Child("tolerations").Index(i))...)
	}
	if rules.RuntimeClassName != "" {
		errs = append(errs, className(rules.RuntimeClassName, path.Child("runtimeClassName"))...)
	}
	for i, rule := range rules.PriorityClasses {
		at := path.Child("priorityClasses").Index(i)
		errs = append(errs, className(rule.Name, at.Child("name"))...)
		errs = append(errs, className(rule.Host, at.Child("host"))...)
		if strings.HasPrefix(rule.Host, systemPriority) {
			errs = append(errs, field.Invalid(at.Child("host"), rule.Host, "must not begin with system-: such pods may push out what the host's nodes need"))
		}
	}
	errs = append(errs, metav1validation.ValidateLabels(rules.Labels, path.Child("labels"))...)
	errs = append(errs, ownKeys(rules.Labels, path.Child("labels"))...)
	errs = append(errs, apivalidation.ValidateAnnotations(rules.Annotations, path.Child("annotations"))...)
	errs = append(errs, ownKeys(rules.Annotations, path.Child("annotations"))...)
	return append(errs, podRulesSize(rules, path)...)
}

func podRulesSize(rules *tenancy.PodRules, path *field.Path) field.ErrorList {
	external := v1.PodRules{}
	if err := v1.Convert_tenancy_PodRules_To_v1_PodRules(rules, &external, nil); err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	argument, err := external.Argument()
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	if len(argument) > maxPodRules {
		return field.ErrorList{field.TooLong(path, "", maxPodRules)}
	}
	return nil
}

func className(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range utilvalidation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(path, name, problem))
	}
	return errs
}

// ownKeys refuses keys that say which virtual cluster a pod belongs to.
func ownKeys(values map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if v1.IsOwnKey(key) {
			errs = append(errs, field.Invalid(path.Key(key), values[key], "must not be in the domain garret.dev, whose keys say which virtual cluster an object belongs to"))
		}
	}
	return errs
}

// imagePlace allows a registry, with or without the beginning of a path, as it stands in the whole name of an image.
func imagePlace(place string, path *field.Path) field.ErrorList {
	registry, _, _ := strings.Cut(place, "/")
	if registry != "localhost" && !strings.ContainsAny(registry, ".:") {
		return field.ErrorList{field.Invalid(path, place, "must begin with a registry, such as docker.io or docker.io/library")}
	}
	// Of Docker's own registry, a name of one part is short for one in library.
	named, err := reference.ParseNormalizedNamed(place + "/x/x")
	if err != nil || named.Name() != place+"/x/x" {
		return field.ErrorList{field.Invalid(path, place, "must be a registry and a path in whole parts, such as docker.io/library: remove a tag, or a slash at the end")}
	}
	return nil
}

// toleration judges one as Kubernetes does.
func toleration(toleration *corev1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if toleration.Key != "" {
		for _, problem := range utilvalidation.IsQualifiedName(toleration.Key) {
			errs = append(errs, field.Invalid(path.Child("key"), toleration.Key, problem))
		}
	}
	switch toleration.Operator {
	case corev1.TolerationOpEqual, "":
		if toleration.Key == "" {
			errs = append(errs, field.Invalid(path.Child("operator"), toleration.Operator, "must be Exists when key is empty, which means all keys"))
		}
		for _, problem := range utilvalidation.IsValidLabelValue(toleration.Value) {
			errs = append(errs, field.Invalid(path.Child("value"), toleration.Value, problem))
		}
	case corev1.TolerationOpExists:
		if toleration.Value != "" {
			errs = append(errs, field.Invalid(path.Child("value"), toleration.Value, "must be empty when operator is Exists"))
		}
	default:
		errs = append(errs, field.NotSupported(path.Child("operator"), toleration.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
	}
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if toleration.Effect != "" && !slices.Contains(effects, toleration.Effect) {
		errs = append(errs, field.NotSupported(path.Child("effect"), toleration.Effect, effects))
	}
	if toleration.TolerationSeconds != nil && toleration.Effect != corev1.TaintEffectNoExecute {
		errs = append(errs, field.Invalid(path.Child("effect"), toleration.Effect, fmt.Sprintf("must be %s when tolerationSeconds is set", corev1.TaintEffectNoExecute)))
	}
	return errs
}
