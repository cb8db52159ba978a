// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// withoutQueries exports spans whose addresses have lost their query.
type withoutQueries struct{ sdktrace.SpanExporter }

// ExportSpans implements sdktrace.SpanExporter.
func (e withoutQueries) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	cleaned := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		cleaned[i] = cleanSpan{span}
	}
	return e.SpanExporter.ExportSpans(ctx, cleaned)
}

// cleanSpan is a span with clean attributes.
type cleanSpan struct{ sdktrace.ReadOnlySpan }

// Attributes implements sdktrace.ReadOnlySpan.
func (s cleanSpan) Attributes() []attribute.KeyValue {
	all := s.ReadOnlySpan.Attributes()
	kept := make([]attribute.KeyValue, 0, len(all))
	for _, each := range all {
		switch each.Key {
		case "url.query":
			continue
		case "http.target", "http.url", "url.full":
			address, _, _ := strings.Cut(each.Value.AsString(), "?")
			each.Value = attribute.StringValue(address)
		}
		kept = append(kept, each)
	}
	return kept
}
