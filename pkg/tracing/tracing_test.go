// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestConfigFile(t *testing.T) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n"
	for name, test := range map[string]struct{ content, want string }{
		"whole":         {head + "endpoint: collector:4317\nsamplingRatePerMillion: 100\n", ""},
		"older version": {strings.Replace(head, "/v1", "/v1beta1", 1), ""},
		"another kind":  {"apiVersion: v1\nkind: Pod\n", "want TracingConfiguration"},
		"unknown field": {head + "endpiont: x\n", "endpiont"},
		"rate":          {head + "samplingRatePerMillion: 2000000\n", "samplingRatePerMillion"},
		"endpoint":      {head + "endpoint: http://collector\n", "endpoint"},
		"not YAML":      {"{", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			options := Options{ConfigFile: filepath.Join(t.TempDir(), "tracing.yaml")}
			if err := os.WriteFile(options.ConfigFile, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			provider, err := options.Provider(t.Context(), "test", "test-0")
			if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "--tracing-config-file")) {
				t.Errorf("got %v, want %q and the flag", err, test.want)
			}
			if err == nil {
				_ = provider.Shutdown(t.Context())
			}
		})
	}
	if _, err := (&Options{ConfigFile: "/does/not/exist"}).Provider(t.Context(), "test", "test-0"); err == nil {
		t.Error("a file that is not there is taken for one")
	}
}

func TestQueriesStayHere(t *testing.T) {
	exported := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(withoutQueries{exported}))
	_, span := provider.Tracer("test").Start(context.Background(), "exec")
	span.SetAttributes(
		attribute.String("http.target", "/exec?command=mysql&command=-phunter2"),
		attribute.String("url.full", "https://h/exec?command=-phunter2"),
		attribute.String("url.query", "command=-phunter2"),
		attribute.String("audit-id", "a"),
	)
	span.End()
	got := map[attribute.Key]string{}
	for _, each := range exported.GetSpans()[0].Attributes {
		got[each.Key] = each.Value.AsString()
	}
	want := map[attribute.Key]string{"http.target": "/exec", "url.full": "https://h/exec", "audit-id": "a"}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: got %q, want %q", key, got[key], value)
		}
	}
}
