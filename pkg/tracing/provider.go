// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"k8s.io/component-base/tracing"
	tracingapi "k8s.io/component-base/tracing/api/v1"
	"sigs.k8s.io/yaml"
)

const million = 1_000_000

// Options say where spans go.
type Options struct {
	// ConfigFile holds a TracingConfiguration. Without one there are no spans,
	// but a trace that a caller has begun is passed on.
	ConfigFile string
}

// AddFlags binds the options to flags.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.ConfigFile, "tracing-config-file", o.ConfigFile,
		"File with a TracingConfiguration of apiserver.config.k8s.io/v1, as kube-apiserver takes it: the collector's endpoint and how many requests are sampled.")
}

// Provider makes what spans are recorded with, for a program of this name and a
// process of this one. Shut it down at the end, or the last spans are lost.
func (o *Options) Provider(ctx context.Context, program, instance string) (tracing.TracerProvider, error) {
	// The libraries count as well, for a provider that is never set, and keep what
	// they have counted; metrics go another way.
	otel.SetMeterProvider(noop.NewMeterProvider())
	if o.ConfigFile == "" {
		return tracing.NewNoopTracerProvider(), nil
	}
	config, err := read(o.ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("--tracing-config-file: %w", err)
	}
	// The collector is inside the cluster, or at the other end of a mesh.
	options := []otlptracegrpc.Option{otlptracegrpc.WithInsecure()}
	if config.Endpoint != nil {
		options = append(options, otlptracegrpc.WithEndpoint(*config.Endpoint))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	described, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", program), attribute.String("service.instance.id", instance)))
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	sampler := sdktrace.NeverSample()
	if rate := config.SamplingRatePerMillion; rate != nil && *rate > 0 {
		sampler = sdktrace.TraceIDRatioBased(float64(*rate) / million)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sampler)),
		sdktrace.WithBatcher(withoutQueries{exporter}),
		sdktrace.WithResource(described),
	), nil
}

func read(file string) (*tracingapi.TracingConfiguration, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var config apiserverv1.TracingConfiguration
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	kind := config.GroupVersionKind()
	if kind.Kind != "TracingConfiguration" || kind.Group != apiserverv1.GroupName || kind.Version != "v1" && kind.Version != "v1beta1" {
		return nil, fmt.Errorf("%s: holds %s %q, want TracingConfiguration of %s", file, config.APIVersion, config.Kind, apiserverv1.SchemeGroupVersion)
	}
	if errs := tracingapi.ValidateTracingConfiguration(&config.TracingConfiguration, nil, nil); len(errs) > 0 {
		return nil, fmt.Errorf("%s: %w", file, errs.ToAggregate())
	}
	return &config.TracingConfiguration, nil
}
