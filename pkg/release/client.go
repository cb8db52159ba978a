// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/release/sealed"
)

// maxHistory is how many revisions of a release are kept.
const maxHistory = 3

// maxForeign is how many records that others wrote are deleted in one pass.
const maxForeign = 100

// requestTimeout bounds each request, since Helm's own take no context.
const requestTimeout = 30 * time.Second

// Spec is a release as it should be.
type Spec struct {
	Namespace string
	Name      string
	Values    map[string]any
}

func (s Spec) String() string { return s.Namespace + "/" + s.Name }

// Status is a release as it is.
type Status struct {
	// Revision counts the changes from 1.
	Revision int
	// ChartVersion is the version of the chart that was deployed last.
	ChartVersion string
	// Deployed is false while the last change is not finished.
	Deployed bool
	// Foreign is how many records of the release somebody else had written. They were
	// deleted unread.
	Foreign int
}

// ErrNotFound says that there is no release of that name.
var ErrNotFound = errors.New("release not found")

// Interface is what can be done with releases of one chart.
type Interface interface {
	// EnsureService brings the chart's Service into being ahead of the rest and
	// returns its cluster IP, which then is a value for the rest.
	EnsureService(ctx context.Context, spec Spec) (clusterIP string, err error)
	// Ensure makes the release what spec says: installs, upgrades, or repairs
	// objects that were changed or removed. Without a change there is no new revision.
	Ensure(ctx context.Context, spec Spec) (Status, error)
	// Uninstall deletes the objects of a release and its records. It does not
	// wait for the objects to be gone, and a release that is not there is no error.
	Uninstall(ctx context.Context, namespace, name string) error
	// Status returns ErrNotFound when there is no such release.
	Status(ctx context.Context, namespace, name string) (Status, error)
}

// Client is an Interface on a real host cluster.
type Client struct {
	config  *rest.Config
	kube    kubernetes.Interface
	objects metadata.Interface
	key     *sealed.Key
	chart   *chart.Chart
	digest  string
	kinds   kinds
	// manifests are what the chart gave for each release.
	manifests *manifests
}

var _ Interface = (*Client)(nil)

// New returns a client for releases of chart on the host that config and the clients
// lead to. It seals its records with the key.
func New(config *rest.Config, client kubernetes.Interface, objects metadata.Interface, key *sealed.Key, chart *chart.Chart) *Client {
	config = rest.CopyConfig(config)
	config.Timeout = requestTimeout
	return &Client{
		config: config, kube: client, objects: objects, key: key, chart: chart, digest: digest(chart), kinds: chartKinds(),
		manifests: &manifests{known: map[string]rendering{}},
	}
}

// Status implements Interface.
func (c *Client) Status(ctx context.Context, namespace, name string) (Status, error) {
	record, err := c.configuration(ctx, namespace, name).Releases.Last(name)
	if err != nil {
		return Status{}, identify(err, namespace, name)
	}
	return status(record), nil
}

func status(record *release.Release) Status {
	s := Status{Revision: record.Version, Deployed: record.Info != nil && record.Info.Status == release.StatusDeployed}
	if record.Chart != nil && record.Chart.Metadata != nil {
		s.ChartVersion = record.Chart.Metadata.Version
	}
	return s
}

// Ensure implements Interface.
func (c *Client) Ensure(ctx context.Context, spec Spec) (Status, error) {
	// Also those of a Garret that did not seal them: the objects are adopted without.
	foreign, err := c.records(spec.Namespace).RemoveForeign(ctx, recordSelector(spec.Name), maxForeign)
	if err != nil {
		return Status{}, identify(err, spec.Namespace, spec.Name)
	}
	if foreign > 0 {
		klog.FromContext(ctx).Info("Deleted records of a release that this Garret did not write, unread", "release", klog.KRef(spec.Namespace, spec.Name), "count", foreign)
	}
	config := c.configuration(ctx, spec.Namespace, spec.Name)
	last, err := config.Releases.Last(spec.Name)
	var record *release.Release
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		record, err = c.install(ctx, config, spec)
	case err != nil:
	case last.Info.Status == release.StatusUninstalling || last.Info.Status == release.StatusUninstalled:
		// An uninstallation that was cut short, of another object of this name.
		if err = c.Uninstall(ctx, spec.Namespace, spec.Name); err == nil {
			record, err = c.install(ctx, config, spec)
		}
	case c.same(ctx, last, spec):
		record, err = c.repair(ctx, config, last)
	default:
		record, err = c.upgrade(ctx, config, last, spec)
	}
	if bad := new(manifestError); errors.As(err, &bad) {
		// The record is useless. The objects that are there bear the release's marks
		// and are adopted.
		klog.FromContext(ctx).Info("Discarding the records of a release", "release", klog.KRef(spec.Namespace, spec.Name), "reason", bad.Error())
		if err = c.deleteRecords(ctx, spec.Namespace, spec.Name); err == nil {
			record, err = c.install(ctx, config, spec)
		}
	}
	if err != nil {
		return Status{}, identify(err, spec.Namespace, spec.Name)
	}
	ensured := status(record)
	ensured.Foreign = foreign
	return ensured, nil
}

func (c *Client) install(ctx context.Context, config *action.Configuration, spec Spec) (*release.Release, error) {
	klog.FromContext(ctx).V(1).Info("Installing release", "release", klog.KRef(spec.Namespace, spec.Name))
	return c.installation(config, spec).RunWithContext(ctx, c.chart, spec.Values)
}

func (c *Client) installation(config *action.Configuration, spec Spec) *action.Install {
	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace = spec.Name, spec.Namespace
	install.DisableHooks, install.DisableOpenAPIValidation, install.SkipCRDs = true, true, true
	// What is adopted is replaced: without a record nobody knows which of its fields an
	// earlier chart set, and a merge would leave them.
	install.Force = true
	return install
}

// upgrade makes a new revision. One that a crash left pending would block it
// for ever; only the leader works on releases, so nobody else is at it.
func (c *Client) upgrade(ctx context.Context, config *action.Configuration, last *release.Release, spec Spec) (*release.Release, error) {
	if last.Info.Status.IsPending() {
		last.SetStatus(release.StatusFailed, "interrupted")
		if err := config.Releases.Update(last); err != nil {
			return nil, fmt.Errorf("recover pending revision %d: %w", last.Version, err)
		}
	}
	upgrade := action.NewUpgrade(config)
	upgrade.Namespace, upgrade.MaxHistory = spec.Namespace, maxHistory
	upgrade.DisableHooks, upgrade.DisableOpenAPIValidation, upgrade.SkipCRDs = true, true, true
	klog.FromContext(ctx).V(1).Info("Upgrading release", "release", klog.KRef(spec.Namespace, spec.Name), "fromRevision", last.Version)
	return upgrade.RunWithContext(ctx, spec.Name, c.chart, spec.Values)
}

// configuration is cheap: it asks the host nothing.
func (c *Client) configuration(ctx context.Context, namespace, name string) *action.Configuration {
	logger := klog.FromContext(ctx)
	log := func(format string, args ...any) { logger.V(5).Info("Helm", "message", fmt.Sprintf(format, args...)) }
	span := trace.SpanFromContext(ctx)
	getter := &getter{config: spanned(c.config, span), namespace: namespace, mapper: c.kinds.mapper()}
	client := kube.New(getter)
	client.Namespace, client.Log = namespace, log
	secrets := driver.NewSecrets(records{c.records(namespace), span})
	secrets.Log = log
	releases := storage.Init(secrets)
	releases.Log, releases.MaxHistory = log, maxHistory
	return &action.Configuration{
		// No RESTClientGetter: templates cannot look anything up on the host.
		Releases:     releases,
		KubeClient:   &guard{Client: client, kinds: c.kinds, namespace: namespace, name: name},
		Capabilities: chartutil.DefaultCapabilities.Copy(),
		Log:          log,
	}
}

// records are those in a namespace that this client wrote.
func (c *Client) records(namespace string) *sealed.Secrets {
	return sealed.New(c.kube.CoreV1().Secrets(namespace), c.objects, namespace, c.key)
}

// recordSelector selects the records of a release, as Helm labels them.
func recordSelector(name string) string { return "owner=helm,name=" + name }

// identify says which release an error is about, and turns Helm's words for what
// callers tell apart into this package's errors.
func identify(err error, namespace, name string) error {
	if errors.Is(err, driver.ErrReleaseNotFound) {
		err = ErrNotFound
	}
	return fmt.Errorf("release %s/%s: %w", namespace, name, err)
}
