// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"slices"
	"sort"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// fieldTree holds the rules of a kind by the fields that they are about. A field that no
// rule reaches is not copied, unless it is a part of one that is.
type fieldTree struct {
	// rule is about this field; nil for one that only leads to others.
	rule *tenancyv1.FieldRule
	// each says that rule and below are about the items of a list.
	each   bool
	within map[string]*fieldTree
}

// newFieldTree sorts the rules. One path cannot be a list for one rule and none for another.
func newFieldTree(rules []tenancyv1.FieldRule) (*fieldTree, error) {
	root := &fieldTree{within: map[string]*fieldTree{}}
	for i := range rules {
		steps, err := tenancyv1.ParsePath(rules[i].Path)
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", rules[i].Path, err)
		}
		at := root
		for _, step := range steps {
			next, known := at.within[step.Name]
			if !known {
				next = &fieldTree{each: step.Each, within: map[string]*fieldTree{}}
				at.within[step.Name] = next
			}
			if next.each != step.Each {
				return nil, fmt.Errorf("path %s: %s is a list in one path, and none in another", rules[i].Path, step.Name)
			}
			at = next
		}
		at.rule = &rules[i]
	}
	return root, nil
}

// use says what becomes of the field itself, given what becomes of the one that it is in.
func (f *fieldTree) use(around tenancyv1.FieldUse) tenancyv1.FieldUse {
	switch {
	case f.rule == nil:
		return around
	case f.rule.As == "":
		return tenancyv1.FieldCopied
	}
	return f.rule.As
}

// refersTo tells whether a Reference may name objects of the kind.
func (f *fieldTree) refersTo(definition string) bool {
	if f.rule != nil && f.rule.As == tenancyv1.FieldReference && f.rule.Of == definition {
		return true
	}
	for _, within := range f.within {
		if within.refersTo(definition) {
			return true
		}
	}
	return false
}

// forbidding says why a reference may not lead to another namespace inside. The reason may be
// empty, why is not.
type forbidding func(of schema.GroupResource, named types.NamespacedName, reference map[string]any) (reason, why string)

// translation carries one object to the host.
type translation struct {
	translator *translate.Translator
	namespace  string
	// named are the objects that it found named, by kind.
	named map[string][]types.NamespacedName
	// refer finds what a Reference may name.
	refer referrals
	// forbids says why a Reference may not lead to another namespace, and in one word for a condition;
	// empty where it may.
	forbids forbidding
	// admitting may be left out. It names the listeners that take a reference of which others do not.
	admitting func(reference map[string]any) []string
	// gatewayAPI says that the object is one of the Gateway API.
	gatewayAPI bool
	// barred are the references that may not lead where they say.
	barred []barred
	// shown are the objects of the host that it found named, by their names there.
	shown map[types.NamespacedName]types.NamespacedName
	// known may be left out. It is the name inside of what the object does not name, and its status does.
	known func(host types.NamespacedName) (types.NamespacedName, bool)
}

// translate returns what of the value, which lies at the path, goes to the host. Keep is
// false for what does not.
func (t *translation) translate(tree *fieldTree, around tenancyv1.FieldUse, path string, value any) (out any, keep bool, err error) {
	use := tree.use(around)
	if use == tenancyv1.FieldRefused {
		return nil, false, engine.Refuse(reasonUntranslatable, path+" cannot be synced to the host: leave it out")
	}
	if tree.each {
		items, is := value.([]any)
		if !is {
			return nil, false, engine.Refuse(reasonUntranslatable, path+" is not a list, although the rule of the kind expects one")
		}
		list := make([]any, 0, len(items))
		// The items are not lists themselves.
		one := fieldTree{rule: tree.rule, within: tree.within}
		for i := range items {
			for _, item := range t.spread(&one, items[i]) {
				out, keep, err := t.translate(&one, around, fmt.Sprintf("%s[%d]", path, i), item)
				if err != nil {
					return nil, false, err
				}
				if keep {
					list = append(list, out)
				}
			}
		}
		return list, use != tenancyv1.FieldOmitted && (use != "" || len(list) > 0), nil
	}
	if use == tenancyv1.FieldReference {
		return t.reference(tree, path, value)
	}
	if len(tree.within) > 0 {
		return t.inside(tree, use, path, value)
	}
	return t.leaf(tree.rule, use, path, value)
}

// inside translates an object of which some fields have rules of their own.
func (t *translation) inside(tree *fieldTree, use tenancyv1.FieldUse, path string, value any) (any, bool, error) {
	fields, is := value.(map[string]any)
	if !is {
		return nil, false, engine.Refuse(reasonUntranslatable, path+" is not an object, although the rule of the kind expects one")
	}
	made := map[string]any{}
	for _, name := range sortedKeys(fields) {
		at := name
		if path != "" {
			at = path + "." + name
		}
		field, ruled := tree.within[name]
		if !ruled {
			if use == tenancyv1.FieldCopied {
				made[name] = runtime.DeepCopyJSONValue(fields[name])
			}
			continue
		}
		out, keep, err := t.translate(field, use, at, fields[name])
		if err != nil {
			return nil, false, err
		}
		if keep {
			made[name] = out
		}
	}
	return made, use == tenancyv1.FieldCopied || len(made) > 0, nil
}

// leaf translates a field that has a rule, or is copied with the one that it is in.
func (t *translation) leaf(rule *tenancyv1.FieldRule, use tenancyv1.FieldUse, path string, value any) (any, bool, error) {
	refuse := func(why string) (any, bool, error) {
		return nil, false, engine.Refuse(reasonUntranslatable, path+" "+why)
	}
	switch use {
	case tenancyv1.FieldCopied:
		if rule != nil && len(rule.OneOf) > 0 && !slices.Contains(rule.OneOf, fmt.Sprint(value)) {
			return refuse(fmt.Sprintf("is %q, but the rule of the kind allows only %q", fmt.Sprint(value), rule.OneOf))
		}
		return runtime.DeepCopyJSONValue(value), true, nil
	case tenancyv1.FieldName:
		name, is := value.(string)
		if !is {
			return refuse("is no name")
		}
		if name == "" {
			return "", true, nil
		}
		namespace := t.namespace
		if rule.Of == tenancyv1.OwnSnapshotContents {
			namespace = metav1.NamespaceNone
		}
		t.named[rule.Of] = append(t.named[rule.Of], types.NamespacedName{Namespace: namespace, Name: name})
		return t.translator.HostName(namespace, name), true, nil
	case tenancyv1.FieldNamespace:
		if value != "" && value != t.namespace {
			return refuse(fmt.Sprintf("is %q, but the syncer only syncs references within the object's own namespace, %q", fmt.Sprint(value), t.namespace))
		}
	case tenancyv1.FieldLabels:
		labels, err := labelsOf(value)
		if err != nil {
			return refuse(err.Error())
		}
		return toAny(t.translator.HostSelector(t.namespace, labels)), true, nil
	case tenancyv1.FieldSelector:
		fields, is := value.(map[string]any)
		selector := &metav1.LabelSelector{}
		if !is || runtime.DefaultUnstructuredConverter.FromUnstructured(fields, selector) != nil {
			return refuse("is not a label selector")
		}
		out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(t.translator.HostLabelSelector(selector, []string{t.namespace}))
		return out, true, err
	}
	return nil, false, nil
}

func labelsOf(value any) (map[string]string, error) {
	fields, is := value.(map[string]any)
	if !is {
		return nil, fmt.Errorf("is not a map of labels")
	}
	labels := map[string]string{}
	for key, value := range fields {
		text, is := value.(string)
		if !is {
			return nil, fmt.Errorf("is not a map of labels: the value of %s is not a string", key)
		}
		labels[key] = text
	}
	return labels, nil
}

func toAny(labels map[string]string) map[string]any {
	out := map[string]any{}
	for key, value := range labels {
		out[key] = value
	}
	return out
}

func sortedKeys(fields map[string]any) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
