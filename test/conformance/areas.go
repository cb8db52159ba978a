// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"
)

// Areas choose specs that the conformance suite does not have.
type Areas struct {
	// Without is a regular expression of specs that belong to no area.
	Without string `json:"without"`
	// Features names optional features. A spec that needs another one belongs to no area.
	Features []string `json:"features"`
	// Areas are tried in their order.
	Areas []Area `json:"areas"`

	without *regexp.Regexp
}

// Area is a part of Kubernetes.
type Area struct {
	// Name is the title that the area has in tables.
	Name string `json:"name"`
	// Specs is a regular expression of its specs.
	Specs string `json:"specs"`
	// Without is a regular expression of specs that the area leaves out; empty for none.
	Without string `json:"without,omitempty"`
	// Reason is a sentence that says why the area leaves them out.
	Reason string `json:"reason,omitempty"`

	specs, without *regexp.Regexp
}

// ReadAreas reads a selection by areas.
func ReadAreas(file string) (*Areas, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	a := &Areas{}
	if err := yaml.UnmarshalStrict(data, a); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if a.without, err = pattern(a.Without); err != nil {
		return nil, fmt.Errorf("%s: without: %w", file, err)
	}
	for i := range a.Areas {
		area := &a.Areas[i]
		if area.Name == "" || area.Specs == "" {
			return nil, fmt.Errorf("%s: areas[%d]: name and specs are required", file, i)
		}
		if (area.Without == "") != (area.Reason == "") {
			return nil, fmt.Errorf("%s: areas[%d]: without and reason belong together", file, i)
		}
		if area.specs, err = pattern(area.Specs); err != nil {
			return nil, fmt.Errorf("%s: areas[%d].specs: %w", file, i, err)
		}
		if area.without, err = pattern(area.Without); err != nil {
			return nil, fmt.Errorf("%s: areas[%d].without: %w", file, i, err)
		}
	}
	return a, nil
}

// pattern returns nil for an empty expression, which would match everything.
func pattern(expression string) (*regexp.Regexp, error) {
	if expression == "" {
		return nil, nil
	}
	return regexp.Compile(expression)
}

// feature finds the names of optional features in the name of a spec.
var feature = regexp.MustCompile(`\[Feature:([^\]]+)\]`)

// Of returns the name of the area to which the spec belongs, or an empty one.
func (a *Areas) Of(spec string) string {
	if a.without != nil && a.without.MatchString(spec) {
		return ""
	}
	for _, needed := range feature.FindAllStringSubmatch(spec, -1) {
		if !slices.Contains(a.Features, needed[1]) {
			return ""
		}
	}
	for _, area := range a.Areas {
		if !area.specs.MatchString(spec) {
			continue
		}
		if area.without != nil && area.without.MatchString(spec) {
			return ""
		}
		return area.Name
	}
	return ""
}
