// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

//go:embed tenant.schema.json
var tenantSchema []byte

// maxTenantBytes bounds the values of one virtual cluster: each revision of a
// release keeps a copy.
const maxTenantBytes = 32 << 10

// ValidateTenantValues checks what a VirtualCluster's spec.helm.values holds. The
// error names the field of every value that is not the tenant's to set, and of
// every one that is malformed.
func ValidateTenantValues(values map[string]any) error {
	return TenantErrors(values, field.NewPath("spec", "helm", "values")).ToAggregate()
}

// TenantErrors is ValidateTenantValues with the errors one by one, each below path.
func TenantErrors(values map[string]any, path *field.Path) field.ErrorList {
	if len(values) == 0 {
		return nil
	}
	data, err := json.Marshal(values)
	if err != nil {
		return field.ErrorList{field.Invalid(path, "", fmt.Sprintf("not JSON: %v", err))}
	}
	if len(data) > maxTenantBytes {
		return field.ErrorList{field.TooLong(path, "", maxTenantBytes)}
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return field.ErrorList{field.Invalid(path, "", err.Error())}
	}
	schema, err := compile(tenantSchema)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	if err := schema.Validate(instance); err != nil {
		var invalid *jsonschema.ValidationError
		if !errors.As(err, &invalid) {
			return field.ErrorList{field.InternalError(path, err)}
		}
		return schemaErrors(invalid, path)
	}
	return typedErrors(data, path)
}

func compile(schema []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("read the schema of tenant values: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("tenant.schema.json", document); err != nil {
		return nil, fmt.Errorf("read the schema of tenant values: %w", err)
	}
	return compiler.Compile("tenant.schema.json")
}

// schemaErrors turns the leaves of a schema's verdict into field errors.
func schemaErrors(invalid *jsonschema.ValidationError, path *field.Path) field.ErrorList {
	at := path
	for _, name := range invalid.InstanceLocation {
		if index, err := strconv.Atoi(name); err == nil {
			at = at.Index(index)
		} else {
			at = at.Child(name)
		}
	}
	switch what := invalid.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		var errs field.ErrorList
		for _, name := range what.Properties {
			errs = append(errs, field.Forbidden(at.Child(name), "is not among the values that the owner of a virtual cluster may set"))
		}
		return errs
	case *kind.PropertyNames:
		return field.ErrorList{field.Invalid(at.Child(what.Property), what.Property,
			"this key is not allowed here: labels and annotations need a domain of your own before the name, such as example.com/team; resources are cpu, memory and ephemeral-storage")}
	}
	if len(invalid.Causes) == 0 {
		return field.ErrorList{field.Invalid(at, field.OmitValueType{}, invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English)))}
	}
	var errs field.ErrorList
	for _, cause := range invalid.Causes {
		errs = append(errs, schemaErrors(cause, path)...)
	}
	return errs
}

// tenantTypes are the parts of the tenant's values that are Kubernetes' own types,
// which say better than a schema what is well-formed.
type tenantTypes struct {
	Pod struct {
		Tolerations               []corev1.Toleration               `json:"tolerations"`
		Affinity                  *corev1.Affinity                  `json:"affinity"`
		TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints"`
	} `json:"pod"`
	Syncer struct {
		Resources struct {
			Requests map[string]resource.Quantity `json:"requests"`
			Limits   map[string]resource.Quantity `json:"limits"`
		} `json:"resources"`
	} `json:"syncer"`
}

// typedErrors reads the values as those types, unknown fields being errors, and
// checks what the host would otherwise refuse only after the release was made.
func typedErrors(data []byte, path *field.Path) field.ErrorList {
	var typed tenantTypes
	strict, err := kjson.UnmarshalStrict(data, &typed)
	if err != nil {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, err.Error())}
	}
	var errs field.ErrorList
	for _, problem := range strict {
		// Only below these is a type known; the schema has seen to the others.
		for _, known := range []string{"pod.tolerations", "pod.affinity", "pod.topologySpreadConstraints", "syncer.resources"} {
			if strings.Contains(problem.Error(), `"`+known) {
				errs = append(errs, field.Invalid(path, field.OmitValueType{}, problem.Error()))
			}
		}
	}
	resources := path.Child("syncer", "resources")
	for name, limit := range typed.Syncer.Resources.Limits {
		if request, set := typed.Syncer.Resources.Requests[name]; set && request.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(resources.Child("requests").Key(name), request.String(), "must not exceed the limit of "+limit.String()))
		}
	}
	tolerations := path.Child("pod", "tolerations")
	for i, toleration := range typed.Pod.Tolerations {
		errs = append(errs, tolerationErrors(toleration, tolerations.Index(i))...)
	}
	return errs
}

func tolerationErrors(toleration corev1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	operators := []corev1.TolerationOperator{"", corev1.TolerationOpEqual, corev1.TolerationOpExists}
	if !slices.Contains(operators, toleration.Operator) {
		errs = append(errs, field.NotSupported(path.Child("operator"), toleration.Operator, operators[1:]))
	}
	if toleration.Operator == corev1.TolerationOpExists && toleration.Value != "" {
		errs = append(errs, field.Invalid(path.Child("value"), toleration.Value, "must be empty when the operator is Exists"))
	}
	if toleration.Key == "" && toleration.Operator != corev1.TolerationOpExists {
		errs = append(errs, field.Invalid(path.Child("operator"), toleration.Operator, "must be Exists when the key is empty"))
	}
	effects := []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if !slices.Contains(effects, toleration.Effect) {
		errs = append(errs, field.NotSupported(path.Child("effect"), toleration.Effect, effects[1:]))
	}
	return errs
}
