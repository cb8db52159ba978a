// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubectl/pkg/cmd/get"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
)

const (
	// orphaned selects the host objects that hold data and have lost the object inside.
	orphaned = tenancyv1.LabelOrphan + "=true"

	// deletedCluster stands where no virtual cluster has the id that a host object carries.
	deletedCluster = "(deleted)"
	none           = "<none>"
)

func (c *Commands) listOrphans(ctx context.Context, options *get.GetOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	var printer printers.ResourcePrinter
	if !isTable(options) {
		if printer, err = options.PrintFlags.ToPrinter(); err != nil {
			return host.Misuse(err, "see --output in the help")
		}
	}
	namespace := cluster.Namespace
	if options.AllNamespaces {
		namespace = metav1.NamespaceAll
	}
	selector := orphaned
	if options.LabelSelector != "" {
		selector += "," + options.LabelSelector
	}
	list, err := findOrphans(ctx, cluster, namespace, selector)
	if err != nil {
		return cluster.Explain(err)
	}
	known, unseen := knownClusters(ctx, client, namespace)
	if unseen != nil {
		// What is kept can be seen without Garret, and with no right to its objects.
		c.say("the host does not list virtual clusters, so they are shown by their ids, and custom kinds that hold data may be missing: %v", unseen)
	}
	may := func(kind string) bool { return unseen != nil || anySyncs(known, kind) }
	for _, err := range append(addCustomOrphans(ctx, cluster, namespace, selector, known, list), addWideOrphans(ctx, cluster, namespace, selector, may, list)...) {
		c.say("%v", err)
	}
	if printer != nil {
		return printer.PrintObj(list, c.Streams.Out)
	}
	if len(list.Items) == 0 {
		c.say("no orphans%s", in(namespace))
		return nil
	}
	return printOrphans(c.Streams.Out, list, clusterNames(known, unseen), options)
}

// findOrphans lists what the selector chooses on the host, as the user may.
func findOrphans(ctx context.Context, cluster *host.Cluster, namespace, selector string) (*unstructured.UnstructuredList, error) {
	client, err := cluster.Kubernetes()
	if err != nil {
		return nil, fmt.Errorf("client of the host cluster: %w", err)
	}
	answer, err := client.CoreV1().RESTClient().Get().
		SetHeader("Accept", runtime.ContentTypeJSON).
		Namespace(namespace).Resource(tenancyv1.ResourceClaims).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, scheme.ParameterCodec).
		Do(ctx).Raw()
	if apierrors.IsForbidden(err) {
		where, narrow := "in namespace "+namespace, ""
		if namespace == metav1.NamespaceAll {
			where, narrow = "in all namespaces", "name one of your namespaces with --namespace, or "
		}
		return nil, host.Advise(err, "%sask an administrator of the host cluster for the right to list persistentvolumeclaims %s: the ClusterRole view has it", narrow, where)
	}
	if err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	if err := list.UnmarshalJSON(answer); err != nil {
		return nil, fmt.Errorf("the host's list: %w", err)
	}
	return list, nil
}

// place is where an id of a virtual cluster is used.
type place struct{ namespace, id string }

// knownClusters are the virtual clusters that the user may list.
func knownClusters(ctx context.Context, client versioned.Interface, namespace string) ([]tenancyv1.VirtualCluster, error) {
	list, err := client.TenancyV1().VirtualClusters(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// clusterNames are the names of virtual clusters; nil where they are not known.
func clusterNames(known []tenancyv1.VirtualCluster, unseen error) map[place]string {
	if unseen != nil {
		return nil
	}
	names := map[place]string{}
	for i := range known {
		names[place{known[i].Namespace, known[i].Status.ClusterID}] = known[i].Name
	}
	return names
}

// printOrphans writes the table. Without names, virtual clusters are shown by their ids.
func printOrphans(out io.Writer, list *unstructured.UnstructuredList, names map[place]string, options *get.GetOptions) error {
	table := &metav1.Table{ColumnDefinitions: []metav1.TableColumnDefinition{
		{Name: "Virtual Cluster", Type: "string"},
		{Name: "Kind", Type: "string"},
		{Name: "Object Inside", Type: "string"},
		{Name: "On The Host", Type: "string"},
		{Name: "Size", Type: "string"},
		{Name: "Age", Type: "string"},
		{Name: "Phase", Type: "string", Priority: 1},
		{Name: "Volume", Type: "string", Priority: 1},
		{Name: "Cluster-ID", Type: "string", Priority: 1},
	}}
	for i := range list.Items {
		cells, err := orphanCells(&list.Items[i], names)
		if err != nil {
			return err
		}
		table.Rows = append(table.Rows, metav1.TableRow{Cells: cells, Object: runtime.RawExtension{Object: &list.Items[i]}})
	}
	slices.SortStableFunc(table.Rows, func(a, b metav1.TableRow) int {
		return cmp.Or(cmp.Compare(namespaceOf(a), namespaceOf(b)), cmp.Compare(a.Cells[0].(string), b.Cells[0].(string)), cmp.Compare(a.Cells[2].(string), b.Cells[2].(string)))
	})
	printer := printers.NewTablePrinter(printers.PrintOptions{
		Wide: *options.PrintFlags.OutputFormat == wide, WithNamespace: options.AllNamespaces, NoHeaders: *options.PrintFlags.NoHeaders,
	})
	return printer.PrintObj(table, out)
}

func namespaceOf(row metav1.TableRow) string {
	return row.Object.Object.(*unstructured.Unstructured).GetNamespace()
}

func orphanCells(object *unstructured.Unstructured, names map[place]string) ([]any, error) {
	facts, err := factsOf(object)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s on the host: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	id := object.GetLabels()[tenancyv1.LabelCluster]
	name := names[place{facts.namespace, id}]
	switch {
	case names == nil:
		name = id
	case name == "":
		name = deletedCluster
	}
	phase := facts.phase
	if object.GetDeletionTimestamp() != nil {
		phase = "Terminating"
	}
	return []any{
		name, object.GetKind(), inside(object.GetAnnotations()), object.GetName(), facts.size,
		duration.HumanDuration(time.Since(object.GetCreationTimestamp().Time)), cmp.Or(phase, none), cmp.Or(facts.volume, none), cmp.Or(id, none),
	}, nil
}

// facts are what the table shows of a kind besides names.
type facts struct{ namespace, size, phase, volume string }

func factsOf(object *unstructured.Unstructured) (facts, error) {
	convert := runtime.DefaultUnstructuredConverter.FromUnstructured
	known := facts{namespace: namespaceOn(object), size: none}
	switch {
	case isClaim(object):
		claim := &corev1.PersistentVolumeClaim{}
		if err := convert(object.Object, claim); err != nil {
			return known, err
		}
		has, bound := claim.Status.Capacity[corev1.ResourceStorage]
		if !bound {
			has = claim.Spec.Resources.Requests[corev1.ResourceStorage]
		}
		known.size, known.phase, known.volume = has.String(), string(claim.Status.Phase), claim.Spec.VolumeName
	case object.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("PersistentVolume"):
		volume := &corev1.PersistentVolume{}
		if err := convert(object.Object, volume); err != nil {
			return known, err
		}
		has := volume.Spec.Capacity[corev1.ResourceStorage]
		known.size, known.phase, known.volume = has.String(), string(volume.Status.Phase), volume.Name
	}
	return known, nil
}

func isClaim(object *unstructured.Unstructured) bool {
	return object.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim")
}

// inside is the object that a host object stood for, as namespace/name, or as the name of one of
// cluster scope.
func inside(annotations map[string]string) string {
	name := annotations[tenancyv1.AnnotationVirtualName]
	if name == "" {
		return none
	}
	if namespace := annotations[tenancyv1.AnnotationVirtualNamespace]; namespace != "" {
		return namespace + "/" + name
	}
	return name
}
