// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/registry/status"
)

// Statuses are what the server itself writes about virtual clusters, and follows: when
// they were used, and who asked them to wake. No user and no policy of the host has a part
// in that, so it goes past the handlers of requests. Nobody owns the fields that it writes,
// so nobody's apply takes them away.
type Statuses struct {
	status  *status.REST
	watcher rest.Watcher
}

// ChangeStatus has change edit the status of a virtual cluster as it is stored. An error
// of change is returned, and nothing is written then. Change is called again when another
// was quicker.
func (s *Statuses) ChangeStatus(ctx context.Context, name types.NamespacedName, change func(*tenancy.VirtualCluster) error) error {
	update := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		vc, ok := old.DeepCopyObject().(*tenancy.VirtualCluster)
		if !ok {
			return nil, fmt.Errorf("storage of virtualclusters holds a %T under %s", old, name)
		}
		return vc, change(vc)
	}
	ctx = request.WithNamespace(ctx, name.Namespace)
	// Validation asks which version it is to be about.
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{
		IsResourceRequest: true, Verb: "update", APIPrefix: "apis", APIGroup: tenancy.GroupName, APIVersion: v1.SchemeGroupVersion.Version,
		Resource: "virtualclusters", Subresource: "status", Namespace: name.Namespace, Name: name.Name,
	})
	_, _, err := s.status.Update(ctx, name.Name, rest.DefaultUpdatedObjectInfo(nil, update),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return err
}

// Watch reports a virtual cluster as the watch cache has it, and each change, until ctx ends.
func (s *Statuses) Watch(ctx context.Context, name types.NamespacedName) (watch.Interface, error) {
	ctx = request.WithNamespace(ctx, name.Namespace)
	events, err := s.watcher.Watch(ctx, &metainternalversion.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name.Name), ResourceVersion: "0",
	})
	if err != nil {
		return nil, err
	}
	return watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
		// As soon as several watch, they share an object that is encoded once.
		if shared, ok := event.Object.(runtime.CacheableObject); ok {
			event.Object = shared.GetObject()
		}
		return event, true
	}), nil
}
