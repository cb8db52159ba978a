// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/registry/table"
)

// tableConvertor prints what kubectl get shows.
func tableConvertor() table.Convertor[*tenancy.VirtualCluster] {
	return table.Convertor[*tenancy.VirtualCluster]{Columns: columns(), Cells: cells}
}

func columns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the virtual cluster."},
		{Name: "Phase", Type: "string", Description: "Its state in one word."},
		{Name: "Version", Type: "string", Description: "Version of Kubernetes that answers inside, or the one asked for until it does."},
		{Name: "Age", Type: "string", Description: "Time since it was created."},
		{Name: "Note", Type: "string", Description: "Since when and why it sleeps and what wakes it, why it is not ready, or when it is about to be deleted."},
		{Name: "Distro", Type: "string", Priority: 1, Description: "Distribution of the control plane."},
		{Name: "Endpoint", Type: "string", Priority: 1, Description: "Address of the API server inside."},
		{Name: "Cluster-ID", Type: "string", Priority: 1, Description: "Identifies the virtual cluster among all of the host cluster."},
		{Name: "Reason", Type: "string", Priority: 1, Description: "Why it is ready or not."},
		{Name: "Message", Type: "string", Priority: 1, Description: "The same in words."},
	}
}

func cells(vc *tenancy.VirtualCluster, age string) []any {
	version := vc.Status.KubernetesVersion
	if version == "" {
		version = vc.Spec.Kubernetes.Version
	}
	var reason, message string
	if ready := meta.FindStatusCondition(vc.Status.Conditions, tenancy.ConditionReady); ready != nil {
		reason, message = ready.Reason, ready.Message
	}
	if leaving := meta.FindStatusCondition(vc.Status.Conditions, v1.ConditionDeletionScheduled); leaving != nil && leaving.Status == metav1.ConditionTrue {
		message = strings.TrimPrefix(message+"; "+leaving.Message, "; ")
	}
	return []any{
		vc.Name, phase(vc), version, age, note(vc, time.Now()), string(vc.Spec.Kubernetes.Distro),
		table.OrNone(vc.Status.Endpoint), vc.Status.ClusterID, table.OrNone(reason), table.OrNone(message),
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
