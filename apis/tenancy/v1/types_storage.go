// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// AllowedStorage says which PersistentVolumes, StorageClasses and VolumeSnapshotContents of virtual
// clusters may be on the host. What no entry allows stays inside: other kinds of volumes, secrets and node
// affinity always do.
type AllowedStorage struct {
	// csi are the volumes of CSI drivers that a PersistentVolume may be. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	CSI []AllowedCSI `json:"csi,omitempty"`
	// nfs are the shares that a PersistentVolume may be. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	NFS []AllowedNFS `json:"nfs,omitempty"`
	// storageClasses are what StorageClasses may ask of provisioners. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	StorageClasses []AllowedStorageClass `json:"storageClasses,omitempty"`
}

// AllowedCSI are volumes of one CSI driver.
type AllowedCSI struct {
	// driver is its name.
	// +k8s:required
	Driver string `json:"driver"`
	// volumeHandles are the handles that are allowed. A * at the end stands for any ending.
	// Whoever knows a handle has the data: each tenant needs handles of its own.
	// None by default; each entry has volumeHandles, snapshotHandles or both.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	VolumeHandles []string `json:"volumeHandles,omitempty"`
	// snapshotHandles are the handles of snapshots that VolumeSnapshotContents may have. A * at the
	// end stands for any ending. Whoever knows a handle has the data. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	SnapshotHandles []string `json:"snapshotHandles,omitempty"`
	// volumeAttributes are the attributes that are allowed, with their values. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	VolumeAttributes []AllowedValues `json:"volumeAttributes,omitempty"`
	// mountOptions are the options that are allowed. None by default.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	MountOptions []string `json:"mountOptions,omitempty"`
	// namespaces are those whose virtual clusters may use the entry. All may when it is not set.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	Namespaces []string `json:"namespaces,omitempty"`
}

// AllowedNFS are shares of one server.
type AllowedNFS struct {
	// server is its name or address, as volumes have to write it.
	// +k8s:required
	Server string `json:"server"`
	// paths are the directories that are allowed, with all below them.
	// +listType=atomic
	// +k8s:required
	// +k8s:minItems=1
	// +k8s:maxItems=64
	Paths []string `json:"paths"`
	// mountOptions are the options that are allowed. None by default.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	MountOptions []string `json:"mountOptions,omitempty"`
	// namespaces are those whose virtual clusters may use the entry. All may when it is not set.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	Namespaces []string `json:"namespaces,omitempty"`
}

// AllowedStorageClass is what classes may ask of one provisioner.
type AllowedStorageClass struct {
	// provisioner is its name.
	// +k8s:required
	Provisioner string `json:"provisioner"`
	// parameters are those that are allowed, with their values. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Parameters []AllowedValues `json:"parameters,omitempty"`
	// mountOptions are the options that are allowed. None by default.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	MountOptions []string `json:"mountOptions,omitempty"`
	// namespaces are those whose virtual clusters may use the entry. All may when it is not set.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	Namespaces []string `json:"namespaces,omitempty"`
}

// AllowedValues are the values that one key may have.
type AllowedValues struct {
	// name is the key. Keys that name secrets or namespaces are never allowed.
	// +k8s:required
	Name string `json:"name"`
	// values are those that are allowed. A * at the end stands for any ending.
	// +listType=atomic
	// +k8s:required
	// +k8s:minItems=1
	// +k8s:maxItems=64
	Values []string `json:"values"`
}
