// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"crypto/sha256"
	"sync"

	"helm.sh/helm/v3/pkg/action"
)

// manifests remember what a release's values give, so that looking at a release in
// which nothing changes does not render the chart each time.
type manifests struct {
	mu    sync.Mutex
	known map[string]rendering
}

// rendering stands for values, and for the manifest that they give.
type rendering struct{ values, manifest [sha256.Size]byte }

// isManifest tells whether text is what the chart makes of spec, whose values are
// encoded in values.
func (c *Client) isManifest(ctx context.Context, text string, spec Spec, values []byte) (bool, error) {
	of := sha256.Sum256(values)
	c.manifests.mu.Lock()
	known, ok := c.manifests.known[spec.String()]
	c.manifests.mu.Unlock()
	if !ok || known.values != of {
		manifest, err := c.render(ctx, spec)
		if err != nil {
			return false, err
		}
		known = rendering{values: of, manifest: sha256.Sum256([]byte(manifest))}
		c.manifests.mu.Lock()
		c.manifests.known[spec.String()] = known
		c.manifests.mu.Unlock()
	}
	return sha256.Sum256([]byte(text)) == known.manifest, nil
}

// forget drops what is known of a release that goes away.
func (m *manifests) forget(spec Spec) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, spec.String())
}

// render makes the manifest of a release, and nothing on the host.
func (c *Client) render(ctx context.Context, spec Spec) (string, error) {
	install := c.installation(&action.Configuration{Log: func(string, ...any) {}}, spec)
	install.DryRun, install.ClientOnly, install.Replace = true, true, true
	rendered, err := install.RunWithContext(ctx, c.chart, spec.Values)
	if err != nil {
		return "", err
	}
	return rendered.Manifest, nil
}
