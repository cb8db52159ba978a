// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// folder is that of the chart within the embedded files.
const folder = "virtualcluster"

//go:embed all:virtualcluster
var files embed.FS

// Load returns the chart under Garret's own version, such as v0.1.0. A version
// that is not a semantic one, as builds without a release have it, becomes 0.0.0.
func Load(version string) (*chart.Chart, error) {
	var buffered []*loader.BufferedFile
	err := fs.WalkDir(files, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		buffered = append(buffered, &loader.BufferedFile{Name: strings.TrimPrefix(path, folder+"/"), Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the embedded chart: %w", err)
	}
	loaded, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("load the embedded chart: %w", err)
	}
	loaded.Metadata.Version = chartVersion(version)
	loaded.Metadata.AppVersion = version
	if err := loaded.Validate(); err != nil {
		return nil, fmt.Errorf("embedded chart of version %q: %w", version, err)
	}
	return loaded, nil
}

// chartVersion is Garret's version as Helm wants it, without build metadata:
// a plus sign cannot stand in a label.
func chartVersion(version string) string {
	release, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "+")
	if !semanticVersion(release) {
		return "0.0.0"
	}
	return release
}
