// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

const (
	defaultSnapshotClass = "snapshot.storage.kubernetes.io/is-default-class"
	snapshotClassName    = "volumeSnapshotClassName"
	snapshotContentName  = "volumeSnapshotContentName"
)

// snapshotClasses shows the host's classes of volume snapshots, where both sides serve them.
func (b *builder) snapshotClasses() {
	for _, kind := range b.Rules.Classes {
		if kind.Resource != tenancyv1.ResourceSnapshotClasses {
			continue
		}
		at := kind.GroupVersionResource()
		inside := engine.NewDynamicStore(b.Virtual.Informers, at, kind.Kind, b.Rules.Virtual, engine.StoreOptions{})
		b.snapshotsOf = engine.NewDynamicStore(b.Host.Informers, at, kind.Kind, b.Rules.Host, engine.StoreOptions{LabelSelector: b.HostSelectors[at.Resource]})
		showClass(b, inside, b.snapshotsOf, class[*unstructured.Unstructured]{defaults: defaultSnapshotClass, copy: func(host, inside *unstructured.Unstructured) {
			// Parameters may name secrets, servers and accounts of the host.
			for _, field := range []string{"driver", "deletionPolicy"} {
				inside.Object[field] = host.Object[field]
			}
			delete(inside.Object, "parameters")
		}})
	}
}

// snapshots is what volume snapshots take beyond their rule.
type snapshots struct {
	*ruled
	// byGarret says that the rule is Garret's own. Another one decides itself which classes may be named.
	byGarret bool
}

// snapshots adds to a kind by a rule what volume snapshots take beyond it.
func (b *builder) snapshots(r *ruled, kind *declared[*unstructured.Unstructured]) {
	s := &snapshots{r, reflect.DeepEqual(r.KindRule, tenancyv1.SnapshotRule())}
	r.rename = renameContent
	kind.apply, kind.status = s.apply, s.report
	if b.snapshotsOf != nil {
		kind.follows = append(kind.follows, follow{b.snapshotsOf.Informer(), s.ofClass})
	}
}

// apply translates the snapshot. The class stays that the host chose for one that names none.
func (s *snapshots) apply(virtual, host *unstructured.Unstructured) error {
	if err := s.judge(virtual, host); err != nil {
		return err
	}
	before := classNameOf(host)
	if err := s.ruled.apply(virtual, host); err != nil {
		return err
	}
	if before == "" || classNameOf(virtual) != "" {
		return nil
	}
	return unstructured.SetNestedField(host.Object, before, "spec", snapshotClassName)
}

// judge refuses what would reach the data of others.
func (s *snapshots) judge(virtual, host *unstructured.Unstructured) error {
	if content, named, _ := unstructured.NestedFieldNoCopy(virtual.Object, "spec", "source", snapshotContentName); named {
		return engine.Refuse(reasonForbidden, fmt.Sprintf("spec.source.%s is %q: contents belong to the whole host, and hold the data of others; no setting lifts it, persistentVolumeClaimName has a snapshot taken",
			snapshotContentName, fmt.Sprint(content)))
	}
	// What it is taken of may be gone, once it is there.
	if claim, named, _ := unstructured.NestedString(virtual.Object, "spec", "source", "persistentVolumeClaimName"); named && host.GetUID() == "" {
		if !s.b.Selection[tenancyv1.ResourceClaims] {
			return engine.Refuse(reasonUntranslatable, fmt.Sprintf("claim %s is not on the host cluster: claims are not synced; spec.syncer.toHost.persistentVolumeClaims of the VirtualCluster has them synced", claim))
		}
		if err := heldFor(s.b.Translator, s.b.Virtual.Claims, s.b.Host.Claims, "claim", virtual.GetNamespace(), claim); err != nil {
			return err
		}
	}
	class := classNameOf(virtual)
	if !s.byGarret || class == "" || class == classNameOf(host) || s.shows(class) {
		return nil
	}
	return engine.Refuse(reasonForbidden, fmt.Sprintf("spec.%s is %q, which is no class of the host that is shown here: name one that is, or none for the default of the host", snapshotClassName, class))
}

// shows tells whether the class of the host is shown inside.
func (s *snapshots) shows(class string) bool {
	if s.b.snapshotsOf == nil {
		return false
	}
	_, shown := s.b.snapshotsOf.Get("", class)
	return shown
}

// ofClass are the snapshots that name the class.
func (s *snapshots) ofClass(class any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, virtual := range s.virtual.List() {
		if classNameOf(virtual) == class.(*unstructured.Unstructured).GetName() {
			keys = append(keys, engine.KeyOf(virtual))
		}
	}
	return keys
}

// report names the class inside that the host chose, and reports the status.
func (s *snapshots) report(ctx context.Context, virtual, host *unstructured.Unstructured) error {
	if chosen := classNameOf(host); classNameOf(virtual) == "" && s.shows(chosen) && virtual.GetDeletionTimestamp() == nil {
		named := virtual.DeepCopy()
		if err := unstructured.SetNestedField(named.Object, chosen, "spec", snapshotClassName); err != nil {
			return fmt.Errorf("class inside: %w", err)
		}
		updated, err := s.virtual.Writer(virtual.GetNamespace()).Update(ctx, named, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("class inside: %w", err)
		}
		virtual = updated
	}
	return s.ruled.report(ctx, virtual, host)
}

// renameContent hides the name of the content, which the host makes of the UID of the snapshot there.
func renameContent(virtual, host *unstructured.Unstructured, text string) string {
	if host.GetUID() == "" {
		return text
	}
	return strings.ReplaceAll(text, string(host.GetUID()), string(virtual.GetUID()))
}

func classNameOf(snapshot *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(snapshot.Object, "spec", snapshotClassName)
	return name
}
