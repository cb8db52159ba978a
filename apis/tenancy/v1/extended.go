// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// IsExtendedResource says whether a device plugin or a person gives this resource to nodes, and
// not Kubernetes itself. Names of Kubernetes have no domain, or one that ends in kubernetes.io.
func IsExtendedResource(name corev1.ResourceName) bool {
	domain, _, qualified := strings.Cut(string(name), "/")
	return qualified && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io") &&
		!strings.HasPrefix(domain, corev1.DefaultResourceRequestsPrefix)
}
