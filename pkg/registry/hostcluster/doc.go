// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostcluster serves the resource hostclusters and its subresource status.
//
// There is one HostCluster, local. The package creates it when it is missing, without limits.
// Spec belongs to the host's administrators, status to Garret.
package hostcluster
