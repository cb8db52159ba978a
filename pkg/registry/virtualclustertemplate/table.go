// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"context"
	"fmt"
	"strings"

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
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the template."},
		{Name: "Versions", Type: "string", Description: "Its versions."},
		{Name: "Default", Type: "boolean", Description: "Whether virtual clusters that name no template are made from it."},
		{Name: "Age", Type: "string", Description: "Time since it was created."},
		{Name: "Description", Type: "string", Priority: 1, Description: "What it is for."},
	}
}

// ConvertToTable converts one object or a list of them.
func (tableConvertor) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if opt, ok := options.(*metav1.TableOptions); !ok || !opt.NoHeaders {
		table.ColumnDefinitions = columns()
	}
	switch obj := object.(type) {
	case *tenancy.VirtualClusterTemplate:
		table.ResourceVersion = obj.ResourceVersion
		table.Rows = []metav1.TableRow{row(obj)}
	case *tenancy.VirtualClusterTemplateList:
		table.ListMeta = obj.ListMeta
		table.Rows = make([]metav1.TableRow, 0, len(obj.Items))
		for i := range obj.Items {
			table.Rows = append(table.Rows, row(&obj.Items[i]))
		}
	default:
		return nil, fmt.Errorf("table of virtualclustertemplates: cannot print a %T", object)
	}
	return table, nil
}

func row(template *tenancy.VirtualClusterTemplate) metav1.TableRow {
	versions := make([]string, 0, len(template.Spec.Versions))
	for _, version := range template.Spec.Versions {
		versions = append(versions, version.Version)
	}
	return metav1.TableRow{
		Cells: []any{
			template.Name, strings.Join(versions, ","), template.Spec.Default,
			metatable.ConvertToHumanReadableDateType(template.CreationTimestamp), template.Spec.Description,
		},
		Object: runtime.RawExtension{Object: template},
	}
}
