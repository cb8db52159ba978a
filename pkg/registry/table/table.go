// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package table prints objects of any kind as the rows that kubectl get shows.
package table

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// None stands in a cell for what is not there.
const None = "<none>"

// Convertor prints one kind.
type Convertor[T runtime.Object] struct {
	// Columns are the table's; those of priority 1 show with -o wide.
	Columns []metav1.TableColumnDefinition
	// Cells are those of one row. Age is that of the object, in words.
	Cells func(object T, age string) []any
}

var _ rest.TableConvertor = Convertor[runtime.Object]{}

// ConvertToTable converts one object or a list of them.
func (c Convertor[T]) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if opt, ok := options.(*metav1.TableOptions); !ok || !opt.NoHeaders {
		table.ColumnDefinitions = c.Columns
	}
	accessor, err := meta.CommonAccessor(object)
	if err != nil {
		return nil, err
	}
	table.ResourceVersion = accessor.GetResourceVersion()
	if list, err := meta.ListAccessor(object); err == nil {
		table.Continue, table.RemainingItemCount = list.GetContinue(), list.GetRemainingItemCount()
	}
	table.Rows, err = metatable.MetaToTableRow(object, func(each runtime.Object, _ metav1.Object, _, age string) ([]any, error) {
		printed, ok := each.(T)
		if !ok {
			return nil, fmt.Errorf("cannot print a %T as a row of %T", each, printed)
		}
		return c.Cells(printed, age), nil
	})
	if err != nil {
		return nil, err
	}
	return table, nil
}

// OrNone returns the text, or None where it is empty.
func OrNone(text string) string {
	if text == "" {
		return None
	}
	return text
}
