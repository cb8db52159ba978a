// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install installs, upgrades and uninstalls Garret on a host cluster, from the chart
// that is embedded in the program.
//
// The order of uninstalling matters: an APIService whose server is gone keeps the host from
// deleting any namespace at all. So the package deletes it first, and only when no virtual
// cluster would be left without its controller.
package install

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/artifacts"
	"garret.dev/garret/pkg/cli/host"
)

const (
	// releaseName is the Helm release that Garret is installed as.
	releaseName = "garret"
	// historyLimit is how many revisions Helm keeps.
	historyLimit = 5
	// abandonedAfter is when an operation that never ended counts as broken off.
	// Ours do not wait for anything, so they last seconds.
	abandonedAfter = 2 * time.Minute
)

// helm is Garret's release on one host cluster.
type helm struct {
	config *action.Configuration
	now    func() time.Time
}

func newHelm(ctx context.Context, getter genericclioptions.RESTClientGetter) (*helm, error) {
	config := &action.Configuration{}
	logger := klog.FromContext(ctx)
	debug := func(format string, args ...any) { logger.V(4).Info(fmt.Sprintf(format, args...)) }
	if err := config.Init(getter, tenancyv1.SystemNamespace, "secret", debug); err != nil {
		return nil, fmt.Errorf("helm: %w", err)
	}
	return &helm{config: config, now: time.Now}, nil
}

// last returns the newest revision, or nil when there is none.
func (h *helm) last() (*release.Release, error) {
	last, err := h.config.Releases.Last(releaseName)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Helm release %s: %w", releaseName, err)
	}
	return last, nil
}

// apply installs or upgrades. It returns once the host has taken the objects.
func (h *helm) apply(ctx context.Context, values map[string]any, adopt bool) (*release.Release, error) {
	chart, err := artifacts.Chart()
	if err != nil {
		return nil, err
	}
	last, err := h.last()
	if err != nil {
		return nil, err
	}
	if last == nil || last.Info.Status == release.StatusUninstalled {
		install := action.NewInstall(h.config)
		install.ReleaseName, install.Namespace = releaseName, tenancyv1.SystemNamespace
		install.TakeOwnership = adopt
		installed, err := install.RunWithContext(ctx, chart, values)
		return installed, explainOwnership(err)
	}
	if err := h.unblock(last); err != nil {
		return nil, err
	}
	upgrade := action.NewUpgrade(h.config)
	upgrade.Namespace, upgrade.MaxHistory, upgrade.TakeOwnership = tenancyv1.SystemNamespace, historyLimit, adopt
	upgraded, err := upgrade.RunWithContext(ctx, releaseName, chart, values)
	return upgraded, explainOwnership(err)
}

// explainOwnership: Helm has no error of its own for objects that it did not make.
func explainOwnership(err error) error {
	if err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		return err
	}
	return host.Advise(err, "if they come from artifacts/manifests, take them over with --adopt")
}

// unblock marks a revision as failed that a program broke off in the middle:
// Helm would refuse every operation from then on.
func (h *helm) unblock(last *release.Release) error {
	if !last.Info.Status.IsPending() {
		return nil
	}
	if age := h.now().Sub(last.Info.LastDeployed.Time); age < abandonedAfter {
		return fmt.Errorf("the Helm release %s is being worked on since %s by another program (%s)", releaseName, age.Round(time.Second), last.Info.Status)
	}
	last.SetStatus(release.StatusFailed, "broken off")
	if err := h.config.Releases.Update(last); err != nil {
		return fmt.Errorf("marking the Helm release %s as failed: %w", releaseName, err)
	}
	return nil
}

// remove uninstalls; it says whether there was a release.
func (h *helm) remove(timeout time.Duration) (bool, error) {
	last, err := h.last()
	if err != nil || last == nil {
		return false, err
	}
	uninstall := action.NewUninstall(h.config)
	uninstall.Wait, uninstall.Timeout, uninstall.DeletionPropagation = true, timeout, "foreground"
	if _, err := uninstall.Run(releaseName); err != nil {
		return true, fmt.Errorf("uninstalling the Helm release %s: %w", releaseName, err)
	}
	return true, nil
}
