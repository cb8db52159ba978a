// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"garret.dev/garret/apis/tenancy"
)

// tableConvertor prints what kubectl get shows.
type tableConvertor struct{}

// columns are the table's; those of priority 1 show with -o wide.
func columns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the host cluster."},
		{Name: "Ready", Type: "string", Description: "Whether virtual clusters can be deployed to it."},
		{Name: "Version", Type: "string", Description: "Version of Kubernetes on the host cluster."},
		{Name: "Virtual-Clusters", Type: "integer", Description: "How many virtual clusters there are on it."},
		{Name: "Limit", Type: "string", Description: "How many there may be."},
		{Name: "Age", Type: "string", Description: "Time since it was created."},
		{Name: "Default-Template", Type: "string", Priority: 1, Description: "Template of virtual clusters that name none."},
		{Name: "Message", Type: "string", Priority: 1, Description: "Why it is ready or not."},
	}
}

// ConvertToTable converts one object or a list of them.
func (tableConvertor) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if opt, ok := options.(*metav1.TableOptions); !ok || !opt.NoHeaders {
		table.ColumnDefinitions = columns()
	}
	switch obj := object.(type) {
	case *tenancy.HostCluster:
		table.ResourceVersion = obj.ResourceVersion
		table.Rows = []metav1.TableRow{row(obj)}
	case *tenancy.HostClusterList:
		table.ListMeta = obj.ListMeta
		table.Rows = make([]metav1.TableRow, 0, len(obj.Items))
		for i := range obj.Items {
			table.Rows = append(table.Rows, row(&obj.Items[i]))
		}
	default:
		return nil, fmt.Errorf("table of hostclusters: cannot print a %T", object)
	}
	return table, nil
}

func row(host *tenancy.HostCluster) metav1.TableRow {
	ready, message := string(metav1.ConditionUnknown), ""
	if condition := meta.FindStatusCondition(host.Status.Conditions, tenancy.ConditionReady); condition != nil {
		ready, message = string(condition.Status), condition.Message
	}
	limit, template := "<none>", "<none>"
	if host.Spec.MaxVirtualClusters != nil {
		limit = fmt.Sprint(*host.Spec.MaxVirtualClusters)
	}
	if ref := host.Spec.DefaultTemplateRef; ref != nil {
		template = ref.Name
	}
	return metav1.TableRow{
		Cells: []any{
			host.Name, ready, host.Status.KubernetesVersion, int64(host.Status.VirtualClusters), limit,
			metatable.ConvertToHumanReadableDateType(host.CreationTimestamp), template, message,
		},
		Object: runtime.RawExtension{Object: host},
	}
}
