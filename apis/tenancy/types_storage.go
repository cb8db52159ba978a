// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

// AllowedStorage says which PersistentVolumes, StorageClasses and VolumeSnapshotContents of virtual
// clusters may be on the host. What no entry allows stays inside: other kinds of volumes, secrets and node
// affinity always do.
type AllowedStorage struct {
	// csi are the volumes of CSI drivers that a PersistentVolume may be. None by default.
	CSI []AllowedCSI
	// nfs are the shares that a PersistentVolume may be. None by default.
	NFS []AllowedNFS
	// storageClasses are what StorageClasses may ask of provisioners. None by default.
	StorageClasses []AllowedStorageClass
}

// AllowedCSI are volumes of one CSI driver.
type AllowedCSI struct {
	// driver is its name.
	Driver string
	// volumeHandles are the handles that are allowed. A * at the end stands for any ending.
	// Whoever knows a handle has the data: each tenant needs handles of its own.
	// None by default; each entry has volumeHandles, snapshotHandles or both.
	VolumeHandles []string
	// snapshotHandles are the handles of snapshots that VolumeSnapshotContents may have. A * at the
	// end stands for any ending. Whoever knows a handle has the data. None by default.
	SnapshotHandles []string
	// volumeAttributes are the attributes that are allowed, with their values. None by default.
	VolumeAttributes []AllowedValues
	// mountOptions are the options that are allowed. None by default.
	MountOptions []string
	// namespaces are those whose virtual clusters may use the entry. All may when it is not set.
	Namespaces []string
}

// AllowedNFS are shares of one server.
type AllowedNFS struct {
	// server is its name or address, as volumes have to write it.
	Server string
	// paths are the directories that are allowed, with all below them.
	Paths []string
	// mountOptions are the options that are allowed. None by default.
	MountOptions []string
	// namespaces are those whose virtual clusters may use the entry. All may when it is not set.
	Namespaces []string
}

// AllowedStorageClass is what classes may ask of one provisioner.
type AllowedStorageClass struct {
	// provisioner is its name.
	Provisioner string
	// parameters are those that are allowed, with their values. None by default.
	Parameters []AllowedValues
	// mountOptions are the options that are allowed. None by default.
	MountOptions []string
	// namespaces are those whose virtual clusters may use the entry. All may when it is not set.
	Namespaces []string
}

// AllowedValues are the values that one key may have.
type AllowedValues struct {
	// name is the key. Keys that name secrets or namespaces are never allowed.
	Name string
	// values are those that are allowed. A * at the end stands for any ending.
	Values []string
}
