// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command krew writes release archives of the command line, and krew's manifest of them.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"garret.dev/garret/hack/krew/plugin"
)

func main() {
	version := flag.String("version", "", "version of the release, such as v0.1.0")
	url := flag.String("url", "", "address of the folder that the archives will be in")
	out := flag.String("out", "", "folder for the archives and garret.yaml")
	flag.Parse()
	if err := plugin.Write(".", *version, strings.TrimSuffix(*url, "/"), *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
