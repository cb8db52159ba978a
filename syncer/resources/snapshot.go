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
	boundContentName     = "boundVolumeSnapshotContentName"
)

// snapshots is what volume snapshots take beyond their rule.
type snapshots struct {
	*ruled
	// byGarret says that the rule is Garret's own. Another one decides itself which classes may be named.
	byGarret bool
}

// snapshots adds to a kind by a rule what volume snapshots take beyond it.
func (b *builder) snapshots(r *ruled, kind *declared[*unstructured.Unstructured]) {
	s := &snapshots{r, reflect.DeepEqual(r.KindRule, tenancyv1.SnapshotRule())}
	r.rename, r.bound = s.renameContent, s.boundName
	kind.apply, kind.status = s.apply, s.report
	if b.snapshotsOf != nil {
		kind.follows = append(kind.follows, follow{b.snapshotsOf.Informer(), s.ofClass}, follow{b.snapshotsInside.Informer(), s.ofClass})
	}
	if b.contents != nil {
		kind.follows = append(kind.follows, follow{b.contents.virtual.Informer(), ofContent})
	}
	if b.ownContents != nil {
		kind.follows = append(kind.follows, follow{b.ownContents.virtual.Informer(), ofContent})
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
	if content, named := namedContent(virtual); named {
		// Whatever the rule says: a name inside may be another content's on the host.
		if err := unstructured.SetNestedField(host.Object, s.b.Translator.HostName("", content), "spec", "source", snapshotContentName); err != nil {
			return fmt.Errorf("content on the host: %w", err)
		}
	}
	class, err := s.classOnHost(virtual, host, before)
	if err != nil || class == "" {
		return err
	}
	return unstructured.SetNestedField(host.Object, class, "spec", snapshotClassName)
}

// judge refuses what would reach the data of others.
func (s *snapshots) judge(virtual, host *unstructured.Unstructured) error {
	if content, named := namedContent(virtual); named {
		if err := s.b.ownContents.judgeNamed(virtual, host, content); err != nil {
			return err
		}
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
	return nil
}

// ofContent is the snapshot that a content inside names.
func ofContent(content any) []types.NamespacedName {
	namespace, name, _ := referenceOf(content.(*unstructured.Unstructured))
	return []types.NamespacedName{{Namespace: namespace, Name: name}}
}

// report names the class inside that the host chose, and reports the status.
func (s *snapshots) report(ctx context.Context, virtual, host *unstructured.Unstructured) error {
	if chosen := classNameOf(host); classNameOf(virtual) == "" && s.b.showsClass(chosen) && virtual.GetDeletionTimestamp() == nil {
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

// renameContent hides the name of the content, which the host makes of the UID of the snapshot there,
// unless the content is shown.
func (s *snapshots) renameContent(virtual, host *unstructured.Unstructured, text string) string {
	if host.GetUID() == "" || s.b.contents != nil {
		return text
	}
	return strings.ReplaceAll(text, string(host.GetUID()), string(virtual.GetUID()))
}

// boundName is the name inside of the content that the snapshot is bound to; empty for none.
func (s *snapshots) boundName(ctx context.Context, virtual, host *unstructured.Unstructured) (string, error) {
	if own, named := namedContent(virtual); named {
		if s.b.ownContents == nil || contentNameOf(host) != s.b.Translator.HostName("", own) {
			return "", nil
		}
		return own, nil
	}
	return s.b.contents.boundName(ctx, virtual, host)
}

// reportBound names in the status the content that is shown inside.
func (r *ruled) reportBound(ctx context.Context, changed, host *unstructured.Unstructured) error {
	name, err := r.bound(ctx, changed, host)
	if err != nil {
		return err
	}
	if name == "" {
		unstructured.RemoveNestedField(changed.Object, "status", boundContentName)
		return nil
	}
	if err := unstructured.SetNestedField(changed.Object, name, "status", boundContentName); err != nil {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

func classNameOf(snapshot *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(snapshot.Object, "spec", snapshotClassName)
	return name
}
