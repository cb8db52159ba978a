package server

import (
	"testing"

	restful "github.com/emicklei/go-restful/v3"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// TestConfigurationsHoldNoDefinitions wants nothing to be filled in by what builds documents.
func TestConfigurationsHoldNoDefinitions(t *testing.T) {
	name := func(*restful.Route) (string, []string, error) { return "readPod", nil, nil }
	calls := 0
	v2 := &openapicommon.Config{GetOperationIDAndTags: name}
	v3 := &openapicommon.OpenAPIV3Config{GetOperationIDAndTags: name,
		GetDefinitions: func(openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
			calls++
			return map[string]openapicommon.OpenAPIDefinition{"a": {}}
		}}
	v3.Definitions = v3.GetDefinitions(nil)
	slim(v2, v3)
	for version, operation := range map[string]func(openapicommon.Route) (string, []string, error){
		"v2": v2.GetOperationIDAndTagsFromRoute, "v3": v3.GetOperationIDAndTagsFromRoute,
	} {
		if operation == nil {
			t.Fatalf("%s: the builder of documents fills in a function that holds what it holds", version)
		}
		if got, _, err := operation(&restfuladapter.RouteAdapter{Route: &restful.Route{}}); err != nil || got != "readPod" {
			t.Errorf("%s: got the operation %q, error %v", version, got, err)
		}
		if _, _, err := operation(nil); err == nil {
			t.Errorf("%s: a route of another kind has an operation", version)
		}
	}
	(&lazyOpenAPI{v2: v2, v3: v3}).forget()
	if v3.Definitions != nil {
		t.Error("the configuration still holds the definitions")
	}
	reference := func(string) spec.Ref { return spec.Ref{} }
	first, second := v3.GetDefinitions(reference), v3.GetDefinitions(reference)
	if len(first) != 1 || len(second) != 1 || calls < 2 || calls > 3 {
		t.Errorf("got %d and %d definitions after %d calls", len(first), len(second), calls)
	}
}
