// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"slices"
	"testing"
)

// A need is what a check asks of a kind. A kind without it has no such row.
type need int

const (
	// several objects, which can be made and deleted.
	several need = iota
	// aStatus that is a subresource.
	aStatus
	// noStatus at all.
	noStatus
	// someDefaults, and someImmutable fields, of which there may be none.
	someDefaults
	someImmutable
	// aNamespace that the objects are in.
	aNamespace
	// doors into what the object stands for: the subresources kubeconfig and proxy.
	doors
	// aListMap that merges by key in the spec.
	aListMap
	// aFreeForm field, whose inside no schema describes.
	aFreeForm
	// someWarnings about what the spec may say.
	someWarnings
	// noObject at all: every kind has that.
	noObject
)

// has says whether a kind has what a check needs.
func (k *kind) has(n need) bool {
	switch n {
	case several:
		return k.only == ""
	case aStatus:
		return k.status
	case noStatus:
		return !k.status
	case someDefaults:
		return len(k.defaulted) > 0
	case someImmutable:
		return len(k.immutable) > 0
	case aNamespace:
		return k.namespaced
	case doors:
		return k.doors
	case aListMap:
		return k.mergedPath != nil
	case aFreeForm:
		return k.freePath != nil
	case someWarnings:
		return len(k.warned) > 0
	case noObject:
		return true
	}
	return false
}

// check is one convention.
type check struct {
	name string
	// convention says in words what holds.
	convention string
	needs      []need
	run        func(*subject)
}

// checks are all conventions, by what they are about.
func checks() []check {
	return slices.Concat(
		objectChecks(), writeChecks(), statusChecks(), patchChecks(), applyChecks(), validationChecks(),
		listChecks(), watchChecks(), discoveryChecks(), representationChecks(),
		deletionChecks(), protocolChecks(), schemaChecks(), kubectlChecks(),
		policyChecks(), webhookChecks(), doorChecks(),
	)
}

// TestConventions holds every kind to every convention. The objects of a check
// are its own, so that checks run beside each other; where a kind has but one
// object, those that need it take turns.
func TestConventions(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(k.resource, func(t *testing.T) {
			t.Parallel()
			var turns, beside []check
			for _, c := range checks() {
				switch {
				case slices.ContainsFunc(c.needs, func(n need) bool { return !k.has(n) }):
				case k.only != "" && !slices.Contains(c.needs, noObject):
					turns = append(turns, c)
				default:
					beside = append(beside, c)
				}
			}
			if len(turns) > 0 {
				t.Run("in turn", func(t *testing.T) {
					t.Parallel()
					for _, c := range turns {
						t.Run(c.name, func(t *testing.T) { c.holds(t, k) })
					}
				})
			}
			for _, c := range beside {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.holds(t, k)
				})
			}
		})
	}
}

// holds does the check for a kind.
func (c check) holds(t *testing.T, k *kind) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the convention: %s", c.convention)
		}
	})
	c.run(newSubject(t, k))
}
