// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/syncer/admission"
)

const (
	// keepInterval is how often what a tenant may have changed is looked at though nobody
	// heard of a change.
	keepInterval = 5 * time.Minute
	// keepPause is how long a tenant's next change waits after a revert, so that
	// somebody who changes it in a loop does not keep the syncer busy.
	keepPause = time.Second
	// keepRetry is when a failed revert is tried again.
	keepRetry = 10 * time.Second
)

// keep restores what went missing, when somebody changes or deletes it.
func (b *Bootstrap) keep(ctx context.Context) {
	steps := append([]step{
		{"the Service kubernetes", b.kubernetesService, true},
		{"the admission webhook", b.keepWebhook, true},
		{"the admission webhook of Nodes", b.keepNodes, true},
	}, b.rights()...)
	for changed, again := b.watchKept(ctx), keepInterval; ; {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(again):
		}
		again = keepInterval
		for _, s := range steps {
			if err := s.run(ctx); err != nil && ctx.Err() == nil {
				again = keepRetry
				b.trouble(ctx, s, err)
			}
		}
		if again == keepInterval {
			b.Reporter.Done(PartBootstrap)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepPause):
		}
	}
}

// kept is a kind of which some objects are kept as they are put in place.
type kept struct {
	objects cache.ListerWatcher
	example runtime.Object
	names   sets.Set[string]
}

// keptKinds are those that keep looks at.
func (b *Bootstrap) keptKinds() []kept {
	services := b.Virtual.CoreV1().Services(metav1.NamespaceDefault)
	webhooks := b.Virtual.AdmissionregistrationV1()
	mutating, validating := webhooks.MutatingWebhookConfigurations(), webhooks.ValidatingWebhookConfigurations()
	clusterRoles, clusterBindings := b.Virtual.RbacV1().ClusterRoles(), b.Virtual.RbacV1().ClusterRoleBindings()
	roles, bindings := rightsNames()
	return []kept{
		{objects(b.Virtual, services.List, services.Watch, apiService), &corev1.Service{}, sets.New(apiService)},
		{objects(b.Virtual, mutating.List, mutating.Watch, admission.ConfigurationName), &admissionregistrationv1.MutatingWebhookConfiguration{}, sets.New(admission.ConfigurationName)},
		{objects(b.Virtual, validating.List, validating.Watch, admission.ConfigurationName), &admissionregistrationv1.ValidatingWebhookConfiguration{}, sets.New(admission.ConfigurationName)},
		{objects(b.Virtual, clusterRoles.List, clusterRoles.Watch, ""), &rbacv1.ClusterRole{}, roles},
		{objects(b.Virtual, clusterBindings.List, clusterBindings.Watch, ""), &rbacv1.ClusterRoleBinding{}, bindings},
	}
}

// objects lists and watches those of a kind, or the one of the name alone.
func objects[L runtime.Object](client kubernetes.Interface, list func(context.Context, metav1.ListOptions) (L, error),
	follow func(context.Context, metav1.ListOptions) (watch.Interface, error), name string,
) cache.ListerWatcher {
	only := func(options metav1.ListOptions) metav1.ListOptions {
		if name != "" {
			options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}
		return options
	}
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return list(ctx, only(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return follow(ctx, only(options))
		},
	}, client)
}

// watchKept returns a channel that has a note once an object that is kept was changed.
func (b *Bootstrap) watchKept(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	for _, kind := range b.keptKinds() {
		kind.watch(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}
	return changed
}

// watch calls note for every change of an object that is kept.
func (k kept) watch(ctx context.Context, note func()) {
	about := func(object any) {
		if last, gone := object.(cache.DeletedFinalStateUnknown); gone {
			object = last.Obj
		}
		if found, err := meta.Accessor(object); err == nil && k.names.Has(found.GetName()) {
			note()
		}
	}
	update := func(before, object any) {
		was, is := before.(*metav1.PartialObjectMetadata), object.(*metav1.PartialObjectMetadata)
		if was.UID != is.UID || was.ResourceVersion != is.ResourceVersion {
			about(object)
		}
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: k.objects,
		ObjectType:    k.example,
		Transform:     bare,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    about,
			UpdateFunc: update,
			DeleteFunc: about,
		},
	})
	go controller.RunWithContext(ctx)
}

// bare leaves of an object what a change is seen by.
func bare(object any) (any, error) {
	found, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // A sign of deletion stays as it is.
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: found.GetNamespace(), Name: found.GetName(), UID: found.GetUID(), ResourceVersion: found.GetResourceVersion(),
	}}, nil
}
