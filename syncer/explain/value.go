// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
)

// itemNames are the fields by which items of a list are known, the first that all have.
var itemNames = []string{"name", "mountPath", "devicePath", "ip", "conditionType"}

// every tells whether all values that there are have the type, and there is one.
func every[T any](values four) bool {
	found := false
	for _, value := range values.all() {
		if value == nil {
			continue
		}
		if _, is := value.(T); !is {
			return false
		}
		found = true
	}
	return found
}

// ofMaps tells whether the lists hold maps, and not nothing.
func ofMaps(values four) bool {
	found := false
	for _, list := range values.all() {
		for _, item := range items(list) {
			if _, is := item.(map[string]any); !is {
				return false
			}
			found = true
		}
	}
	return found
}

// nameOf is the field by which the items of the lists are known; empty for none. Names
// that the translation changes tell nothing.
func nameOf(path string, values four) string {
	if strings.HasSuffix(path, ".imagePullSecrets") {
		return ""
	}
	for _, name := range itemNames {
		if !slices.ContainsFunc(values.all(), func(list any) bool { return !distinct(list, name) }) {
			return name
		}
	}
	return ""
}

func distinct(list any, name string) bool {
	seen := map[string]bool{}
	for _, item := range items(list) {
		key, _ := valueOf(item, name).(string)
		if key == "" || seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

func itemsBy(name string, list any, keys *[]string) any {
	byName := map[string]any{}
	for _, item := range items(list) {
		key, _ := valueOf(item, name).(string)
		byName[key] = item
		if !slices.Contains(*keys, key) {
			*keys = append(*keys, key)
		}
	}
	return byName
}

func items(list any) []any {
	all, _ := list.([]any)
	return all
}

func itemAt(list any, i int) any {
	if all := items(list); i >= 0 && i < len(all) {
		return all[i]
	}
	return nil
}

func valueOf(value any, key string) any {
	fields, _ := value.(map[string]any)
	return fields[key]
}

func keysOf(values ...any) []string {
	keys := map[string]bool{}
	for _, value := range values {
		fields, _ := value.(map[string]any)
		for key := range fields {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

func isEmpty(value any) bool {
	fields, is := value.(map[string]any)
	return is && len(fields) == 0
}

// text is a value as an explanation shows it.
func text(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	}
	data, _ := json.Marshal(value)
	return string(data)
}

// harmless tells whether a value can be about nobody: a number, a switch, a quantity.
func harmless(value any) bool {
	switch value := value.(type) {
	case string:
		_, err := resource.ParseQuantity(value)
		return err == nil
	case int64, float64, bool, nil:
		return true
	}
	return false
}

func conceal(value *string) {
	if *value != "" {
		*value = v1alpha1.Hidden
	}
}

// dereferenced is the type that pointers lead to; nil for none.
func dereferenced(of reflect.Type) reflect.Type {
	for of != nil && of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	return of
}

// scalars are types of struct that are written as one value.
var scalars = []reflect.Type{reflect.TypeFor[resource.Quantity](), reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]()}

// named tells whether the type gives its fields their names.
func named(of reflect.Type) bool {
	of = dereferenced(of)
	return of != nil && of.Kind() == reflect.Struct && !slices.Contains(scalars, of)
}

// fieldOf is the type of a field, by its name in JSON.
func fieldOf(of reflect.Type, name string) (reflect.Type, bool) {
	of = dereferenced(of)
	if of == nil || of.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range of.NumField() {
		field := of.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == name {
			return field.Type, true
		}
		if field.Anonymous && tag == "" {
			if found, is := fieldOf(field.Type, name); is {
				return found, true
			}
		}
	}
	return nil, false
}
