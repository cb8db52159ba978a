// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package artifacts holds what a user installs Garret from: the chart, embedded
// so that the command line needs no file beside it, and the same chart rendered
// with its default values in manifests/garret.yaml, for those who use no Helm.
package artifacts

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// chartRoot is the folder of the chart below this package.
const chartRoot = "chart/garret"

// The pattern's "all:" takes in files that begin with a dot or an underscore.
//
//go:embed all:chart/garret
var files embed.FS

// Chart loads the embedded chart. Each call returns a chart of its own, since
// Helm changes the one that it is given.
func Chart() (*chart.Chart, error) {
	var buffered []*loader.BufferedFile
	err := fs.WalkDir(files, chartRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, chartRoot+"/")
		buffered = append(buffered, &loader.BufferedFile{Name: name, Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the embedded chart: %w", err)
	}
	loaded, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("loading the embedded chart: %w", err)
	}
	return loaded, nil
}
