// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// APIServiceName is the registration of our group and version with the host.
const APIServiceName = "v1." + v1.GroupName

// Publisher tells the world what to verify garret-apiserver with, and repairs
// what others change about that.
type Publisher struct {
	// Client and Aggregator speak to the host.
	Client     kubernetes.Interface
	Aggregator aggregator.Interface
	// Namespace and Service are those of garret-apiserver. An APIService that
	// points elsewhere is left alone.
	Namespace, Service string
	// Keeper has the bundle.
	Keeper *Keeper
	// LeaveAPIService is set when the serving certificate is somebody else's affair.
	LeaveAPIService bool
}

// Run publishes now, when the bundle changes and when the objects do, until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	changes := make(wakeups, 1)
	p.Keeper.AddListener(changes)
	changes.follow(ctx, watchOne(ctx, p.Client.CoreV1().RESTClient(), "configmaps", p.Namespace, v1.CAConfigMap, &corev1.ConfigMap{}))
	if !p.LeaveAPIService {
		changes.follow(ctx, watchOne(ctx, p.Aggregator.ApiregistrationV1().RESTClient(), "apiservices",
			metav1.NamespaceAll, APIServiceName, &apiregistrationv1.APIService{}))
	}
	loop(ctx, clock.RealClock{}, checkInterval, "Publishing the certificate authority", changes, p.Sync)
}

// Sync brings both objects to what they should be.
func (p *Publisher) Sync(ctx context.Context) error {
	bundle := p.Keeper.Bundle()
	err := p.configMap(ctx, bundle)
	if !p.LeaveAPIService {
		err = errors.Join(err, p.apiService(ctx, bundle))
	}
	if err == nil {
		p.Keeper.Published(bundle)
	}
	return err
}

func (p *Publisher) configMap(ctx context.Context, bundle []byte) error {
	configMaps := p.Client.CoreV1().ConfigMaps(p.Namespace)
	current, err := configMaps.Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = configMaps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name: v1.CAConfigMap, Namespace: p.Namespace,
				Labels: map[string]string{"app.kubernetes.io/name": "garret", "app.kubernetes.io/component": "apiserver"},
			},
			Data: map[string]string{v1.CAConfigMapKey: string(bundle)},
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			// Another replica was faster and published the same; the watch tells if not.
			return nil
		}
	case err == nil && current.Data[v1.CAConfigMapKey] != string(bundle):
		current.Data = map[string]string{v1.CAConfigMapKey: string(bundle)}
		_, err = configMaps.Update(ctx, current, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("configmap %s/%s: %w", p.Namespace, v1.CAConfigMap, err)
	}
	return nil
}

func (p *Publisher) apiService(ctx context.Context, bundle []byte) error {
	apiServices := p.Aggregator.ApiregistrationV1().APIServices()
	current, err := apiServices.Get(ctx, APIServiceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		// Not registered yet, or no longer. The watch tells when it is.
		return nil
	case err != nil:
		return fmt.Errorf("apiservice %s: %w", APIServiceName, err)
	case current.Spec.Service == nil || current.Spec.Service.Namespace != p.Namespace || current.Spec.Service.Name != p.Service:
		klog.FromContext(ctx).Info("The APIService points to another Service and is left alone", "apiService", APIServiceName)
		return nil
	case bytes.Equal(current.Spec.CABundle, bundle) && !current.Spec.InsecureSkipTLSVerify:
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		// The resourceVersion makes this fail when the Service was changed meanwhile.
		"metadata": map[string]any{"resourceVersion": current.ResourceVersion},
		"spec":     map[string]any{"caBundle": bundle, "insecureSkipTLSVerify": false},
	})
	if err != nil {
		return fmt.Errorf("apiservice %s: %w", APIServiceName, err)
	}
	if _, err := apiServices.Patch(ctx, APIServiceName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("apiservice %s: %w", APIServiceName, err)
	}
	klog.FromContext(ctx).Info("Published the certificate authority", "apiService", APIServiceName)
	return nil
}

// wakeups joins several sources of changes.
type wakeups chan struct{}

// Enqueue implements dynamiccertificates.Listener.
func (w wakeups) Enqueue() {
	select {
	case w <- struct{}{}:
	default:
	}
}

func (w wakeups) follow(ctx context.Context, changes <-chan struct{}) {
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changes:
				w.Enqueue()
			}
		}
	}()
}
