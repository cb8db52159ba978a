// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"context"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/utils/ptr"
)

// prefix is where Leases lie in the datastore, beside the resources.
const prefix = "/turns"

// lease is a Holder in the datastore.
type lease struct {
	storage apistorage.Interface
	key     string
}

// InDatastore returns the Holder of this name, and what ends its connection.
func InDatastore(options generic.RESTOptionsGetter, name string) (Holder, func(), error) {
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		return nil, nil, err
	}
	found, err := options.GetRESTOptions(schema.GroupResource{Group: coordinationv1.GroupName, Resource: "leases"}, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("storage of turns: %w", err)
	}
	config := *found.StorageConfig
	config.Codec = serializer.NewCodecFactory(scheme).LegacyCodec(coordinationv1.SchemeGroupVersion)
	storage, destroy, err := generic.NewRawStorage(&config,
		func() runtime.Object { return &coordinationv1.Lease{} }, func() runtime.Object { return &coordinationv1.LeaseList{} }, prefix)
	if err != nil {
		return nil, nil, fmt.Errorf("storage of turns: %w", err)
	}
	return &lease{storage: storage, key: prefix + "/" + name}, destroy, nil
}

// Swap implements Holder.
func (l *lease) Swap(ctx context.Context, change func(string) (string, error)) error {
	const makeIt = true
	return l.storage.GuaranteedUpdate(ctx, l.key, &coordinationv1.Lease{}, makeIt, nil,
		func(object runtime.Object, _ apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
			found, ok := object.(*coordinationv1.Lease)
			if !ok {
				return nil, nil, fmt.Errorf("storage of turns holds a %T under %s", object, l.key)
			}
			next, err := change(ptr.Deref(found.Spec.HolderIdentity, ""))
			if err != nil {
				return nil, nil, err
			}
			found.Spec.HolderIdentity = &next
			return found, nil, nil
		}, nil)
}
