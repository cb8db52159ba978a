// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ManifestFile is where the rendered chart is kept, relative to this package.
const ManifestFile = "manifests/garret.yaml"

// NamespaceManifest is the namespace that Garret runs in. The chart does not hold
// it, for Helm keeps its own records there before it applies anything.
const NamespaceManifest = `apiVersion: v1
kind: Namespace
metadata:
  name: ` + tenancyv1.SystemNamespace + `
  labels:
    app.kubernetes.io/part-of: garret
    # Every pod of Garret keeps to this profile; the host holds us to it.
    pod-security.kubernetes.io/enforce: restricted
`

const manifestHeader = `# Garret, as "kubectl apply" installs it. Rendered from chart/garret with its
# default values by "go run ./artifacts/render"; do not edit.
`

// Render returns the objects of the chart with these values as one stream of
// documents in the order in which they are to be applied, for a host of this release.
func Render(values map[string]any) (string, error) {
	return renderFor(chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}, values)
}

// renderFor is Render for a host of another version.
func renderFor(host chartutil.KubeVersion, values map[string]any) (string, error) {
	loaded, err := Chart()
	if err != nil {
		return "", err
	}
	options := chartutil.ReleaseOptions{
		Name: "garret", Namespace: tenancyv1.SystemNamespace, Revision: 1, IsInstall: true,
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = host
	context, err := chartutil.ToRenderValues(loaded, values, options, capabilities)
	if err != nil {
		return "", fmt.Errorf("values of the chart: %w", err)
	}
	rendered, err := engine.Render(loaded, context)
	if err != nil {
		return "", fmt.Errorf("rendering the chart: %w", err)
	}
	for name := range rendered {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(rendered, name)
		}
	}
	_, manifests, err := releaseutil.SortManifests(rendered, chartutil.DefaultVersionSet, releaseutil.InstallOrder)
	if err != nil {
		return "", fmt.Errorf("sorting the rendered chart: %w", err)
	}
	documents := make([]string, 0, len(manifests))
	for _, manifest := range manifests {
		documents = append(documents, strings.TrimSpace(manifest.Content)+"\n")
	}
	return strings.Join(documents, "---\n"), nil
}

// Manifest is the whole content of ManifestFile.
func Manifest() (string, error) {
	objects, err := Render(nil)
	if err != nil {
		return "", err
	}
	// Nothing was installed by Helm here, so the label must not say so.
	objects = strings.ReplaceAll(objects, "app.kubernetes.io/managed-by: Helm\n", "app.kubernetes.io/managed-by: kubectl\n")
	return manifestHeader + NamespaceManifest + "---\n" + objects, nil
}
