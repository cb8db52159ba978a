// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storagereview reviews the PersistentVolumes, StorageClasses and VolumeSnapshotContents
// that syncers write on the host.
//
// A volume or content names data of anybody, and a StorageClass tells a provisioner what to do. A
// syncer writes only what the HostCluster allows. But a user with edit in its namespace can use
// its account, so the host asks this package, too, which decides by the same rules. The host's
// admission policy for syncers holds the rest: whose object it is, and whose claim a volume is for.
//
// The package reviews what is written. What the administrator no longer allows stays as it is
// while a claim has it.
package storagereview
