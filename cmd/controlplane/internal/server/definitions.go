package server

import (
	"fmt"
	"sync"
	"weak"

	restful "github.com/emicklei/go-restful/v3"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
)

// slim keeps the configurations of OpenAPI documents from holding the definitions of all types,
// of which each copy takes five MiB. What builds a document fills in a function where there is
// none, and that function holds what the builder held.
func slim(v2 *openapicommon.Config, v3 *openapicommon.OpenAPIV3Config) {
	if v2 != nil && v2.GetOperationIDAndTagsFromRoute == nil && v2.GetOperationIDAndTags != nil {
		v2.GetOperationIDAndTagsFromRoute = operation(v2.GetOperationIDAndTags)
	}
	if v3 == nil {
		return
	}
	if v3.GetOperationIDAndTagsFromRoute == nil && v3.GetOperationIDAndTags != nil {
		v3.GetOperationIDAndTagsFromRoute = operation(v3.GetOperationIDAndTags)
	}
	v3.GetDefinitions = shared(v3.GetDefinitions)
}

// operation names the operation of a route, as the builders of documents do by themselves.
func operation(name func(*restful.Route) (string, []string, error)) func(openapicommon.Route) (string, []string, error) {
	return func(route openapicommon.Route) (string, []string, error) {
		adapted, ok := route.(*restfuladapter.RouteAdapter)
		if !ok {
			return "", nil, fmt.Errorf("a route is %T, not one of go-restful", route)
		}
		return name(adapted.Route)
	}
}

// shared returns the definitions of the last call until they are collected as garbage. Several
// documents are often asked for at once, and all refer to types in the same way.
func shared(get openapicommon.GetOpenAPIDefinitions) openapicommon.GetOpenAPIDefinitions {
	var mu sync.Mutex
	var last weak.Pointer[map[string]openapicommon.OpenAPIDefinition]
	return func(reference openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
		mu.Lock()
		defer mu.Unlock()
		if known := last.Value(); known != nil {
			return *known
		}
		definitions := get(reference)
		last = weak.Make(&definitions)
		return definitions
	}
}
