// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command models prints the schemas of Garret's types as OpenAPI v2, for the
// generator of apply configurations. Without them the fake clientset could not
// apply, and nobody could extract what a field manager owns.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"garret.dev/garret/generated/openapi"
)

const (
	definitions = "#/definitions/"
	// ours begins the names of the models of Garret's types.
	ours = "dev.garret."
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "models:", err)
		os.Exit(1)
	}
}

func run() error {
	all := openapi.GetOpenAPIDefinitions(func(name string) spec.Ref {
		return spec.MustCreateRef(definitions + name)
	})
	kept := spec.Definitions{}
	for name := range all {
		if strings.HasPrefix(name, ours) {
			keep(name, all, kept)
		}
	}
	if len(kept) == 0 {
		return fmt.Errorf("no model's name begins with %s", ours)
	}
	return json.NewEncoder(os.Stdout).Encode(&spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Garret", Version: "unversioned"}},
		Definitions: kept,
	}})
}

// keep adds a model and all that it refers to.
func keep(name string, all map[string]common.OpenAPIDefinition, kept spec.Definitions) {
	definition, known := all[name]
	if _, done := kept[name]; done || !known {
		return
	}
	schema := definition.Schema
	// Where a type has one of its own for v2, the other cannot be read as v2.
	if v2, ok := schema.Extensions[common.ExtensionV2Schema].(spec.Schema); ok {
		schema = v2
	}
	kept[name] = schema
	for _, dependency := range definition.Dependencies {
		keep(dependency, all, kept)
	}
}
