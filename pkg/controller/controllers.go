// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/tracing"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/generated/clientset/versioned/scheme"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/pkg/controller/hostcluster"
	"garret.dev/garret/pkg/controller/quota"
	"garret.dev/garret/pkg/controller/template"
	"garret.dev/garret/pkg/controller/virtualcluster"
	"garret.dev/garret/pkg/release"
	"garret.dev/garret/pkg/release/sealed"
)

// retryRefused is after what time a change of a template that a virtual cluster
// could not follow is tried again.
const retryRefused = 5 * time.Minute

// controllers are those that run while this process leads. They share the
// caches of our own kinds, which the one of virtual clusters fills.
type controllers struct {
	clusters  *virtualcluster.Controller
	templates *template.Controller
	hosts     *hostcluster.Controller
	quotas    *quota.Controller
}

func newControllers(config *rest.Config, host kubernetes.Interface, broadcaster record.EventBroadcaster,
	options virtualcluster.Options, counted *virtualcluster.Metrics, spans trace.TracerProvider) (*controllers, error) {
	tenancy, err := tenancyclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	informers := tenancyinformers.NewSharedInformerFactory(tenancy, 0)
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: tenancyv1.FieldManagerController})
	all := &controllers{}
	if all.templates, err = template.New(tenancy, informers, recorder, template.Options{RetryRefused: retryRefused}); err != nil {
		return nil, err
	}
	if all.hosts, err = hostcluster.New(host, tenancy, informers); err != nil {
		return nil, err
	}
	if all.quotas, err = quota.New(host, tenancy, informers); err != nil {
		return nil, err
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
	all.clusters, err = virtualcluster.New(virtualcluster.Dependencies{
		Host: host, Metadata: objects, Tenancy: tenancy, Informers: informers,
		Releases: release.New(config, host, objects, sealed.NewKey(host.CoreV1().Secrets(options.Namespace)), loaded),
		Prober:   virtualcluster.TLSProber{Wrap: tracing.WrapperFor(spans)},
		Recorder: recorder,
		Clock:    clock.RealClock{},
		Metrics:  counted,
		Spans:    spans,
	}, options)
	return all, err
}

// Run works until ctx ends.
func (c *controllers) Run(ctx context.Context) error {
	return together(ctx, c.clusters.Run, c.templates.Run, c.hosts.Run, c.quotas.Run)
}
