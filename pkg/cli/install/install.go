// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/artifacts"
	"garret.dev/garret/pkg/cli/host"
)

// Commands makes the commands that install Garret and take it away.
type Commands struct {
	// Program is what the user types before the command.
	Program string
	Flags   *host.Flags
	Streams genericiooptions.IOStreams
}

type installOptions struct {
	files   []string
	set     []string
	dryRun  bool
	adopt   bool
	wait    bool
	timeout time.Duration
}

// Install returns the command "install".
func (c *Commands) Install() *cobra.Command {
	options := installOptions{wait: true, timeout: 5 * time.Minute}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install Garret on the host cluster, or upgrade it to this version",
		Long: `Installs Garret into the namespace ` + tenancyv1.SystemNamespace + ` of the host cluster, or upgrades it, and waits
until its API is available. Needs the rights of a cluster administrator there, once.

An upgrade without --values and --set keeps the earlier values. With one of them, only the new
values apply, as with helm upgrade.`,
		Example: "  " + c.Program + ` install
  ` + c.Program + ` install -f values.yaml --set apiserver.persistence.size=5Gi
  ` + c.Program + ` install --dry-run > garret.yaml`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.install(cmd.Context(), options) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&options.files, "values", "f", nil, "file with values of the chart; - reads standard input; may be repeated")
	flags.StringArrayVar(&options.set, "set", nil, "value of the chart as key=value; may be repeated")
	flags.BoolVar(&options.dryRun, "dry-run", false, "print the objects instead of applying them")
	flags.BoolVar(&options.adopt, "adopt", false, "take over objects that were applied without Helm, as from artifacts/manifests")
	flags.BoolVar(&options.wait, "wait", options.wait, "wait until Garret's API is available")
	flags.DurationVar(&options.timeout, "timeout", options.timeout, "how long to wait")
	return cmd
}

func (c *Commands) install(ctx context.Context, options installOptions) error {
	values, err := options.values(c.Streams.In)
	if err != nil {
		return err
	}
	if options.dryRun {
		return c.printObjects(values)
	}
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return err
	}
	if err := c.apply(ctx, cluster, values, options); err != nil {
		return cluster.Explain(err)
	}
	return nil
}

func (c *Commands) apply(ctx context.Context, cluster *host.Cluster, values map[string]any, options installOptions) error {
	// Bad values are refused before anything is made on the host.
	if _, err := artifacts.Render(values); err != nil {
		return err
	}
	start := time.Now()
	client, err := cluster.Kubernetes()
	if err != nil {
		return err
	}
	if err := ensureNamespace(ctx, client); err != nil {
		return err
	}
	release, err := newHelm(ctx, cluster.Getter())
	if err != nil {
		return err
	}
	applied, err := release.apply(ctx, values, options.adopt)
	if err != nil {
		return err
	}
	c.say("Garret %s applied to %s, revision %d", applied.Chart.AppVersion(), cluster.Config.Host, applied.Version)
	if !options.wait {
		return nil
	}
	watcher, err := newReadiness(cluster.Config)
	if err != nil {
		return err
	}
	if err := watcher.wait(ctx, options.timeout, func(state string) {
		c.say("%7.1fs  %s", time.Since(start).Seconds(), state)
	}); err != nil {
		return err
	}
	c.say("Garret's API is available after %.1fs", time.Since(start).Seconds())
	c.say("create a virtual cluster with: %s create demo --space team-a --create-namespace", c.Program)
	return nil
}

// values lays the files and then the single values over one another, as Helm does.
func (o installOptions) values(in io.Reader) (map[string]any, error) {
	values := map[string]any{}
	for _, name := range o.files {
		data, err := readFile(in, name)
		if err != nil {
			return nil, err
		}
		next := map[string]any{}
		if err := yaml.Unmarshal(data, &next); err != nil {
			return nil, fmt.Errorf("values in %s: %w", name, err)
		}
		values = chartutil.MergeTables(next, values)
	}
	for _, expression := range o.set {
		if err := strvals.ParseInto(expression, values); err != nil {
			return nil, host.Misuse(fmt.Errorf("--set %s: %w", expression, err), "write it as key=value, as with Helm")
		}
	}
	return values, nil
}

func (c *Commands) printObjects(values map[string]any) error {
	objects, err := artifacts.Render(values)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.Streams.Out, artifacts.NamespaceManifest+"---\n"+objects)
	return err
}

func (c *Commands) say(format string, args ...any) {
	fmt.Fprintf(c.Streams.ErrOut, format+"\n", args...)
}

// ensureNamespace makes the namespace as the manifest has it. One that exists
// is the administrator's and stays as it is.
func ensureNamespace(ctx context.Context, client kubernetes.Interface) error {
	namespace := &corev1.Namespace{}
	if err := yaml.UnmarshalStrict([]byte(artifacts.NamespaceManifest), namespace); err != nil {
		return fmt.Errorf("embedded namespace: %w", err)
	}
	_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: "garret"})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func readFile(in io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(name)
}
