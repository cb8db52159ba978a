// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/apis/tenancy"
)

// TestProtected refuses a deletion while it is protected, unless the namespace goes.
func TestProtected(t *testing.T) {
	admission := errors.New("admission was asked")
	ending := metav1.Now()
	for name, test := range map[string]struct {
		protected, terminating bool
		namespace              *corev1.Namespace
		refused                bool
	}{
		"not protected":               {false, false, &corev1.Namespace{}, false},
		"protected":                   {true, false, &corev1.Namespace{}, true},
		"being deleted already":       {true, true, &corev1.Namespace{}, false},
		"its namespace is deleted":    {true, false, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &ending}}, false},
		"its namespace is not known":  {true, false, nil, true},
		"not protected, no namespace": {false, false, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
			if test.namespace != nil {
				test.namespace.Name = "team"
				if err := indexer.Add(test.namespace); err != nil {
					t.Fatal(err)
				}
			}
			vc := existing()
			vc.Spec.DeletionProtection = test.protected
			if test.terminating {
				vc.DeletionTimestamp = &ending
			}
			r := &REST{namespaces: corelisters.NewNamespaceLister(indexer)}
			err := r.unprotected(func(context.Context, runtime.Object) error { return admission })(t.Context(), vc)
			if !test.refused {
				if !errors.Is(err, admission) {
					t.Errorf("got %v, want what admission says", err)
				}
				return
			}
			status, ok := err.(apierrors.APIStatus)
			if !ok || !apierrors.IsForbidden(err) || len(status.Status().Details.Causes) != 1 || status.Status().Details.Causes[0].Field != "spec.deletionProtection" ||
				!strings.Contains(err.Error(), `kubectl patch vc demo -n team --type=merge -p '{"spec":{"deletionProtection":false}}'`) {
				t.Errorf("got %v, want Forbidden with the field and the remedy", err)
			}
		})
	}
	if err := (&REST{}).unprotected(nil)(t.Context(), &tenancy.VirtualCluster{}); err != nil {
		t.Errorf("without admission and namespaces: got %v", err)
	}
}
