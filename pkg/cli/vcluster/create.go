// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

// defaultTimeout leaves time to pull images on a slow line.
const defaultTimeout = 5 * time.Minute

// The pods of a virtual cluster are pods of its namespace, and whoever is administrator
// inside says what is in them. What keeps a privileged one, or one that mounts the
// node's disk, off the host is what the host enforces there.
const (
	podSecurityLabel = "pod-security.kubernetes.io/enforce"
	podSecurityLevel = "baseline"
)

type createOptions struct {
	manifest        manifestOptions
	createNamespace bool
	wait            bool
	timeout         time.Duration
	connect         bool
}

// Create returns the command "create".
func (c *Commands) Create() *cobra.Command {
	options := createOptions{wait: true, timeout: defaultTimeout, connect: true}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a virtual cluster, wait until it is ready, and enter it",
		Long: `Creates a virtual cluster in a namespace of the host cluster. It then waits until the API
inside answers, and makes the new cluster the current context of your kubeconfig: the next
kubectl command works inside. --wait=false and --connect=false skip these steps.`,
		Example: "  " + c.Program + ` create demo --space team-a --create-namespace
  ` + c.Program + ` create demo -n team-a --kubernetes-version v1.37.2 --connect=false
  ` + c.Program + ` create demo -n team-a --template small --parameter size=8Gi
  ` + c.Program + ` create demo -n team-a -f virtualcluster.yaml --set syncer.resources.limits.memory=256Mi`,
		Args:              subject.One,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.create(cmd.Context(), args[0], options)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.manifest.file, "filename", "f", "", "file with a VirtualCluster to start from; - reads standard input")
	flags.StringVar(&options.manifest.version, "kubernetes-version", "", "Kubernetes inside, such as "+tenancyv1.DefaultKubernetesVersion)
	flags.StringVar(&options.manifest.distro, "distro", "", "distribution of the control plane: k3s or k8s")
	flags.StringVar(&options.manifest.hostCluster, "cluster", "", "HostCluster that runs it; "+tenancyv1.LocalHostCluster+" when not given")
	flags.StringVar(&options.manifest.template, "template", "", "VirtualClusterTemplate to create it from")
	flags.StringVar(&options.manifest.templateVersion, "template-version", "", "version of the template; the highest that is no pre-release when not given")
	flags.StringArrayVar(&options.manifest.parameters, "parameter", nil, "parameter of the template as name=value; may be repeated")
	flags.StringArrayVar(&options.manifest.set, "set", nil, "value of the chart as key=value, written to spec.helm.values; may be repeated")
	flags.BoolVar(&options.createNamespace, "create-namespace", false, "create the namespace on the host if it does not exist, with the pod security standard baseline")
	flags.BoolVar(&options.wait, "wait", options.wait, "wait until the virtual cluster is ready")
	flags.DurationVar(&options.timeout, "timeout", options.timeout, "how long to wait")
	flags.BoolVar(&options.connect, "connect", options.connect, "make the virtual cluster the current context")
	return subject.Optional(cmd)
}

func (c *Commands) create(ctx context.Context, name string, options createOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	manifest, err := options.manifest.build(c.Streams.In, name, cluster.Namespace)
	if err != nil {
		return err
	}
	if options.createNamespace {
		if err := c.ensureNamespace(ctx, cluster); err != nil {
			return cluster.Explain(err)
		}
	}
	start := time.Now()
	created, err := client.TenancyV1().VirtualClusters(cluster.Namespace).Create(ctx, manifest, metav1.CreateOptions{FieldManager: "garret"})
	if err != nil {
		return cluster.Explain(err)
	}
	c.say("virtual cluster %s created in namespace %s", created.Name, created.Namespace)
	if options.wait {
		if err := c.await(ctx, client, created, start, options.timeout, isReady); err != nil {
			return cluster.Explain(err)
		}
		c.say("ready after %s", seconds(time.Since(start)))
	}
	if !options.connect {
		c.say("enter it with: %s use %s --namespace %s", c.Program, created.Name, created.Namespace)
		return nil
	}
	link, err := cluster.Link(created.Namespace, created.Name)
	if err != nil {
		return err
	}
	return c.enter(ctx, cluster, link)
}

func (c *Commands) ensureNamespace(ctx context.Context, cluster *host.Cluster) error {
	client, err := cluster.Kubernetes()
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: cluster.Namespace, Labels: map[string]string{podSecurityLabel: podSecurityLevel},
	}}
	_, err = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case apierrors.IsForbidden(err):
		// One who may not make namespaces may well work in an existing one.
		if _, found := client.CoreV1().Namespaces().Get(ctx, cluster.Namespace, metav1.GetOptions{}); found == nil {
			return nil
		}
		return err
	case err != nil:
		return err
	}
	c.say("namespace %s created, with the pod security standard %s", cluster.Namespace, podSecurityLevel)
	return nil
}

// await follows a virtual cluster until reached says so, and shows each state on the way.
func (c *Commands) await(ctx context.Context, client versioned.Interface, created *tenancyv1.VirtualCluster, start time.Time, timeout time.Duration,
	reached func(*tenancyv1.VirtualCluster) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last, err := watchUntil(ctx, client, created, reached, progress(c.Streams.ErrOut, start, describe))
	if err == nil {
		return nil
	}
	inspect := fmt.Sprintf("%[1]s describe %[2]s -n %[3]s and %[1]s logs %[2]s -n %[3]s say more", c.Program, created.Name, created.Namespace)
	if errors.Is(err, errStalled) {
		return host.NotReady(err, "%s", inspect)
	}
	if ctx.Err() == nil {
		return host.Advise(err, "%s", inspect)
	}
	state := "nothing was reported about it"
	if last != nil {
		state = describe(last)
	}
	return host.NotReady(fmt.Errorf("virtual cluster %s is not ready after %s: %s", created.Name, seconds(time.Since(start)), state),
		"%s; it goes on by itself, wait with: kubectl wait -n %s --for=condition=Ready vc/%s", inspect, created.Namespace, created.Name)
}
