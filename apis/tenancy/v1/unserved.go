// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// UnservedKind is a synced kind of Kubernetes itself that the host is without.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type UnservedKind struct {
	SyncedKind
	// Field is where the spec switches it, below spec.syncer.
	Field string
	// Asked says that the spec asks for it by name. Otherwise it is on by default.
	Asked bool
}

// Message says what the host lacks, and what to do about it.
func (k *UnservedKind) Message() string {
	return fmt.Sprintf("the host does not serve %s of %s/%s, as Kubernetes does by default from %s on: have an administrator of the host upgrade it or switch the kind on there, or switch the field off",
		k.Resource, k.Group, k.Version, k.Since)
}

// AskedKinds are those of the catalogue that the spec asks for by name, by a field or a flag.
func (s *SyncerSpec) AskedKinds() []string { return namedByArgs(s.Args(), FlagSyncResources) }

// Unserved are the synced kinds that this host is without. Serves is asked about those that a host may
// lack. Kinds of CustomResourceDefinitions are not among them: a condition reports these.
func (s *SyncerSpec) Unserved(serves func(schema.GroupVersionResource) (bool, error)) ([]UnservedKind, error) {
	synced, err := SelectByArgs(s.Args())
	if err != nil {
		return nil, err
	}
	asked, fields := s.AskedKinds(), map[string]string{}
	for _, choice := range s.Choices() {
		fields[choice.Resource] = choice.Field
	}
	var missing []UnservedKind
	for _, kind := range Catalogue() {
		if !synced[kind.Resource] || kind.Since == "" {
			continue
		}
		is, err := serves(kind.GroupVersionResource())
		if err != nil {
			return nil, err
		}
		if !is {
			missing = append(missing, UnservedKind{kind, fields[kind.Resource], slices.Contains(asked, kind.Resource)})
		}
	}
	return missing, nil
}
