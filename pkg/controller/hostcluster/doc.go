// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostcluster keeps the status of the HostCluster local: how many virtual clusters
// there are, which Kubernetes the host runs, and whether Garret may deploy to it.
// garret-apiserver creates the object itself.
package hostcluster
