// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
)

// acceptTable asks for the columns that the server has chosen, as kubectl does.
const acceptTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// wide is the output with more columns.
const wide = "wide"

type listOptions struct {
	everywhere bool
	selector   string
	noHeaders  bool
	print      *genericclioptions.PrintFlags
}

// List returns the command "vclusters" below "list".
func (c *Commands) List() *cobra.Command {
	options := listOptions{print: genericclioptions.NewPrintFlags("")}
	cmd := &cobra.Command{
		Use:     "vclusters",
		Aliases: aliases("vclusters"),
		Short:   "List virtual clusters",
		Example: "  " + c.Program + ` list vclusters --space team-a
  ` + c.Program + ` list vclusters -A -o wide`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context(), options) },
	}
	options.addTo(cmd)
	return cmd
}

func (o *listOptions) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&o.everywhere, "all-namespaces", "A", false, "list those of all namespaces")
	flags.StringVarP(&o.selector, "selector", "l", "", "label selector")
	flags.BoolVar(&o.noHeaders, "no-headers", false, "print no headers")
	o.print.AddFlags(cmd)
	flags.Lookup("output").Usage = "wide, json, yaml, name, jsonpath=…, go-template=…"
}

func (c *Commands) list(ctx context.Context, options listOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	namespace := cluster.Namespace
	if options.everywhere {
		namespace = metav1.NamespaceAll
	}
	if options.isTable() {
		err = c.listTable(ctx, client, namespace, options)
	} else {
		err = c.listObjects(ctx, client, namespace, options)
	}
	return cluster.Explain(err)
}

func (c *Commands) listTable(ctx context.Context, client versioned.Interface, namespace string, options listOptions) error {
	table := &metav1.Table{}
	err := client.TenancyV1().RESTClient().Get().
		SetHeader("Accept", acceptTable).
		Namespace(namespace).Resource("virtualclusters").
		VersionedParams(&metav1.ListOptions{LabelSelector: options.selector}, metav1.ParameterCodec).
		Do(ctx).Into(table)
	if err != nil {
		return err
	}
	if len(table.ColumnDefinitions) == 0 {
		return fmt.Errorf("the host did not answer with a table")
	}
	if len(table.Rows) == 0 {
		c.say("no virtual clusters%s", in(namespace))
		return nil
	}
	for i := range table.Rows {
		// The printer reads the namespace from the object of the row.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(table.Rows[i].Object.Raw); err != nil {
			return fmt.Errorf("row %d of the host's table: %w", i, err)
		}
		table.Rows[i].Object = runtime.RawExtension{Object: object}
	}
	printer := printers.NewTablePrinter(printers.PrintOptions{
		Wide: *options.print.OutputFormat == wide, WithNamespace: namespace == metav1.NamespaceAll, NoHeaders: options.noHeaders,
	})
	return printer.PrintObj(table, c.Streams.Out)
}

func (c *Commands) listObjects(ctx context.Context, client versioned.Interface, namespace string, options listOptions) error {
	printer, err := options.printer()
	if err != nil {
		return err
	}
	answer, err := client.TenancyV1().RESTClient().Get().
		SetHeader("Accept", runtime.ContentTypeJSON).
		Namespace(namespace).Resource("virtualclusters").
		VersionedParams(&metav1.ListOptions{LabelSelector: options.selector}, metav1.ParameterCodec).
		Do(ctx).Raw()
	if err != nil {
		return err
	}
	// Unstructured, so that what a newer server says is not left out, and so
	// that each item carries its kind.
	list := &unstructured.UnstructuredList{}
	if err := list.UnmarshalJSON(answer); err != nil {
		return fmt.Errorf("the host's list: %w", err)
	}
	return printer.PrintObj(list, c.Streams.Out)
}

// printer is for any output but a table.
func (o *listOptions) printer() (printers.ResourcePrinter, error) {
	printer, err := o.print.ToPrinter()
	if err != nil {
		return nil, host.Misuse(err, "see --output in the help")
	}
	return printer, nil
}

// isTable says whether the output is a table.
func (o *listOptions) isTable() bool {
	output := *o.print.OutputFormat
	return output == "" || output == wide
}

func in(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return ""
	}
	return " in namespace " + namespace
}
