// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

// consumption of some pods.
type consumption struct {
	pods        int
	cpu, memory resource.Quantity
}

func (c *consumption) add(pod *metricsv1beta1.PodMetrics) {
	c.pods++
	for _, container := range pod.Containers {
		c.cpu.Add(*container.Usage.Cpu())
		c.memory.Add(*container.Usage.Memory())
	}
}

// String gives CPU and memory in kubectl's units. Without figures of any pod they are
// unknown, as in the first minute of one: zero would be an answer.
func (c *consumption) String() string {
	if c.pods == 0 {
		return "<unknown>\t<unknown>"
	}
	return fmt.Sprintf("%dm\t%dMi", c.cpu.MilliValue(), c.memory.Value()>>20)
}

// Top returns the command "top".
func (c *Commands) Top() *cobra.Command {
	var everywhere bool
	cmd := &cobra.Command{
		Use:   "top [NAME...]",
		Short: "Show what virtual clusters use of the host's CPU and memory",
		Long: `Shows for each virtual cluster what its control plane uses, syncer included, and what the pods
of its workloads use together. PODS counts the pods with figures, which a pod gets in its
first minute. The figures come from the host's metrics API. You need the right to list pods of
metrics.k8s.io in the namespace on the host.`,
		Example: "  " + c.Program + ` top --space team-a
  ` + c.Program + ` top -A`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: subject.Completion(c.Flags, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.top(cmd.Context(), args, everywhere)
		},
	}
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "show those of all namespaces")
	return subject.Optional(cmd)
}

func (c *Commands) top(ctx context.Context, names []string, everywhere bool) error {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return err
	}
	namespace := cluster.Namespace
	if everywhere {
		namespace = metav1.NamespaceAll
	}
	clusters, err := listed(ctx, cluster, namespace, names)
	if err != nil {
		return cluster.Explain(err)
	}
	if len(clusters) == 0 {
		fmt.Fprintf(c.Streams.ErrOut, "no virtual clusters; create one with: %s create NAME\n", c.Program)
		return nil
	}
	client, err := metrics.NewForConfig(cluster.Config)
	if err != nil {
		return err
	}
	pods, err := client.MetricsV1beta1().PodMetricses(namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
		return host.Advise(err, "the host serves no metrics: have its administrator install metrics-server")
	}
	if err != nil {
		return cluster.Explain(err)
	}
	out := tabwriter.NewWriter(c.Streams.Out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(out, "NAMESPACE\tNAME\tCONTROL-PLANE-CPU\tCONTROL-PLANE-MEMORY\tPODS\tPODS-CPU\tPODS-MEMORY")
	for i := range clusters {
		own, workloads := consumptionOf(&clusters[i], pods.Items)
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%s\n", clusters[i].Namespace, clusters[i].Name, own, workloads.pods, workloads)
	}
	return out.Flush()
}

// listed are the virtual clusters that are asked for, all of the namespace without names.
func listed(ctx context.Context, cluster *host.Cluster, namespace string, names []string) ([]tenancyv1.VirtualCluster, error) {
	client, err := cluster.Tenancy()
	if err != nil {
		return nil, err
	}
	list, err := client.TenancyV1().VirtualClusters(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(names) == 0 {
		return list.Items, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(list.Items, func(vc tenancyv1.VirtualCluster) bool { return vc.Name == name }) {
			return nil, apierrors.NewNotFound(tenancyv1.Resource("virtualclusters"), name)
		}
	}
	return slices.DeleteFunc(list.Items, func(vc tenancyv1.VirtualCluster) bool { return !slices.Contains(names, vc.Name) }), nil
}

// consumptionOf tells the pods of the control plane from those of the workloads.
func consumptionOf(vc *tenancyv1.VirtualCluster, pods []metricsv1beta1.PodMetrics) (own, workloads *consumption) {
	own, workloads = &consumption{}, &consumption{}
	for i := range pods {
		pod := &pods[i]
		switch {
		case pod.Namespace != vc.Namespace:
		case pod.Labels[tenancyv1.LabelVirtualCluster] == vc.Name:
			own.add(pod)
		case vc.Status.ClusterID != "" && pod.Labels[tenancyv1.LabelCluster] == vc.Status.ClusterID:
			workloads.add(pod)
		}
	}
	return own, workloads
}
