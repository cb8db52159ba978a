// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IsSyncedFor says whether the syncer of the virtual cluster with this id made an
// object on the host, for the virtual cluster in this namespace; an object of cluster
// scope is in none. It takes both marks: controllers of the host copy labels, and so
// do people. Syncer and controller both decide by it what they may delete.
func IsSyncedFor(object metav1.Object, id, namespace string) bool {
	at, name := object.GetNamespace(), object.GetAnnotations()[AnnotationVirtualName]
	return id != "" && (at == namespace || at == "") && object.GetLabels()[LabelCluster] == id && name != "" && len(name) <= maxVirtualName
}

// IsOwnKey says whether a label or annotation of a host object with this key is the
// syncer's to set and to remove.
func IsOwnKey(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && (domain == "garret.dev" || strings.HasSuffix(domain, ".garret.dev"))
}

// maxVirtualName is the length of the longest name of an object inside.
const maxVirtualName = 253
