// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"fmt"
	"os"
	"time"
)

// stamp tells one content of a file from the next. The kubelet and the control
// plane both replace files rather than write into them, which changes the time.
type stamp struct {
	modified time.Time
	size     int64
}

func stampOf(file string) (stamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}, fmt.Errorf("certificate authority: %w", err)
	}
	return stamp{info.ModTime(), info.Size()}, nil
}
