// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/klog/v2"
)

// same says whether a record is of this chart with these values, so that
// rendering it again would give the same manifest, and whether its manifest is that
// one: what it holds is put in place with the controller's rights, and whoever may
// write Secrets of the namespace can have written it.
func (c *Client) same(ctx context.Context, record *release.Release, spec Spec) bool {
	if record.Chart == nil || digest(record.Chart) != c.digest {
		return false
	}
	got, err := json.Marshal(record.Config)
	if err != nil {
		return false
	}
	want, err := json.Marshal(spec.Values)
	if err != nil || string(got) != string(want) {
		return false
	}
	honest, err := c.isManifest(ctx, record.Manifest, spec, want)
	if err == nil && !honest {
		klog.FromContext(ctx).Info("The manifest in a release's record is not what its values give", "release", klog.KRef(spec.Namespace, spec.Name), "revision", record.Version)
	}
	return err == nil && honest
}

// digest stands for all of a chart that its manifest depends on.
func digest(chart *chart.Chart) string {
	sum := sha256.New()
	for _, template := range chart.Templates {
		fmt.Fprintf(sum, "%s %d\n%s", template.Name, len(template.Data), template.Data)
	}
	// A map's keys come in order.
	defaults, err := json.Marshal(chart.Values)
	if err != nil {
		return ""
	}
	sum.Write(defaults)
	if chart.Metadata != nil {
		fmt.Fprintf(sum, "%s", chart.Metadata.Version)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// repair makes the objects again what the record's manifest says, without a new
// revision: it creates what is missing, takes back what somebody changed, and so
// also ends a revision that was interrupted.
func (c *Client) repair(ctx context.Context, config *action.Configuration, record *release.Release) (*release.Release, error) {
	target, err := config.KubeClient.Build(strings.NewReader(record.Manifest), false)
	if err != nil {
		return nil, err
	}
	original, err := config.KubeClient.Build(strings.NewReader(record.Manifest), false)
	if err != nil {
		return nil, err
	}
	if err := mark(target, record); err != nil {
		return nil, err
	}
	if err := mark(original, record); err != nil {
		return nil, err
	}
	result, err := config.KubeClient.Update(original, target, false)
	if err != nil {
		return nil, fmt.Errorf("repair revision %d: %w", record.Version, err)
	}
	if len(result.Created) > 0 {
		klog.FromContext(ctx).Info("Created missing objects of release", "release", klog.KRef(record.Namespace, record.Name), "count", len(result.Created))
	}
	if record.Info.Status == release.StatusDeployed {
		return record, nil
	}
	record.SetStatus(release.StatusDeployed, "Repaired")
	return record, config.Releases.Update(record)
}

// mark sets what Helm marks the objects of a release with.
func mark(resources kube.ResourceList, record *release.Release) error {
	return resources.Visit(func(info *resource.Info, err error) error {
		if err != nil {
			return err
		}
		return setMarks(info.Object, record.Namespace, record.Name)
	})
}
