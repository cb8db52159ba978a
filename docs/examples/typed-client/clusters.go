// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/generated/informers/externalversions"
)

const fieldManager = "typed-client"

// apply makes the virtual cluster, or changes it if it is there, and owns the
// fields that are set here and no others.
func apply(ctx context.Context, client versioned.Interface, namespace, name string) (*v1.VirtualCluster, error) {
	wanted := applyv1.VirtualCluster(name, namespace).
		WithLabels(map[string]string{"example.com/made-by": fieldManager}).
		WithSpec(applyv1.VirtualClusterSpec().
			WithControlPlane(applyv1.ControlPlaneSpec().
				WithStorage(applyv1.StorageSpec().WithSize(resource.MustParse("2Gi")))))
	return client.TenancyV1().VirtualClusters(namespace).Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: fieldManager})
}

// list names the virtual clusters that this program made, a page at a time.
func list(ctx context.Context, client versioned.Interface, namespace string) ([]string, error) {
	var names []string
	options := metav1.ListOptions{LabelSelector: "example.com/made-by=" + fieldManager, Limit: 100}
	for {
		page, err := client.TenancyV1().VirtualClusters(namespace).List(ctx, options)
		if err != nil {
			return nil, err
		}
		for _, each := range page.Items {
			names = append(names, each.Name)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return names, nil
		}
	}
}

// waitUntilReady watches the one virtual cluster. An informer lists and watches
// again by itself when a connection breaks.
func waitUntilReady(ctx context.Context, client versioned.Interface, namespace, name string, progress io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	factory := externalversions.NewSharedInformerFactoryWithOptions(client, 10*time.Minute,
		externalversions.WithNamespace(namespace),
		externalversions.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}))
	clusters := factory.Tenancy().V1().VirtualClusters()
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default: // somebody looks soon anyhow
		}
	}
	_, err := clusters.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(_, _ any) { notify() },
		DeleteFunc: func(any) { stop(errors.New("it was deleted")) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer stop(nil) // before Shutdown, which waits for the end

	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
		cluster, err := clusters.Lister().VirtualClusters(namespace).Get(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "%s is %s\n", name, cluster.Status.Phase)
		// Only what was observed of this generation counts.
		ready := meta.FindStatusCondition(cluster.Status.Conditions, v1.ConditionReady)
		if ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == cluster.Generation {
			return nil
		}
	}
}

// askForKubeconfig asks for a credential that works for an hour without the host.
func askForKubeconfig(ctx context.Context, client versioned.Interface, namespace, name string) ([]byte, error) {
	life := int64(time.Hour / time.Second)
	request := &v1.KubeconfigRequest{Spec: v1.KubeconfigRequestSpec{ExpirationSeconds: &life}}
	answer, err := client.TenancyV1().VirtualClusters(namespace).CreateKubeconfig(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return answer.Status.Kubeconfig, nil
}
