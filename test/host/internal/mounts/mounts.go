// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mounts finds and undoes the mounts that pods leave behind when they
// are ended without their kubelet.
package mounts

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Below lists the mount points in dir and deeper, in the order in which they
// were made.
func Below(dir string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return below(string(data), dir), nil
}

func below(mountinfo, dir string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescape.Replace(fields[4])
		if strings.HasPrefix(point, strings.TrimRight(dir, "/")+"/") {
			points = append(points, point)
		}
	}
	return points
}

// unescape undoes what the kernel does to blanks in paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// Unmount undoes every mount below dir, the latest first.
func Unmount(dir string) error {
	points, err := Below(dir)
	if err != nil {
		return err
	}
	var errs []error
	for i := len(points) - 1; i >= 0; i-- {
		// Lazily: a process that is just ending may still have it open.
		err := unix.Unmount(points[i], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && err != unix.EINVAL && err != unix.ENOENT {
			errs = append(errs, fmt.Errorf("unmount %s: %w", points[i], err))
		}
	}
	return errors.Join(errs...)
}
