// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ContentRetained is the one deletionPolicy of a tenant's VolumeSnapshotContent.
const ContentRetained = "Retain"

// SnapshotContentSpec is the spec of a VolumeSnapshotContent.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SnapshotContentSpec struct {
	Driver                  string                 `json:"driver"`
	DeletionPolicy          string                 `json:"deletionPolicy"`
	Source                  SnapshotContentSource  `json:"source"`
	SourceVolumeMode        string                 `json:"sourceVolumeMode,omitempty"`
	VolumeSnapshotClassName string                 `json:"volumeSnapshotClassName,omitempty"`
	VolumeSnapshotRef       corev1.ObjectReference `json:"volumeSnapshotRef"`
}

// SnapshotContentSource is a volume that a snapshot is taken of, or a snapshot that exists.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SnapshotContentSource struct {
	VolumeHandle   string `json:"volumeHandle,omitempty"`
	SnapshotHandle string `json:"snapshotHandle,omitempty"`
}

// JudgeSnapshotContent says what of a VolumeSnapshotContent is not allowed.
func (a AllowedStorage) JudgeSnapshotContent(spec *SnapshotContentSpec) []StorageRefusal {
	const handleField = "spec.source.snapshotHandle"
	handle := spec.Source.SnapshotHandle
	var refusals []StorageRefusal
	switch {
	case spec.Source.VolumeHandle != "":
		refusals = append(refusals, StorageRefusal{"spec.source.volumeHandle", spec.Source.VolumeHandle, "it has a snapshot taken of anybody's volume", "no setting lifts it; take a VolumeSnapshot of a claim, or set " + handleField})
	case handle == "":
		refusals = append(refusals, StorageRefusal{Path: handleField, Why: "it names no snapshot", Remedy: "set it to the handle of a snapshot that exists"})
	case strings.Contains(handle, ".."):
		refusals = append(refusals, StorageRefusal{handleField, handle, "it may lead out of what is allowed", "no setting lifts it; write the handle without .."})
	default:
		refusals = append(refusals, fewest(a.CSI, StorageRefusal{"spec.driver", spec.Driver, "no snapshot of this driver is allowed", canAdd("csi")}, func(each AllowedCSI) (bool, []StorageRefusal) {
			if each.Driver != spec.Driver {
				return false, nil
			}
			if matchesValue(each.SnapshotHandles, handle) {
				return true, nil
			}
			return true, []StorageRefusal{{handleField, handle, "no such handle is allowed", canAdd("csi.snapshotHandles")}}
		})...)
	}
	if spec.DeletionPolicy != ContentRetained {
		refusals = append(refusals, StorageRefusal{"spec.deletionPolicy", spec.DeletionPolicy, "the host would delete data that Garret did not create", "set it to " + ContentRetained})
	}
	return refusals
}
