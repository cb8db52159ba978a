// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

const (
	// SnapshotGroup is the API group of volume snapshots and their classes.
	SnapshotGroup = "snapshot.storage.k8s.io"

	// ResourceSnapshots are volume snapshots, as their rule names them.
	ResourceSnapshots = "volumesnapshots"
	// SnapshotDefinition is the CustomResourceDefinition of volume snapshots.
	SnapshotDefinition = ResourceSnapshots + "." + SnapshotGroup
)

// SnapshotRule has volume snapshots go to the host. A content belongs to the whole host, so the syncer
// passes the tenant's own alone. Of classes it passes those that are shown.
func SnapshotRule() KindRule {
	fields := copied("spec.volumeSnapshotClassName")
	fields = append(fields, FieldRule{Path: "spec.source.persistentVolumeClaimName", As: FieldName, Of: ResourceClaims},
		FieldRule{Path: "spec.source.volumeSnapshotContentName", As: FieldName, Of: OwnSnapshotContents})
	return KindRule{
		APIVersion: SnapshotGroup + "/v1", Resource: ResourceSnapshots, Fields: fields, KeepsData: true,
		Status: []string{"status.creationTime", "status.error", "status.readyToUse", "status.restoreSize"},
	}
}
