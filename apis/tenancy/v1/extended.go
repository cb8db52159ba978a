// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// IsExtendedResource tells whether a resource is none of Kubernetes' own, but one that a
// device plugin or somebody by hand gives to nodes. Names of Kubernetes' own have no
// domain, or one that ends in kubernetes.io.
func IsExtendedResource(name corev1.ResourceName) bool {
	domain, _, qualified := strings.Cut(string(name), "/")
	return qualified && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io") &&
		!strings.HasPrefix(domain, corev1.DefaultResourceRequestsPrefix)
}
