// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// tables are all, in the order of the documentation.
func tables() []typeRules {
	return slices.Concat(podTable(), containerTable(), volumeTable(), schedulingTable(), claimTable(), serviceTable(), ingressTable(), networkPolicyTable(), deviceTable(), storageTable())
}

// roots are the types of what goes to the host.
func roots() map[string]reflect.Type {
	return map[string]reflect.Type{
		"pod.spec": reflect.TypeFor[corev1.PodSpec](), "claim.spec": reflect.TypeFor[corev1.PersistentVolumeClaimSpec](),
		"service.spec": reflect.TypeFor[corev1.ServiceSpec](), "ingress.spec": reflect.TypeFor[networkingv1.IngressSpec](),
		"networkpolicy.spec": reflect.TypeFor[networkingv1.NetworkPolicySpec](), "resourceclaim.spec": reflect.TypeFor[resourcev1.ResourceClaimSpec](),
		"persistentvolume.spec": reflect.TypeFor[corev1.PersistentVolumeSpec](), "storageclass": reflect.TypeFor[storagev1.StorageClass](),
	}
}

// survey finds the fields of all types that may travel, and those that no rule decides.
type survey struct {
	seen      map[reflect.Type]bool
	undecided []string
}

func (s *survey) visit(of reflect.Type, path string) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice:
		s.visit(of.Elem(), path)
		return
	}
	if !nested(of) || s.seen[of] {
		return
	}
	if of.Kind() != reflect.Struct {
		s.undecided = append(s.undecided, path+" ("+of.String()+")")
		return
	}
	s.seen[of] = true
	for i := range of.NumField() {
		name, inline := jsonName(of.Field(i))
		if inline {
			s.visit(of.Field(i).Type, path)
			continue
		}
		rule, known := decisions[of][name]
		switch {
		case !known:
			s.undecided = append(s.undecided, path+"."+name+" of "+of.Name())
		case rule.decision == Passed || rule.decision == Translated || rule.allowed != nil:
			s.visit(of.Field(i).Type, path+"."+name)
		}
	}
}

// TestEveryFieldIsDecided fails for each field of a newer Kubernetes: decide it in
// the table of its type.
func TestEveryFieldIsDecided(t *testing.T) {
	s := survey{seen: map[reflect.Type]bool{}}
	for path, root := range roots() {
		s.visit(root, path)
	}
	for _, path := range s.undecided {
		t.Errorf("%s is not decided", path)
	}
	for _, table := range tables() {
		if !s.seen[table.of] {
			t.Errorf("%s is decided, and never travels", table.of)
		}
		decided := map[string]bool{}
		for _, rule := range table.rules {
			if rule.decision != Passed && rule.why == "" || (rule.decision == Refused) != (rule.remedy != "") {
				t.Errorf("%s: the rule of %v is not complete", table.of, rule.fields)
			}
			for _, name := range rule.fields {
				if decided[name] {
					t.Errorf("%s.%s is decided twice", table.of, name)
				}
				decided[name] = true
				if !slices.ContainsFunc(reflect.VisibleFields(table.of), func(f reflect.StructField) bool {
					found, _ := jsonName(f)
					return found == name && len(f.Index) == 1
				}) {
					t.Errorf("%s has no field %s", table.of, name)
				}
			}
		}
	}
	if len(tables()) != len(decisions) {
		t.Errorf("got %d types in decisions, and %d in tables: one is decided twice, or left out here", len(decisions), len(tables()))
	}
}

// newer stands for a type of a Kubernetes that the tables do not know.
type newer struct {
	Known  string            `json:"known"`
	Added  string            `json:"added"`
	Named  map[string]within `json:"named"`
	Nested []within          `json:"nested"`
	within `json:",inline"`
}

type within struct {
	Name string `json:"name"`
}

// TestWhatIsNotDecidedDoesNotTravel wants fields without a rule to be refused and emptied.
func TestWhatIsNotDecidedDoesNotTravel(t *testing.T) {
	w := walker{decisions: index([]typeRules{of[newer](passed("known", "named", "nested"))})}
	object := &newer{Known: "a", Added: "b", Named: map[string]within{"x": {"c"}}, Nested: []within{{"d"}}, within: within{"e"}}
	w.walk(reflect.ValueOf(object), field.NewPath("spec"))
	if object.Known != "a" || object.Added != "" || len(object.Named) > 0 || object.Nested[0].Name != "" || object.Name != "" {
		t.Errorf("got %+v, want the decided field alone", object)
	}
	var got []string
	for _, violation := range w.violations {
		got = append(got, violation.Field.String())
	}
	slices.Sort(got)
	if want := []string{"spec.added", "spec.name", "spec.named", "spec.nested[0].name"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	w = walker{decisions: map[reflect.Type]map[string]rule{}}
	w.walk(reflect.ValueOf(&newer{}), field.NewPath("spec"))
	if len(w.violations) > 0 {
		t.Errorf("fields that are not set: got %v, want no word", w.violations)
	}
}

// fill sets every field that may travel, and none that is refused.
func fill(value reflect.Value) {
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(value.Index(0))
	case reflect.Map:
		key, element := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
		fill(key)
		fill(element)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(key, element)
	case reflect.String:
		value.SetString("text")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int32, reflect.Int64:
		value.SetInt(7)
	case reflect.Struct:
		for i := range value.NumField() {
			name, inline := jsonName(value.Type().Field(i))
			if rule := decisions[value.Type()][name]; inline || rule.decision != Refused && rule.decision != "" {
				fill(value.Field(i))
			}
		}
	}
}

// TestWhatIsAllowedTravels wants all fields that are passed or translated to travel as
// they are, and what is left out to stay without a word.
func TestWhatIsAllowedTravels(t *testing.T) {
	spec := &corev1.PodSpec{}
	fill(reflect.ValueOf(spec).Elem())
	before := spec.DeepCopy()
	carried, violations := PodSpec(spec, Exceptions{})
	if len(violations) > 0 {
		t.Errorf("got %v, want nothing refused", violations.Err())
	}
	if !reflect.DeepEqual(spec, before) {
		t.Error("the spec was changed")
	}
	spec.AutomountServiceAccountToken, spec.Priority, spec.PriorityClassName, spec.PreemptionPolicy, spec.Overhead = nil, nil, "", nil, nil
	spec.SchedulingGates, spec.SchedulingGroup, spec.EvictionResponders = nil, nil, nil
	spec.Volumes[0].Ephemeral.VolumeClaimTemplate = nil
	if !reflect.DeepEqual(carried, spec) {
		t.Errorf("got %+v\nwant %+v", carried, spec)
	}
}

// TestDocumented wants docs/isolation.md to hold the tables.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/isolation.md")
	if err != nil {
		t.Fatal(err)
	}
	table := &strings.Builder{}
	fmt.Fprintln(table, "| type | fields | decision | why |")
	fmt.Fprintln(table, "| --- | --- | --- | --- |")
	for _, each := range tables() {
		for _, rule := range each.rules {
			if rule.decision == Passed && rule.why == "" {
				continue
			}
			decision, why := string(rule.decision), rule.why
			if rule.allowed != nil {
				decision += ", some values"
			}
			if rule.remedy != "" {
				why += "; " + rule.remedy
			}
			fmt.Fprintf(table, "| %s | `%s` | %s | %s |\n", each.of.Name(), strings.Join(slices.Sorted(slices.Values(rule.fields)), "`, `"), decision, why)
		}
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/isolation.md has another table than this package. It should be:\n%s", table)
	}
}
