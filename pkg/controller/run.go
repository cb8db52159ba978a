// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/generated/clientset/versioned/scheme"
	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/pkg/controller/virtualcluster"
	"garret.dev/garret/pkg/release"
)

// Run is the whole process. It returns when ctx ends, or when the lease is lost:
// the process must then end too, so that no work of its own outlives it.
func Run(ctx context.Context, options *Options, register func(...metrics.Registerable), gatherer metrics.Gatherer) error {
	config, err := options.config()
	if err != nil {
		return err
	}
	host, err := newHost(config)
	if err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: host.CoreV1().Events("")})
	defer broadcaster.Shutdown()
	clusters, err := newClusters(config, host, broadcaster, options.Clusters, virtualcluster.NewMetrics(register))
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Starting garret-controller", "version", options.Clusters.Version, "identity", options.Identity)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 3)
	parts := []func(context.Context) error{
		func(ctx context.Context) error { return serveHealth(ctx, options.HealthAddress, clusters, gatherer) },
		clusters.Watch,
		func(ctx context.Context) error { return lead(ctx, options, host, clusters.Run) },
	}
	for _, part := range parts {
		go func() { ended <- part(ctx) }()
	}
	var errs []error
	for range parts {
		// The first to end ends all.
		errs = append(errs, <-ended)
		stop()
	}
	return errors.Join(errs...)
}

func newHost(config *rest.Config) (*kubernetes.Clientset, error) {
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	return client, nil
}

func newClusters(config *rest.Config, host kubernetes.Interface, broadcaster record.EventBroadcaster, options virtualcluster.Options, counted *virtualcluster.Metrics) (*virtualcluster.Controller, error) {
	tenancy, err := tenancyclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	// Endpoints are among what it lists, and each list would be met with the same
	// warning that slices have taken their place.
	quiet := rest.CopyConfig(config)
	quiet.WarningHandler = rest.NoWarnings{}
	objects, err := metadata.NewForConfig(quiet)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	loaded, err := chart.Load(options.Version)
	if err != nil {
		return nil, err
	}
	return virtualcluster.New(virtualcluster.Dependencies{
		Host: host, Metadata: objects, Tenancy: tenancy,
		Releases: release.New(config, host, loaded),
		Prober:   virtualcluster.TLSProber{},
		Recorder: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: tenancyv1.FieldManagerController}),
		Clock:    clock.RealClock{},
		Metrics:  counted,
	}, options)
}
