// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"flag"
	"strconv"
)

// SideBySide has so many parallel tests of a package run at a time, for one whose
// tests wait more than they work. TestMain calls it first; what go test is told
// with -parallel counts for more.
func SideBySide(tests int) {
	if err := flag.Set("test.parallel", strconv.Itoa(tests)); err != nil {
		panic(err) // there is no such flag outside of tests
	}
}
