// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
)

// tracer names the source of the controller's spans.
const tracer = "garret.dev/garret/pkg/controller/virtualcluster"

// Steps of a pass that have a span of their own.
const (
	stepDeploy   = "Deploy"
	stepProbe    = "Probe"
	stepTearDown = "TearDown"
)

// pass is one look at one object, with a span of its own: what it does and the
// requests that it makes are below it.
func (c *Controller) pass(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	if c.Spans == nil {
		return c.reconcile(ctx, name)
	}
	ctx, span := c.Spans.Tracer(tracer).Start(ctx, "Reconcile", trace.WithAttributes(
		attribute.String("garret.virtualcluster.namespace", name.Namespace), attribute.String("garret.virtualcluster.name", name.Name)))
	again, err := c.reconcile(ctx, name)
	ended(span, err)
	return again, err
}

// step begins a part of a pass. The function that it returns ends it.
func step(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(tracer).Start(ctx, name)
	return ctx, func(err error) { ended(span, err) }
}

// ended says of an error no more than its reason: its words may quote an object.
func ended(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, string(apierrors.ReasonForError(err)))
	}
	span.End()
}

// concluded puts into the span of a pass what it came to.
func concluded(ctx context.Context, v verdict) {
	trace.SpanFromContext(ctx).SetAttributes(
		attribute.String("garret.virtualcluster.phase", string(v.phase)), attribute.String("garret.virtualcluster.reason", v.reason))
}
