// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Decision is what becomes of a field that a tenant sets.
type Decision string

const (
	// Passed fields go to the host as they are.
	Passed Decision = "passed"
	// Translated fields go to the host with another value, which resources writes.
	Translated Decision = "translated"
	// LeftOut fields silently stay inside.
	LeftOut Decision = "left out"
	// Refused fields keep their object from the host.
	Refused Decision = "refused"
)

// Exceptions are what the host's administrator opens to tenants.
type Exceptions struct {
	// InlineVolumeDrivers are the CSI drivers that inline volumes may name.
	InlineVolumeDrivers []string
	// ExternalIPs are the ranges that Services may name as external addresses.
	ExternalIPs tenancyv1.AddressRanges
	// Devices says that claims of devices go to the host.
	Devices bool
	// DeviceConfigDrivers are the drivers of devices that claims may configure.
	DeviceConfigDrivers []string
	// Storage is what PersistentVolumes, StorageClasses and VolumeSnapshotContents of the tenant may be.
	Storage tenancyv1.AllowedStorage
	// DeviceClass tells whether claims may name the device class; nil for none.
	DeviceClass func(name string) bool
	// AttributesClass tells whether claims may name the class of volume attributes; nil for none.
	AttributesClass func(name string) bool
}

// rule decides some fields of one type.
type rule struct {
	decision Decision
	fields   []string
	// why is the reason of the decision; of a refusal, the rule.
	why string
	// remedy says who can lift a refusal, or what serves instead.
	remedy string
	// allowed lets values pass that are not refused. Without it, all are.
	allowed func(value any, exceptions Exceptions) bool
}

func passed(fields ...string) rule { return rule{decision: Passed, fields: fields} }

func translated(why string, fields ...string) rule {
	return rule{decision: Translated, fields: fields, why: why}
}

func leftOut(why string, fields ...string) rule {
	return rule{decision: LeftOut, fields: fields, why: why}
}

func refused(why, remedy string, fields ...string) rule {
	return rule{decision: Refused, fields: fields, why: why, remedy: remedy}
}

// because gives a reason to a rule that passes fields.
func (r rule) because(why string) rule {
	r.why = why
	return r
}

// unless makes a refusal one of some values only.
func (r rule) unless(allowed func(value any, exceptions Exceptions) bool) rule {
	r.allowed = allowed
	return r
}

// typeRules decide all fields of a type.
type typeRules struct {
	of    reflect.Type
	rules []rule
}

func of[T any](rules ...rule) typeRules { return typeRules{reflect.TypeFor[T](), rules} }

// decisions are all rules, by type and by the field's name in JSON.
var decisions = index(slices.Concat(podTable(), volumeTable(), containerTable(), schedulingTable(), claimTable(), serviceTable(), ingressTable(), networkPolicyTable(), deviceTable(), storageTable()))

func index(tables []typeRules) map[reflect.Type]map[string]rule {
	indexed := map[reflect.Type]map[string]rule{}
	for _, table := range tables {
		byField := map[string]rule{}
		for _, rule := range table.rules {
			for _, name := range rule.fields {
				byField[name] = rule
			}
		}
		indexed[table.of] = byField
	}
	return indexed
}

// undecided is the rule of a field that stands in no table.
var undecided = refused("this release of Garret does not know the field", "leave it out, or upgrade Garret")

// values are types of struct without fields of their own to decide.
var values = []reflect.Type{reflect.TypeFor[resource.Quantity](), reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[metav1.Time](), reflect.TypeFor[runtime.RawExtension]()}

// Violation is a field that keeps its object from the host.
type Violation struct {
	Field *field.Path
	// Value is what the field holds, where that is a text.
	Value        string
	Rule, Remedy string
}

func (v Violation) String() string {
	name := v.Field.String()
	if v.Value != "" {
		name += fmt.Sprintf(" %q", v.Value)
	}
	return fmt.Sprintf("%s is refused: %s; %s", name, v.Rule, v.Remedy)
}

// Violations are all that keep an object from the host.
type Violations []Violation

// Err is an error in words for tenants, or nil for none.
func (v Violations) Err() error {
	if len(v) == 0 {
		return nil
	}
	return violationsError(v)
}

type violationsError Violations

func (e violationsError) Error() string {
	var words []string
	for _, violation := range e {
		words = append(words, violation.String())
	}
	return strings.Join(words, ". ")
}

// copier is a spec that copies itself.
type copier[T any] interface {
	*T
	DeepCopy() *T
}

// carry returns a copy that holds only what is passed or translated, and the fields
// that are refused.
func carry[T any, P copier[T]](spec P, path *field.Path, exceptions Exceptions) (P, Violations) {
	copied := spec.DeepCopy()
	w := walker{decisions: decisions, exceptions: exceptions}
	w.walk(reflect.ValueOf(copied), path)
	return copied, w.violations
}

// walker takes out of a value what may not travel.
type walker struct {
	decisions  map[reflect.Type]map[string]rule
	exceptions Exceptions
	violations Violations
}

func (w *walker) walk(value reflect.Value, path *field.Path) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			w.walk(value.Elem(), path)
		}
	case reflect.Slice:
		if nested(value.Type().Elem()) {
			for i := range value.Len() {
				w.walk(value.Index(i), path.Index(i))
			}
		}
	case reflect.Struct:
		if !slices.Contains(values, value.Type()) {
			w.fields(value, path)
		}
	default:
		if nested(value.Type()) && !empty(value) {
			w.refuse(value, path, undecided)
		}
	}
}

// fields decides each field of a struct.
func (w *walker) fields(value reflect.Value, path *field.Path) {
	rules := w.decisions[value.Type()]
	for i := range value.NumField() {
		name, inline := jsonName(value.Type().Field(i))
		if inline {
			w.walk(value.Field(i), path)
			continue
		}
		rule, known := rules[name]
		if !known {
			rule = undecided
		}
		switch here := value.Field(i); {
		case rule.decision == LeftOut:
			here.SetZero()
		case rule.decision == Refused && !empty(here) && (rule.allowed == nil || !rule.allowed(here.Interface(), w.exceptions)):
			w.refuse(here, path.Child(name), rule)
		default:
			w.walk(here, path.Child(name))
		}
	}
}

func (w *walker) refuse(value reflect.Value, path *field.Path, rule rule) {
	violation := Violation{Field: path, Rule: rule.why, Remedy: rule.remedy}
	if plain := reflect.Indirect(value); plain.Kind() == reflect.String {
		violation.Value = plain.String()
	}
	w.violations = append(w.violations, violation)
	value.SetZero()
}

// empty tells whether a field is as good as not set.
func empty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Slice, reflect.Map:
		return value.Len() == 0
	}
	return value.IsZero()
}

// nested tells whether values of the type have fields of their own.
func nested(kind reflect.Type) bool {
	switch kind.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return nested(kind.Elem())
	case reflect.Struct:
		return !slices.Contains(values, kind)
	case reflect.Interface:
		return true
	}
	return false
}

// jsonName is the name of a field in JSON; inline says that its own fields stand in its place.
func jsonName(of reflect.StructField) (name string, inline bool) {
	name, _, _ = strings.Cut(of.Tag.Get("json"), ",")
	return name, of.Anonymous && name == ""
}

// Decided returns what the tables decide about a field of a struct, by its name in JSON, and
// why. It is false for a struct of which no table says anything.
func Decided(of reflect.Type, name string) (Decision, string, bool) {
	rules, known := decisions[of]
	if !known {
		return "", "", false
	}
	decided, known := rules[name]
	if !known {
		decided = undecided
	}
	return decided.decision, decided.why, true
}
