// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// SupportedVersions are the versions of Kubernetes that this release of Garret
// was built for, one for each minor, the newest first. Any patch release of
// these minors can run inside a virtual cluster; other minors cannot.
func SupportedVersions() []string {
	return []string{DefaultKubernetesVersion, "v1.36.3", "v1.35.4"}
}
