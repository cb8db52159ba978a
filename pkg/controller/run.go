// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/tracing"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/controller/virtualcluster"
)

// flushTimeout bounds the end, where a collector does not answer.
const flushTimeout = 2 * time.Second

// Run is the whole process. It returns when ctx ends, or when the lease is lost:
// the process must then end too, so that no work of its own outlives it.
func Run(ctx context.Context, options *Options, register func(...metrics.Registerable), gatherer metrics.Gatherer) error {
	config, err := options.config()
	if err != nil {
		return err
	}
	spans, err := options.Tracing.Provider(ctx, tenancyv1.FieldManagerController, options.Identity)
	if err != nil {
		return err
	}
	defer flush(ctx, spans)
	config.Wrap(tracing.WrapperFor(spans))
	host, err := newHost(config)
	if err != nil {
		return err
	}
	serving, err := newServer(options, host)
	if err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: host.CoreV1().Events("")})
	defer broadcaster.Shutdown()
	all, err := newControllers(config, host, broadcaster, options.Clusters, virtualcluster.NewMetrics(register), spans)
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Starting garret-controller", "version", options.Clusters.Version, "identity", options.Identity)

	return together(ctx,
		func(ctx context.Context) error {
			return serving.run(ctx, newHandler(all.clusters, gatherer))
		},
		all.clusters.Watch,
		func(ctx context.Context) error { return lead(ctx, options, host, all.Run) },
	)
}

// together runs all parts. The first to end ends all.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part(ctx) }()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-ended)
		stop()
	}
	return errors.Join(errs...)
}

// flush sends the last spans, unless that takes too long.
func flush(ctx context.Context, spans tracing.TracerProvider) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := spans.Shutdown(bounded); err != nil {
		klog.FromContext(ctx).Error(err, "Could not send the last spans")
	}
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
