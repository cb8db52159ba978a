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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/kubeconfig"
	"garret.dev/garret/pkg/cli/subject"
)

// Use returns the command "use", with "host" below it.
func (c *Commands) Use() *cobra.Command {
	var show bool
	var gateway gatewayFlags
	cmd := &cobra.Command{
		Use:   "use [NAME] [-- COMMAND...]",
		Short: "Enter a virtual cluster, or run one command inside",
		Long: `Writes a context into your kubeconfig that leads into the virtual cluster through the
host's API server, and makes it the current one. It refers to the user entry that you
reach the host with: no credential is copied or issued, and what you may do inside
follows from your rights on virtualclusters/proxy on the host.

With -- and a command, your kubeconfig stays as it is. The command runs with a KUBECONFIG of
its own that leads inside, and its exit code becomes that of this command.

Without a name, it offers the virtual clusters that you may list, where there is a terminal.
"use host" leads back; a virtual cluster of that name is entered by "use vcluster host".

With --gateway the context leads through Garret's own address instead, where the right to
get the virtual cluster is enough and what you may do is decided inside. Where the host
publishes that address, --gateway alone finds it; elsewhere write --gateway=https://HOST:PORT.

With --print nothing is written: the context goes to standard output, to be used
together with your own kubeconfig through KUBECONFIG.`,
		Example: "  " + c.Program + ` use demo --space team-a
  ` + c.Program + ` use demo --space team-a -- kubectl get pods -A
  ` + c.Program + ` use demo --space team-a --gateway
  ` + c.Program + ` use demo -n team-a --print > demo.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			names, _ := split(cmd, args)
			if err := gateway.joined(cmd, names); err != nil {
				return err
			}
			if len(names) == 0 && c.Terminal {
				return nil
			}
			return subject.One(cmd, names)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			return subject.Completion(c.Flags, false)(cmd, subject.Strip(args), begun)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			names, command := split(cmd, args)
			return c.use(cmd.Context(), names, command, show, gateway)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the context instead of writing it")
	gateway.addTo(cmd.Flags())
	cmd.AddCommand(c.UseHost())
	return cmd
}

// split tells the names from the command after the dashes.
func split(cmd *cobra.Command, args []string) (names, command []string) {
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		return subject.Strip(args[:dash]), args[dash:]
	}
	return subject.Strip(args), nil
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

func (c *Commands) use(ctx context.Context, names, command []string, show bool, through gatewayFlags) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	gateway, err := through.find(ctx, cluster)
	if err != nil {
		return err
	}
	chosen := types.NamespacedName{Namespace: cluster.Namespace}
	if len(names) > 0 {
		chosen.Name = names[0]
	} else if chosen, err = c.pick(ctx, client, cluster.Namespace); err != nil {
		return cluster.Explain(err)
	}
	object, err := client.TenancyV1().VirtualClusters(chosen.Namespace).Get(ctx, chosen.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		// The way in is a right of its own; seeing the object is another.
		c.say("you may not see virtual cluster %s on the host; whether you may enter it shows with the first request", chosen.Name)
	case err != nil:
		return cluster.Explain(err)
	case !meta.IsStatusConditionTrue(object.Status.Conditions, tenancyv1.ConditionReady):
		c.say("virtual cluster %s is not ready yet (%s)", chosen.Name, describe(object))
	}
	link, err := cluster.Link(chosen.Namespace, chosen.Name)
	if err != nil {
		return err
	}
	link.Gateway = gateway
	switch {
	case show:
		return c.show(cluster, link)
	case len(command) > 0:
		return c.run(ctx, cluster, link, command)
	}
	return c.enter(ctx, cluster, link)
}

func (c *Commands) show(cluster *host.Cluster, link kubeconfig.Link) error {
	content, err := derived(cluster, link)
	if err != nil {
		return err
	}
	_, err = c.Streams.Out.Write(content)
	return err
}

// derived is a kubeconfig that leads inside, without the user entry.
func derived(cluster *host.Cluster, link kubeconfig.Link) ([]byte, error) {
	config, err := cluster.Files.Derive(link)
	if err != nil {
		return nil, err
	}
	return clientcmd.Write(*config)
}

func (c *Commands) enter(ctx context.Context, cluster *host.Cluster, link kubeconfig.Link) error {
	if err := cluster.Files.Connect(ctx, link); err != nil {
		return err
	}
	way := ""
	if link.Gateway != nil {
		way = " through the gateway " + link.Gateway.URL
	}
	c.say("current context is now %s: kubectl works inside virtual cluster %s%s", link.ContextName(), link.Name, way)
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
