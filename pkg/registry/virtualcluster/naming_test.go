// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// lendNothing are the fields that name something, and why that lends no right.
var lendNothing = map[string]string{
	"templateRef.name":                      "templates are there for everybody who makes virtual clusters, and what they fill in is judged as the writer's",
	"templateRef.version":                   "the same",
	"templateRef.parameters.name":           "it is the name of a parameter",
	"hostClusterRef.name":                   "there is one",
	"kubernetes.version":                    "it is the tag of an image that Garret names",
	"access.clusterRole":                    "it is in the virtual cluster, whose administrator the writer is",
	"controlPlane.resources.claims.name":    "validation refuses claims",
	"controlPlane.resources.claims.request": "validation refuses claims",
	"syncer.pods.images.from":               "a pod may name any image",
	"syncer.pods.runtimeClassName":          "a pod may name any class of the host",
	"syncer.pods.priorityClasses.name":      "the class is inside; the one on the host takes leave of the HostCluster",
	"controlPlane.storage.storageClassName": "a class is no object of the namespace; the host's quotas bound what is asked of it",
}

// naming matches the last part of the path of a field that names something.
var naming = regexp.MustCompile(`(?i)(ref|refs|name|names|from|secret|secrets|configmaps?|claims?|class|role|account|request|version)$`)

// TestFieldsThatName wants a decision about each field of a spec that names
// something: it takes a right, or a reason why it lends none.
func TestFieldsThatName(t *testing.T) {
	var found []string
	for _, path := range namingFields(reflect.TypeFor[v1.VirtualClusterSpec](), "") {
		lends := slices.ContainsFunc(lentFields, func(l lent) bool { return path == l.field || strings.HasPrefix(path, l.field+".") })
		if !lends && lendNothing[path] == "" {
			t.Errorf("spec.%s names something: give it a row in lentFields, or a reason in this test", path)
		}
		found = append(found, path)
	}
	for path := range lendNothing {
		if !slices.Contains(found, path) {
			t.Errorf("there is no field spec.%s", path)
		}
	}
	for _, each := range lentFields {
		if _, there := fieldAt(reflect.TypeFor[v1.VirtualClusterSpec](), strings.Split(each.field, ".")); !there {
			t.Errorf("there is no field spec.%s", each.field)
		}
	}
}

// namingFields are the paths of strings whose name says that they name something, and of
// everything in a type that refers to an object.
func namingFields(of reflect.Type, path string) []string {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return namingFields(of.Elem(), path)
	case reflect.String:
		if naming.MatchString(path) {
			return []string{path}
		}
	case reflect.Struct:
		var found []string
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || !field.IsExported() {
				continue
			}
			found = append(found, namingFields(field.Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
		return found
	}
	return nil
}

func fieldAt(of reflect.Type, path []string) (reflect.Type, bool) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if len(path) == 0 {
		return of, true
	}
	for field := range of.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name == path[0] {
			return fieldAt(field.Type, path[1:])
		}
	}
	return nil, false
}
