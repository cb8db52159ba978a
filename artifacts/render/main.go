// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command render writes artifacts/manifests/garret.yaml from the install chart. With --check it
// writes nothing and says whether the file is current. Run it at the root of the repository.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"garret.dev/garret/artifacts"
)

func main() {
	check := flag.Bool("check", false, "only say whether the file is current")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	file := filepath.Join("artifacts", artifacts.ManifestFile)
	want, err := artifacts.Manifest()
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(file, []byte(want), 0o644)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, []byte(want)) {
		return fmt.Errorf("%s is not what the chart renders: run go run ./artifacts/render and commit it", file)
	}
	return nil
}
