// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// snapshotClasses shows the host's classes of volume snapshots, where both sides serve them.
func (b *builder) snapshotClasses() {
	kind, served := b.wideKind(tenancyv1.ResourceSnapshotClasses)
	if !served {
		return
	}
	at := kind.GroupVersionResource()
	b.snapshotsInside = engine.NewDynamicStore(b.Virtual.Informers, at, kind.Kind, b.Rules.Virtual, engine.StoreOptions{})
	b.snapshotsOf = engine.NewDynamicStore(b.Host.Informers, at, kind.Kind, b.Rules.Host, engine.StoreOptions{LabelSelector: b.HostSelectors[at.Resource]})
	showClass(b, b.snapshotsInside, b.snapshotsOf, class[*unstructured.Unstructured]{defaults: defaultSnapshotClass, copy: func(host, inside *unstructured.Unstructured) {
		// Parameters may name secrets, servers and accounts of the host.
		for _, field := range []string{"driver", "deletionPolicy"} {
			inside.Object[field] = host.Object[field]
		}
		delete(inside.Object, "parameters")
	}})
}

// showsClass tells whether the class of the host is shown inside.
func (b *builder) showsClass(class string) bool {
	if b.snapshotsOf == nil {
		return false
	}
	_, shown := b.snapshotsOf.Get("", class)
	return shown
}

// classOnHost is the class that a snapshot has on the host; empty for what the rule says. Before is the one
// that it has there already: of one that names none, the host has chosen it, and of one that is
// taken, the class says nothing any more.
func (s *snapshots) classOnHost(virtual, host *unstructured.Unstructured, before string) (string, error) {
	class := classNameOf(virtual)
	taken, _, _ := unstructured.NestedString(host.Object, "status", boundContentName)
	switch {
	case class == "":
		return before, nil
	case !s.byGarret:
		return "", nil
	case class == before, before != "" && taken != "":
		return before, nil
	}
	if own, is := s.b.ownSnapshotClass(class); is {
		if like := s.b.shownLike(own); like != "" {
			return like, nil
		}
		return "", engine.Refuse(reasonForbidden, fmt.Sprintf("spec.%s is %q, and no class of the host that is shown here has its driver and its deletionPolicy, and it may have no parameters: "+
			"name a class of the host, or none for the default of the host", snapshotClassName, class))
	}
	if s.b.showsClass(class) {
		return class, nil
	}
	return "", engine.Refuse(reasonForbidden, fmt.Sprintf("spec.%s is %q, which is no class of the host that is shown here: name one that is, or none for the default of the host", snapshotClassName, class))
}

// ownSnapshotClass is the class of this name, where a tenant has created it.
func (b *builder) ownSnapshotClass(name string) (*unstructured.Unstructured, bool) {
	if b.snapshotsInside == nil {
		return nil, false
	}
	class, found := b.snapshotsInside.Get("", name)
	return class, found && !isShown(class, tenancyv1.LabelCluster, b.Translator.Cluster().ID)
}

// shownLike is the class of the host that does what a tenant's does: with the same driver and deletion
// policy. What a tenant writes into parameters would reach the driver with the host's rights, so there must be
// none. Of several it is the host's default, or else the first by name; empty for none.
func (b *builder) shownLike(own *unstructured.Unstructured) string {
	if parameters, _, _ := unstructured.NestedMap(own.Object, "parameters"); len(parameters) > 0 || b.snapshotsOf == nil {
		return ""
	}
	like := slices.DeleteFunc(b.snapshotsOf.List(), func(host *unstructured.Unstructured) bool {
		return host.Object["driver"] != own.Object["driver"] || host.Object["deletionPolicy"] != own.Object["deletionPolicy"]
	})
	if len(like) == 0 {
		return ""
	}
	rank := func(class *unstructured.Unstructured) int {
		if class.GetAnnotations()[defaultSnapshotClass] == "true" {
			return 0
		}
		return 1
	}
	return slices.MinFunc(like, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.GetName(), b.GetName()))
	}).GetName()
}

// ofClass are the snapshots that name the class, and those that name one of the tenant's, which may be like it.
func (s *snapshots) ofClass(class any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, virtual := range s.virtual.List() {
		named := classNameOf(virtual)
		if _, own := s.b.ownSnapshotClass(named); own || named == class.(*unstructured.Unstructured).GetName() {
			keys = append(keys, engine.KeyOf(virtual))
		}
	}
	return keys
}
