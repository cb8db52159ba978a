// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/kubectl/pkg/cmd/get"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

// wide is the output with more columns.
const wide = "wide"

// List returns the command "list".
func (c *Commands) List() *cobra.Command {
	var orphans bool
	options := get.NewGetOptions(c.Program, c.Streams)
	cmd := &cobra.Command{
		Use:     "list [NAME...]",
		Aliases: []string{"ls"},
		Short:   "List virtual clusters, or with --orphans the data that have no object inside",
		Long: `Lists virtual clusters in the columns that the server chooses, as kubectl does.

With --orphans it lists what the host keeps instead: objects that hold data, and whose
object inside is missing although nobody deleted it. It uses your own rights on the host,
and also finds what deleted virtual clusters left.`,
		Example: "  " + c.Program + ` list --space team-a
  ` + c.Program + ` list -A -o wide
  ` + c.Program + ` list -l team=a -w
  ` + c.Program + ` list --orphans -A`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: subject.Completion(c.Flags, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			if orphans {
				return c.listOrphans(cmd.Context(), options)
			}
			return c.get(cmd, options, "virtualclusters", args)
		},
	}
	flags := cmd.Flags()
	getFlags(cmd, options)
	flags.BoolVarP(&options.AllNamespaces, "all-namespaces", "A", false, "list those of all namespaces")
	flags.BoolVar(&orphans, "orphans", false, "list what is kept on the host and whose object inside is missing")
	return subject.Optional(cmd)
}

// getFlags adds the flags that choose objects and how they are printed.
func getFlags(cmd *cobra.Command, options *get.GetOptions) {
	options.PrintFlags.AddFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&options.LabelSelector, "selector", "l", "", "label selector, such as team=a")
	flags.StringVar(&options.FieldSelector, "field-selector", "", "field selector, such as status.phase=Ready")
	flags.BoolVarP(&options.Watch, "watch", "w", false, "print each change, too, until the command is interrupted")
	flags.BoolVar(&options.WatchOnly, "watch-only", false, "print only changes, until the command is interrupted")
	flags.BoolVar(&options.IgnoreNotFound, "ignore-not-found", false, "a name that does not exist is no error")
	flags.Lookup("output").Usage = "output format: wide, json, yaml, name, jsonpath=…, go-template=…, custom-columns=…"
	flags.Lookup("no-headers").Usage = "print no headers"
	for _, name := range []string{"allow-missing-template-keys", "show-managed-fields", "show-kind", "template"} {
		flags.Lookup(name).Hidden = true
	}
}

// get prints objects of one of Garret's kinds by kubectl's own code.
func (c *Commands) get(cmd *cobra.Command, options *get.GetOptions, resource string, names []string) error {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return err
	}
	factory := cmdutil.NewFactory(cluster.TenancyGetter())
	what := slices.Concat([]string{resource + "." + tenancyv1.GroupName}, names)
	if err := options.Complete(factory, cmd, what); err != nil {
		return host.Misuse(err, "see the flags with %s --help", cmd.CommandPath())
	}
	if err := options.Validate(); err != nil {
		return host.Misuse(err, "see the flags with %s --help", cmd.CommandPath())
	}
	if _, err := options.PrintFlags.ToPrinter(); err != nil {
		return host.Misuse(err, "see --output in %s --help", cmd.CommandPath())
	}
	if options.Watch || options.WatchOnly {
		return cluster.Explain(c.follow(cmd.Context(), factory, options, resource, names))
	}
	return cluster.Explain(utilerrors.Reduce(options.Run(factory, what)))
}

// isTable says whether the output is a table.
func isTable(options *get.GetOptions) bool {
	output := *options.PrintFlags.OutputFormat
	return (output == "" || output == wide) && *options.PrintFlags.TemplateFlags.TemplateArgument == ""
}

func in(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return ""
	}
	return " in namespace " + namespace
}
