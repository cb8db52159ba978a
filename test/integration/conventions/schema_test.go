// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"garret.dev/garret/test/framework"
)

func schemaChecks() []check {
	return []check{
		{"openapi-v3", "OpenAPI v3 has the kind, its list and its paths, and a description of every property", []need{noObject}, openAPIv3},
		{"openapi-v2", "OpenAPI v2, as the host merges it, has the same", []need{noObject}, openAPIv2},
		{"openapi-lists", "what merges by key says so in the schema", []need{aListMap}, openAPILists},
		{"openapi-list-types", "every list says how it merges, and a list that merges by key requires it of its elements", []need{noObject}, openAPIListTypes},
		{"explain", "kubectl explain has a sentence for every field", []need{noObject}, explain},
	}
}

// openAPI is a document of version 2 or 3.
type openAPI struct {
	document    map[string]any
	definitions map[string]any
	paths       map[string]any
}

// v3 reads what describes our group, once the host has asked for it.
func (s *subject) v3() openAPI {
	s.Helper()
	var found answer
	framework.Eventually(s, "the host has our description", func(context.Context) (bool, error) {
		found = s.send("GET", "/openapi/v3"+root, nil)
		return found.code == http.StatusOK, nil
	})
	got := s.decoded(found)
	schemas, _, _ := unstructured.NestedMap(got.Object, "components", "schemas")
	paths, _, _ := unstructured.NestedMap(got.Object, "paths")
	return openAPI{got.Object, schemas, paths}
}

// v2 reads what describes everything, once the host has merged us in.
func (s *subject) v2() openAPI {
	s.Helper()
	var doc openAPI
	framework.Eventually(s, "the host has merged our description", func(context.Context) (bool, error) {
		got := s.expect(http.StatusOK, s.send("GET", "/openapi/v2", nil))
		if !strings.Contains(string(got.body), `"`+root+`/`+s.resource) && !strings.Contains(string(got.body), "/"+s.resource+`"`) {
			return false, nil
		}
		s.decode(got, &doc.document)
		return true, nil
	})
	doc.definitions, _ = doc.document["definitions"].(map[string]any)
	doc.paths, _ = doc.document["paths"].(map[string]any)
	return doc
}

// of is the name and the schema of a kind of ours.
func (d openAPI) of(kind string) (string, map[string]any) {
	for name, each := range d.definitions {
		schema := each.(map[string]any)
		kinds, _, _ := unstructured.NestedSlice(schema, "x-kubernetes-group-version-kind")
		for _, k := range kinds {
			if gvk := k.(map[string]any); gvk["group"] == "tenancy.garret.dev" && gvk["version"] == "v1" && gvk["kind"] == kind {
				return name, schema
			}
		}
	}
	return "", nil
}

// target is the schema that a property refers to, or itself.
func (d openAPI) target(property map[string]any) map[string]any {
	ref, _ := property["$ref"].(string)
	for _, each := range anyOf(property) {
		if r, ok := each["$ref"].(string); ok {
			ref = r
		}
	}
	if ref == "" {
		return property
	}
	schema, _ := d.definitions[ref[strings.LastIndex(ref, "/")+1:]].(map[string]any)
	return schema
}

func anyOf(property map[string]any) []map[string]any {
	var all []map[string]any
	list, _ := property["allOf"].([]any)
	for _, each := range list {
		all = append(all, each.(map[string]any))
	}
	return all
}

// undescribed walks a schema and gives the paths of properties without a description.
func (d openAPI) undescribed(schema map[string]any, path string, depth int) []string {
	if schema == nil || depth > 12 {
		return []string{path + " leads nowhere"}
	}
	var bad []string
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property := properties[name].(map[string]any)
		at := path + "." + name
		if text, _ := property["description"].(string); strings.TrimSpace(text) == "" {
			bad = append(bad, at)
		}
		if name == "metadata" { // not ours
			continue
		}
		target := d.target(property)
		if items, ok := target["items"].(map[string]any); ok {
			target = d.target(items)
		}
		if more, ok := target["additionalProperties"].(map[string]any); ok {
			target = d.target(more)
		}
		bad = append(bad, d.undescribed(target, at, depth+1)...)
	}
	return bad
}

// described wants the kind and its list in a document, with all paths and a
// description of every property.
func (s *subject) described(doc openAPI) {
	s.Helper()
	for _, kind := range []string{s.kind.kind, s.kind.kind + "List"} {
		name, schema := doc.of(kind)
		if schema == nil {
			s.Fatalf("there is no definition of %s", kind)
		}
		if text, _ := schema["description"].(string); text == "" {
			s.Errorf("%s has no description", name)
		}
	}
	_, schema := doc.of(s.kind.kind)
	if bad := doc.undescribed(schema, s.singular, 0); len(bad) > 0 {
		s.Errorf("without a description: %v", bad)
	}
	collection := root + "/" + s.resource
	if s.namespaced {
		collection = root + "/namespaces/{namespace}/" + s.resource
	}
	for path, methods := range map[string][]string{
		collection: {"get", "post", "delete"}, collection + "/{name}": {"get", "put", "patch", "delete"},
	} {
		operations, _ := doc.paths[path].(map[string]any)
		for _, method := range methods {
			operation, _ := operations[method].(map[string]any)
			if operation == nil || operation["operationId"] == "" || operation["x-kubernetes-action"] == nil || operation["x-kubernetes-group-version-kind"] == nil {
				s.Errorf("%s %s: got %v, want an operation with its action and kind", method, path, operation)
			}
		}
	}
	if _, found := doc.paths[collection+"/{name}/status"]; found != s.status {
		s.Errorf("path of the status: got %v, want %v", found, s.status)
	}
}

func openAPIv3(s *subject) { s.described(s.v3()) }

func openAPIv2(s *subject) { s.described(s.v2()) }

func openAPILists(s *subject) {
	doc := s.v3()
	_, schema := doc.of(s.kind.kind)
	var property map[string]any
	for _, name := range s.mergedPath {
		properties, _ := schema["properties"].(map[string]any)
		property, _ = properties[name].(map[string]any)
		schema = doc.target(property)
	}
	if property["x-kubernetes-list-type"] != "map" || property["x-kubernetes-list-map-keys"] == nil ||
		property["x-kubernetes-patch-strategy"] != "merge" || property["x-kubernetes-patch-merge-key"] == nil {
		s.Errorf("%v: got %v, want a list of the type map with keys, that is patched by merging", s.mergedPath, property)
	}
}

// unmergeable walks a schema and gives the paths of lists that do not say how they merge.
func (d openAPI) unmergeable(schema map[string]any, path string, depth int) []string {
	if schema == nil || depth > 12 {
		return []string{path + " leads nowhere"}
	}
	var bad []string
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if name == "metadata" || name == "resources" { // not ours
			continue
		}
		property := properties[name].(map[string]any)
		at := path + "." + name
		target := d.target(property)
		items, list := target["items"].(map[string]any)
		if list {
			target = d.target(items)
			bad = append(bad, mergeFaults(property, target, at)...)
		} else if more, ok := target["additionalProperties"].(map[string]any); ok {
			target = d.target(more)
		}
		bad = append(bad, d.unmergeable(target, at, depth+1)...)
	}
	return bad
}

// mergeFaults are those of one list with elements of the schema given.
func mergeFaults(list, element map[string]any, at string) []string {
	required, _ := element["required"].([]any)
	switch list["x-kubernetes-list-type"] {
	case "atomic", "set":
		if list["x-kubernetes-patch-strategy"] != nil {
			return []string{at + " is atomic, but patched by merging"}
		}
		return nil
	case "map":
		keys, _ := list["x-kubernetes-list-map-keys"].([]any)
		var bad []string
		for _, key := range keys {
			if !slices.Contains(required, key) {
				bad = append(bad, fmt.Sprintf("%s has the key %v, which its elements may lack", at, key))
			}
		}
		if len(keys) != 1 || list["x-kubernetes-patch-strategy"] != "merge" || list["x-kubernetes-patch-merge-key"] != keys[0] {
			bad = append(bad, at+" is patched otherwise than it is applied")
		}
		return bad
	}
	return []string{at + " has no list type"}
}

func openAPIListTypes(s *subject) {
	for version, doc := range map[string]openAPI{"v2": s.v2(), "v3": s.v3()} {
		if _, schema := doc.of(s.kind.kind); schema != nil {
			if bad := doc.unmergeable(schema, s.singular, 0); len(bad) > 0 {
				s.Errorf("%s: %v", version, bad)
			}
		}
	}
}

func explain(s *subject) {
	s.says(s.kubectl().Do(s, "explain", s.short), "GROUP: ", "tenancy.garret.dev", "KIND: ", s.kind.kind, "DESCRIPTION:", "FIELDS:")
	recursive := s.kubectl().Do(s, "explain", s.resource, "--recursive")
	if last := s.path[len(s.path)-1]; !strings.Contains(recursive, last) {
		s.Errorf("explain --recursive: got\n%s\nwant %s", recursive, last)
	}
	field := s.resource + "." + strings.Join(s.path, ".")
	_, description, found := strings.Cut(s.kubectl().Do(s, "explain", field), "DESCRIPTION:")
	if !found || strings.Contains(description, "<no description>") || strings.Contains(description, "<empty>") {
		s.Errorf("explain %s: got %q, want a description", field, description)
	}
	s.kubectl().Refused(s, "unheard", "explain", s.resource+".spec.unheard")
}
