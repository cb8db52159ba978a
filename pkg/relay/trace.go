// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/component-base/tracing"
	"k8s.io/klog/v2"

	"garret.dev/garret/apis/tenancy"
)

// tracer names the source of the relay's spans.
const tracer = "garret.dev/garret/pkg/relay"

// observed gives the request a span below that of the server's chain, where it
// has one, and a logger that says which request it speaks of. The span ends
// with the stream; it has no query, where the arguments of an exec stand.
func observed(req *http.Request, cluster *tenancy.VirtualCluster) (*http.Request, func(*record)) {
	ctx := req.Context()
	ctx = klog.NewContext(ctx, klog.LoggerWithValues(klog.FromContext(ctx),
		"auditID", audit.GetAuditIDTruncated(ctx), "virtualCluster", klog.KObj(cluster)))
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(tracer).Start(ctx, "Relay", trace.WithSpanKind(trace.SpanKindClient))
	if !span.IsRecording() {
		return req.WithContext(ctx), func(*record) {}
	}
	span.SetAttributes(
		attribute.String("garret.virtualcluster.namespace", cluster.Namespace),
		attribute.String("garret.virtualcluster.name", cluster.Name),
		attribute.String("http.request.method", req.Method),
		attribute.String("audit-id", audit.GetAuditIDTruncated(ctx)),
	)
	return req.WithContext(ctx), func(rec *record) {
		span.SetAttributes(
			attribute.String("garret.verb", rec.verb),
			attribute.Int("http.response.status_code", rec.code),
		)
		if rec.reason != "" {
			span.SetAttributes(attribute.String("error.type", rec.reason))
			span.SetStatus(codes.Error, rec.reason)
		}
		span.End()
	}
}

// passTrace has the API server inside go on with the trace. Without one of our
// own, what the caller sent stays.
func passTrace(ctx context.Context, h http.Header) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		tracing.Propagators().Inject(ctx, propagation.HeaderCarrier(h))
	}
}
