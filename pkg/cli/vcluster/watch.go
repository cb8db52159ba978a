// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/cmd/get"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// asTable asks the server for its own columns, with the objects for a printer that wants one.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// follow prints objects and then what changes, until the context ends. The code of
// kubectl for that exits by itself when it is interrupted, with the code of a failure.
func (c *Commands) follow(ctx context.Context, factory cmdutil.Factory, options *get.GetOptions, resource string, names []string) error {
	if len(names) > 1 {
		return host.Misuse(errors.New("only one virtual cluster, or all, can be watched"), "name one, or choose by --selector")
	}
	mapper, err := factory.ToRESTMapper()
	if err != nil {
		return err
	}
	kind, err := mapper.KindFor(tenancyv1.SchemeGroupVersion.WithResource(resource))
	if err != nil {
		return err
	}
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	client, err := factory.UnstructuredClientForMapping(mapping)
	if err != nil {
		return err
	}
	selected := metav1.ListOptions{LabelSelector: options.LabelSelector, FieldSelector: options.FieldSelector}
	for _, name := range names {
		selected.FieldSelector = strings.Trim(selected.FieldSelector+","+fields.OneTermEqualSelector(metav1.ObjectNameField, name).String(), ",")
	}
	request := func() *rest.Request {
		namespace := options.Namespace
		if options.AllNamespaces {
			namespace = metav1.NamespaceAll
		}
		request := client.Get().NamespaceIfScoped(namespace, mapping.Scope.Name() == meta.RESTScopeNameNamespace && namespace != "").Resource(resource)
		if isTable(options) {
			request.SetHeader("Accept", asTable)
		}
		return request.VersionedParams(&selected, metav1.ParameterCodec)
	}
	list, err := request().Do(ctx).Get()
	if err != nil {
		return err
	}
	printed := true
	printer, err := options.ToPrinter(mapping, &printed, options.AllNamespaces, false)
	if err != nil {
		return err
	}
	writer := printers.GetNewTabWriter(options.Out)
	print := func(object runtime.Object) error {
		if err := printer.PrintObj(object, writer); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return writer.Flush()
	}
	if len(names) == 1 && empty(list) && !options.IgnoreNotFound {
		return apierrors.NewNotFound(mapping.Resource.GroupResource(), names[0])
	}
	if !options.WatchOnly {
		if err := each(list, print); err != nil {
			return err
		}
	}
	if selected.ResourceVersion, err = meta.NewAccessor().ResourceVersion(list); err != nil {
		return err
	}
	selected.Watch = true
	watched, err := request().Watch(ctx)
	if err != nil {
		return err
	}
	defer watched.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-watched.ResultChan():
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case !open:
				// The server ends a watch after a while.
				return nil
			case event.Type == watch.Error:
				return apierrors.FromObject(event.Object)
			case event.Type == watch.Bookmark:
				continue
			}
			if err := print(event.Object); err != nil {
				return err
			}
		}
	}
}

// each calls do with every object of a list. A table is one object.
func each(list runtime.Object, do func(runtime.Object) error) error {
	if !meta.IsListType(list) {
		return do(list)
	}
	return meta.EachListItem(list, do)
}

// empty says whether a list, or a table, has nothing in it.
func empty(list runtime.Object) bool {
	if meta.IsListType(list) {
		return meta.LenList(list) == 0
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
	rows, _ := content["rows"].([]any)
	return err == nil && len(rows) == 0
}
