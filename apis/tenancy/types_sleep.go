// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SleepStatus says whether a virtual cluster sleeps, since when, and why.
type SleepStatus struct {
	// number counts how often the virtual cluster was put to sleep.
	Number int64
	// since is when it was put to sleep. It is not set while the virtual cluster is awake.
	Since *metav1.Time
	// reason is why it was put to sleep: Paused.
	Reason string
}
