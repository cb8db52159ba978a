// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/registry/table"
)

// tableConvertor prints what kubectl get shows.
func tableConvertor() table.Convertor[*tenancy.VirtualClusterTemplate] {
	return table.Convertor[*tenancy.VirtualClusterTemplate]{Columns: columns(), Cells: cells}
}

func columns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the template."},
		{Name: "Versions", Type: "string", Description: "Its versions."},
		{Name: "Default", Type: "boolean", Description: "Whether virtual clusters that name no template are made from it."},
		{Name: "Age", Type: "string", Description: "Time since it was created."},
		{Name: "Description", Type: "string", Priority: 1, Description: "What it is for."},
	}
}

func cells(template *tenancy.VirtualClusterTemplate, age string) []any {
	versions := make([]string, 0, len(template.Spec.Versions))
	for _, version := range template.Spec.Versions {
		versions = append(versions, version.Version)
	}
	return []any{
		template.Name, strings.Join(versions, ","), template.Spec.Default,
		age, template.Spec.Description,
	}
}
