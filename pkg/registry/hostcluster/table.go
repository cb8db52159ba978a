// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/registry/table"
)

// tableConvertor prints what kubectl get shows.
func tableConvertor() table.Convertor[*tenancy.HostCluster] {
	return table.Convertor[*tenancy.HostCluster]{Columns: columns(), Cells: cells}
}

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

func cells(host *tenancy.HostCluster, age string) []any {
	ready, message := string(metav1.ConditionUnknown), ""
	if condition := meta.FindStatusCondition(host.Status.Conditions, tenancy.ConditionReady); condition != nil {
		ready, message = string(condition.Status), condition.Message
	}
	limit, template := table.None, table.None
	if host.Spec.MaxVirtualClusters != nil {
		limit = fmt.Sprint(*host.Spec.MaxVirtualClusters)
	}
	if ref := host.Spec.DefaultTemplateRef; ref != nil {
		template = ref.Name
	}
	return []any{
		host.Name, ready, host.Status.KubernetesVersion, int64(host.Status.VirtualClusters), limit,
		age, template, message,
	}
}
