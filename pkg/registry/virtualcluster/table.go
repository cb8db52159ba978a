// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"garret.dev/garret/apis/tenancy"
)

// tableConvertor prints what kubectl get shows.
type tableConvertor struct{}

// columns are the table's; those of priority 1 show with -o wide.
func columns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the virtual cluster."},
		{Name: "Phase", Type: "string", Description: "Its state in one word."},
		{Name: "Version", Type: "string", Description: "Version of Kubernetes that answers inside, or the one asked for until it does."},
		{Name: "Age", Type: "string", Description: "Time since it was created."},
		{Name: "Distro", Type: "string", Priority: 1, Description: "Distribution of the control plane."},
		{Name: "Endpoint", Type: "string", Priority: 1, Description: "Address of the API server inside."},
		{Name: "Cluster-ID", Type: "string", Priority: 1, Description: "Identifies the virtual cluster among all of the host cluster."},
		{Name: "Reason", Type: "string", Priority: 1, Description: "Why it is ready or not."},
		{Name: "Message", Type: "string", Priority: 1, Description: "The same in words."},
	}
}

// ConvertToTable converts one object or a list of them.
func (tableConvertor) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if opt, ok := options.(*metav1.TableOptions); !ok || !opt.NoHeaders {
		table.ColumnDefinitions = columns()
	}
	switch obj := object.(type) {
	case *tenancy.VirtualCluster:
		table.ResourceVersion = obj.ResourceVersion
		table.Rows = []metav1.TableRow{row(obj)}
	case *tenancy.VirtualClusterList:
		table.ListMeta = obj.ListMeta
		table.Rows = make([]metav1.TableRow, 0, len(obj.Items))
		for i := range obj.Items {
			table.Rows = append(table.Rows, row(&obj.Items[i]))
		}
	default:
		return nil, fmt.Errorf("table of virtualclusters: cannot print a %T", object)
	}
	return table, nil
}

func row(vc *tenancy.VirtualCluster) metav1.TableRow {
	version := vc.Status.KubernetesVersion
	if version == "" {
		version = vc.Spec.Kubernetes.Version
	}
	var reason, message string
	if ready := meta.FindStatusCondition(vc.Status.Conditions, tenancy.ConditionReady); ready != nil {
		reason, message = ready.Reason, ready.Message
	}
	return metav1.TableRow{
		Cells: []any{
			vc.Name, phase(vc), version, age(vc), string(vc.Spec.Kubernetes.Distro),
			orNone(vc.Status.Endpoint), vc.Status.ClusterID, orNone(reason), orNone(message),
		},
		Object: runtime.RawExtension{Object: vc},
	}
}

// phase is what the status says, except that a deletion shows at once, before
// the controller has noticed.
func phase(vc *tenancy.VirtualCluster) string {
	if vc.DeletionTimestamp != nil {
		return string(tenancy.PhaseTerminating)
	}
	return string(vc.Status.Phase)
}

func age(vc *tenancy.VirtualCluster) string {
	if vc.CreationTimestamp.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(vc.CreationTimestamp.Time))
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}
