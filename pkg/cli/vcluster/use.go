// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/kubeconfig"
)

// Use returns the command "vcluster" below "use".
func (c *Commands) Use() *cobra.Command {
	var show bool
	var gateway gatewayFlags
	cmd := &cobra.Command{
		Use:     "vcluster NAME",
		Aliases: aliases("vcluster"),
		Short:   "Enter a virtual cluster: make it the current context",
		Long: `Writes a context into your kubeconfig that leads into the virtual cluster through the
host's API server, and makes it the current one. It refers to the user entry that you
reach the host with: no credential is copied or issued, and what you may do inside
follows from your rights on virtualclusters/proxy on the host.

With --gateway the context leads through Garret's own address instead, where the right to
get the virtual cluster is enough and what you may do is decided inside. Where the host
publishes that address, --gateway alone finds it; elsewhere write --gateway=https://HOST:PORT.

With --print nothing is written: the context goes to standard output, to be used
together with your own kubeconfig through KUBECONFIG.`,
		Example: "  " + c.Program + ` use vcluster demo --space team-a
  ` + c.Program + ` use vcluster demo --space team-a --gateway
  ` + c.Program + ` use vcluster demo -n team-a --print > demo.yaml; KUBECONFIG=~/.kube/config:demo.yaml kubectl --context "$(kubectl --kubeconfig demo.yaml config current-context)" get pods`,
		Args:              cobra.MatchAll(gateway.joined, exactlyOne),
		ValidArgsFunction: c.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.use(cmd.Context(), args[0], show, gateway)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the context instead of writing it")
	gateway.addTo(cmd.Flags())
	return cmd
}

// UseHost returns the command "host" below "use".
func (c *Commands) UseHost() *cobra.Command {
	return &cobra.Command{
		Use:               "host",
		Short:             "Go back to the host cluster's context",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.leave(cmd.Context()) },
	}
}

// Disconnect returns the command "disconnect", another name of "use host".
func (c *Commands) Disconnect() *cobra.Command {
	cmd := c.UseHost()
	cmd.Use, cmd.Short = "disconnect", "Leave the virtual cluster: go back to the host cluster's context"
	return cmd
}

func (c *Commands) use(ctx context.Context, name string, show bool, through gatewayFlags) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	gateway, err := through.find(ctx, cluster)
	if err != nil {
		return err
	}
	object, err := client.TenancyV1().VirtualClusters(cluster.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		// The way in is a right of its own; seeing the object is another.
		c.say("you may not see virtual cluster %s on the host; whether you may enter it shows with the first request", name)
	case err != nil:
		return cluster.Explain(err)
	case !meta.IsStatusConditionTrue(object.Status.Conditions, tenancyv1.ConditionReady):
		c.say("virtual cluster %s is not ready yet (%s)", name, describe(object))
	}
	if show {
		return c.show(cluster, name, gateway)
	}
	return c.enter(ctx, cluster, cluster.Namespace, name, gateway)
}

func (c *Commands) show(cluster *host.Cluster, name string, gateway *kubeconfig.Gateway) error {
	link, err := cluster.Link(cluster.Namespace, name)
	if err != nil {
		return err
	}
	link.Gateway = gateway
	derived, err := cluster.Files.Derive(link)
	if err != nil {
		return err
	}
	content, err := clientcmd.Write(*derived)
	if err != nil {
		return err
	}
	_, err = c.Streams.Out.Write(content)
	return err
}

func (c *Commands) enter(ctx context.Context, cluster *host.Cluster, namespace, name string, gateway *kubeconfig.Gateway) error {
	link, err := cluster.Link(namespace, name)
	if err != nil {
		return err
	}
	link.Gateway = gateway
	if err := cluster.Files.Connect(ctx, link); err != nil {
		return err
	}
	way := ""
	if gateway != nil {
		way = " through the gateway " + gateway.URL
	}
	c.say("current context is now %s: kubectl works inside virtual cluster %s%s", link.ContextName(), name, way)
	c.say("go back to the host with: %s use host", c.Program)
	return nil
}

func (c *Commands) leave(ctx context.Context) error {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return err
	}
	if cluster.Context == "" {
		return host.Advise(fmt.Errorf("no kubeconfig is in use"), "set KUBECONFIG, or name a file with --kubeconfig")
	}
	if err := cluster.Files.SetCurrent(ctx, cluster.Context); err != nil {
		return err
	}
	c.say("current context is now %s: kubectl works on the host cluster", cluster.Context)
	return nil
}
