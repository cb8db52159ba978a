// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// source translates the claim or the snapshot that the volume is to be a copy of.
func (c *claims) source(virtual, host *corev1.PersistentVolumeClaim) error {
	source := virtual.Spec.DataSourceRef
	if source == nil {
		return nil
	}
	// The host has all namespaces in one, so no grant there would keep two of them apart.
	if namespace := ptr.Deref(source.Namespace, virtual.Namespace); namespace != virtual.Namespace {
		return engine.Refuse(reasonForbidden, fmt.Sprintf("spec.dataSourceRef.namespace is %q: a claim goes to the host only with a source of its own namespace, %q; create the claim in %q, or copy the data inside",
			namespace, virtual.Namespace, namespace))
	}
	var err error
	switch of := (schema.GroupKind{Group: ptr.Deref(source.APIGroup, ""), Kind: source.Kind}); {
	case of == schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		err = heldFor(c.translator, c.virtual.Claims, c.host.Claims, "claim", virtual.Namespace, source.Name)
	case of == schema.GroupKind{Group: tenancyv1.SnapshotGroup, Kind: "VolumeSnapshot"} && c.snapshots != nil:
		err = heldFor(c.translator, c.snapshots.virtual, c.snapshots.host, "volume snapshot", virtual.Namespace, source.Name)
	case of == schema.GroupKind{Group: tenancyv1.SnapshotGroup, Kind: "VolumeSnapshot"}:
		err = engine.Refuse(reasonUntranslatable, fmt.Sprintf("data source VolumeSnapshot %s is not on the host cluster: volume snapshots are not synced; spec.syncer.toHost.volumeSnapshots of the VirtualCluster has them synced, where the host has the kind",
			source.Name))
	default:
		err = engine.Refuse(reasonUntranslatable, fmt.Sprintf("data source %s %s cannot go to the host cluster: name a claim or a volume snapshot", source.Kind, source.Name))
	}
	if err != nil {
		return err
	}
	host.Spec.DataSourceRef.Namespace = nil
	host.Spec.DataSourceRef.Name = c.translator.HostName(virtual.Namespace, source.Name)
	return nil
}

// heldFor fails unless the host holds the data of the object inside of this name. The host knows
// only the name, and would copy the data of whoever had it before.
func heldFor[T engine.Object](translator *translate.Translator, virtual, host *engine.Store[T], what, namespace, name string) error {
	object, inside := virtual.Get(namespace, name)
	held, found := host.Get(translator.Cluster().HostNamespace, translator.HostName(namespace, name))
	if !inside || !found {
		return engine.Again("the " + what + " to copy, " + name + ", does not exist yet")
	}
	if identity, ours := translator.IdentityOf(held); !ours || identity.UID != object.GetUID() {
		return engine.Refuse(engine.ReasonDataKept, fmt.Sprintf("the host cluster holds data for %s %s that belong to another %s", what, name, what))
	}
	return nil
}
