// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain is the command that says what happened on the host to an object of a virtual
// cluster. The syncer of the virtual cluster gives the answer, as an API inside; this package
// requests and prints it.
package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/pkg/cli/exit"
	"garret.dev/garret/pkg/cli/host"
)

// Commands makes the command.
type Commands struct {
	// Program is what the user types before the command, as "kubectl garret".
	Program string
	Flags   *host.Flags
	Streams genericiooptions.IOStreams
}

type options struct {
	cluster, output string
	all             bool
}

// Explain returns the command "explain".
func (c *Commands) Explain() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "explain KIND/NAME",
		Short: "Tell why an object of a virtual cluster is on the host as it is",
		Long: `Says what the host has for an object of a virtual cluster: field by field, what was
copied, translated, added, changed by the host, left out or refused, and why. Conditions
and Events of both sides follow.

It works inside, after "use vcluster" or with a kubeconfig of the virtual cluster, or from
the host with --vcluster. Here --namespace names a namespace inside. Whoever may get the
object inside may use this command on it.`,
		Example: "  " + c.Program + ` explain pod/web -n shop
  ` + c.Program + ` explain ingress/shop --vcluster team-a/demo -o yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 {
				return nil
			}
			return host.Misuse(fmt.Errorf("%s takes KIND/NAME", cmd.CommandPath()), "usage: %s", cmd.UseLine())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.explain(cmd.Context(), strings.Join(args, "/"), o)
		},
	}
	cmd.Flags().StringVar(&o.cluster, "vcluster", "", "virtual cluster, as NAME or NAMESPACE/NAME on the host; the one of the current context otherwise")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "yaml or json")
	cmd.Flags().BoolVar(&o.all, "all", false, "show the fields, too, that are the same on both sides")
	return cmd
}

func (c *Commands) explain(ctx context.Context, argument string, o options) error {
	kind, name, both := strings.Cut(argument, "/")
	if !both || kind == "" || name == "" || strings.Contains(name, "/") {
		return host.Misuse(fmt.Errorf("%q is not of the form KIND/NAME", argument), "for example: %s explain pod/web", c.Program)
	}
	if o.output != "" && o.output != "yaml" && o.output != "json" {
		return host.Misuse(fmt.Errorf("there is no output %q", o.output), "use -o yaml or -o json")
	}
	inside, err := c.Flags.Inside(o.cluster)
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(inside.Config)
	if err != nil {
		return fmt.Errorf("client of the virtual cluster: %w", err)
	}
	resource, err := c.resolve(client, kind)
	if err != nil {
		return err
	}
	request := client.RESTClient().Get().AbsPath(v1alpha1.Path).SetHeader("Accept", "application/json")
	path := []string{v1alpha1.Path, resource.Name, name}
	if resource.Namespaced {
		path = []string{v1alpha1.Path, "namespaces", inside.Namespace, resource.Name, name}
	}
	answer, err := request.AbsPath(path...).Do(ctx).Raw()
	if err != nil {
		return c.advise(err, argument, inside.Namespace)
	}
	return c.show(answer, o)
}

// advise says what a caller can do about an error.
func (c *Commands) advise(err error, argument, namespace string) error {
	switch {
	case apierrors.IsNotFound(err):
		return host.Advise(exit.With(exit.NotFound, fmt.Errorf("there is no %s in namespace %s of the virtual cluster", argument, namespace)), "name another namespace inside with --namespace")
	case apierrors.IsForbidden(err):
		return host.Advise(err, "ask an administrator of the virtual cluster for the right to get it")
	}
	return err
}

func (c *Commands) show(answer []byte, o options) error {
	switch o.output {
	case "json":
		fmt.Fprintln(c.Streams.Out, strings.TrimSpace(string(answer)))
		return nil
	case "yaml":
		text, err := yaml.JSONToYAML(answer)
		if err != nil {
			return fmt.Errorf("the answer of the virtual cluster: %w", err)
		}
		_, err = c.Streams.Out.Write(text)
		return err
	}
	told := &v1alpha1.Explanation{}
	if err := json.Unmarshal(answer, told); err != nil {
		return fmt.Errorf("the answer of the virtual cluster: %w", err)
	}
	if told.Kind != v1alpha1.Kind {
		return errors.New("the virtual cluster did not answer with an explanation")
	}
	return print(c.Streams.Out, told, o.all)
}
