// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"garret.dev/garret/test/framework"
)

// collector receives spans over OTLP, as an OpenTelemetry collector does.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer
	// config is a TracingConfiguration that names it. Only requests that bring a
	// sampled trace are traced; with everything, all are.
	config, everything string

	mu    sync.Mutex
	spans []received
}

// received is a span and the program that sent it.
type received struct {
	*tracepb.Span
	program string
}

func newCollector(stage *framework.Stage) (*collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{config: filepath.Join(stage.Dir, "tracing.yaml"), everything: filepath.Join(stage.Dir, "everything.yaml")}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	stage.OnStop(server.Stop)
	const form = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: %s\nsamplingRatePerMillion: %d\n"
	return c, errors.Join(
		os.WriteFile(c.config, fmt.Appendf(nil, form, listener.Addr(), 0), 0o600),
		os.WriteFile(c.everything, fmt.Appendf(nil, form, listener.Addr(), 1_000_000), 0o600))
}

// Export implements collectorpb.TraceServiceServer.
func (c *collector) Export(_ context.Context, request *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		program := ""
		for _, attribute := range resource.Resource.Attributes {
			if attribute.Key == "service.name" {
				program = attribute.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans = append(c.spans, received{span, program})
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// of are the spans of a trace, and those that began another one because of it,
// as an API server does for callers whose traces it does not go on with.
func (c *collector) of(trace []byte) []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []received
	for _, span := range c.spans {
		linked := slices.ContainsFunc(span.Links, func(l *tracepb.Span_Link) bool { return bytes.Equal(l.TraceId, trace) })
		if linked || bytes.Equal(span.TraceId, trace) {
			out = append(out, span)
		}
	}
	return out
}
