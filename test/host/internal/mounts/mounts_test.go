// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"slices"
	"testing"
)

func TestBelow(t *testing.T) {
	const mountinfo = `20 1 8:1 / / rw - ext4 /dev/vda rw
30 20 0:5 / /state/a rw - tmpfs tmpfs rw
31 20 0:6 / /state/a/pods/with\040blank rw - tmpfs tmpfs rw
32 20 0:7 / /state/ab/pods rw - tmpfs tmpfs rw
33 20 0:8 / /state/a/pods/last rw - tmpfs tmpfs rw
`
	for dir, want := range map[string][]string{
		"/state/a":  {"/state/a/pods/with blank", "/state/a/pods/last"},
		"/state/a/": {"/state/a/pods/with blank", "/state/a/pods/last"},
		"/state/ab": {"/state/ab/pods"},
		"/other":    nil,
	} {
		if got := below(mountinfo, dir); !slices.Equal(got, want) {
			t.Errorf("below %s: got %q, want %q", dir, got, want)
		}
	}
}
