// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/kubectl/pkg/cmd/get"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

// Template returns the command "template", with those below it.
func (c *Commands) Template() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "template",
		Short: "List, describe and render the templates of virtual clusters",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return host.Misuse(fmt.Errorf("%s needs to know what to do", cmd.CommandPath()), "write %[1]s list, %[1]s describe NAME, or %[1]s render NAME", cmd.CommandPath())
		},
	}
	cmd.AddCommand(c.listTemplates(), c.describeTemplate(), c.renderTemplate())
	return cmd
}

func (c *Commands) listTemplates() *cobra.Command {
	options := get.NewGetOptions(c.Program, c.Streams)
	cmd := &cobra.Command{
		Use:               "list [NAME...]",
		Short:             "List templates",
		Example:           "  " + c.Program + " template list",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: c.completeTemplates,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.get(cmd, options, "virtualclustertemplates", args)
		},
	}
	getFlags(cmd, options)
	return cmd
}

func (c *Commands) describeTemplate() *cobra.Command {
	return &cobra.Command{
		Use:               "describe NAME",
		Short:             "Show the versions and parameters of a template",
		Example:           "  " + c.Program + " template describe small",
		Args:              subject.One,
		ValidArgsFunction: c.completeTemplates,
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, client, err := c.connect()
			if err != nil {
				return err
			}
			template, err := client.TenancyV1().VirtualClusterTemplates().Get(cmd.Context(), args[0], metav1.GetOptions{})
			if err != nil {
				return cluster.Explain(err)
			}
			if err := printTemplate(c.Streams.Out, template); err != nil {
				return err
			}
			c.say("see what it comes to with: %s template render %s --namespace %s", c.Program, template.Name, cluster.Namespace)
			return nil
		},
	}
}

func printTemplate(to io.Writer, template *tenancyv1.VirtualClusterTemplate) error {
	out := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintf(out, "Name:\t%s\n", template.Name)
	fmt.Fprintf(out, "Description:\t%s\n", cmp.Or(template.Spec.Description, none))
	fmt.Fprintf(out, "Default:\t%t\n", template.Spec.Default)
	for _, version := range template.Spec.Versions {
		fmt.Fprintf(out, "Version %s:\n", version.Version)
		if len(version.Parameters) > 0 {
			fmt.Fprintln(out, "  PARAMETER\tTYPE\tDEFAULT\tALLOWED\tDESCRIPTION")
		}
		for _, parameter := range version.Parameters {
			value := "<required>"
			if parameter.Default != nil {
				value = *parameter.Default
			}
			fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%s\n", parameter.Name, cmp.Or(parameter.Type, tenancyv1.ParameterString), value, allowed(parameter), parameter.Description)
		}
		for _, part := range []struct {
			name string
			raw  []byte
		}{{"Defaults", rawOf(version.Defaults)}, {"Forced", rawOf(version.Forced)}} {
			if len(part.raw) == 0 {
				continue
			}
			text, err := yaml.JSONToYAML(part.raw)
			if err != nil {
				return fmt.Errorf("version %s of template %s: %w", version.Version, template.Name, err)
			}
			fmt.Fprintf(out, "  %s:\n    %s\n", part.name, strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    "))
		}
	}
	return out.Flush()
}

// allowed are the values that a parameter may have.
func allowed(parameter tenancyv1.TemplateParameter) string {
	var rules []string
	if len(parameter.Options) > 0 {
		rules = append(rules, strings.Join(parameter.Options, ", "))
	}
	if parameter.Minimum != nil {
		rules = append(rules, "at least "+*parameter.Minimum)
	}
	if parameter.Maximum != nil {
		rules = append(rules, "at most "+*parameter.Maximum)
	}
	if parameter.Pattern != "" {
		rules = append(rules, "matching "+parameter.Pattern)
	}
	return cmp.Or(strings.Join(rules, "; "), "any")
}

func (c *Commands) renderTemplate() *cobra.Command {
	var options manifestOptions
	cmd := &cobra.Command{
		Use:   "render NAME",
		Short: "Print the spec that a template results in, without creating anything",
		Long: `Asks the server what a virtual cluster created from the template would look like, by a dry run
of its creation in the namespace, and prints its spec. Validation, quotas and the limits of
the host cluster apply as for a real one. The command creates nothing.`,
		Example: "  " + c.Program + ` template render small --space team-a
  ` + c.Program + ` template render small -n team-a --template-version 1.0.0 --parameter size=8Gi`,
		Args:              subject.One,
		ValidArgsFunction: c.completeTemplates,
		RunE: func(cmd *cobra.Command, args []string) error {
			options.template = args[0]
			return c.render(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.templateVersion, "template-version", "", "version of the template; the highest that is no pre-release when not given")
	flags.StringArrayVar(&options.parameters, "parameter", nil, "parameter of the template as name=value; may be repeated")
	flags.StringVar(&options.hostCluster, "cluster", "", "HostCluster that would run it; "+tenancyv1.LocalHostCluster+" when not given")
	return cmd
}

func (c *Commands) render(ctx context.Context, options manifestOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	// A name that nobody has: the dry run fails for one that is taken.
	manifest, err := options.build(c.Streams.In, "render-"+rand.String(tokenLength), cluster.Namespace)
	if err != nil {
		return err
	}
	rendered, err := client.TenancyV1().VirtualClusters(cluster.Namespace).Create(ctx, manifest,
		metav1.CreateOptions{FieldManager: "garret", DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return cluster.Explain(err)
	}
	content, err := yaml.Marshal(map[string]any{"spec": rendered.Spec})
	if err != nil {
		return err
	}
	if _, err := c.Streams.Out.Write(content); err != nil {
		return err
	}
	c.say("create one with: %s create NAME --namespace %s --template %s", c.Program, cluster.Namespace, options.template)
	return nil
}

func (c *Commands) completeTemplates(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	_, client, err := c.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), subject.CompletionTimeout)
	defer cancel()
	list, err := client.TenancyV1().VirtualClusterTemplates().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		if !slices.Contains(args, item.Name) {
			names = append(names, item.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func rawOf(part *runtime.RawExtension) []byte {
	if part == nil {
		return nil
	}
	return part.Raw
}
