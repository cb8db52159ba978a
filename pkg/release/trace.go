// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// Helm makes its requests without a context. They get the span of ours here, so
// that they are found below the work that they belong to, and nothing else of
// it: a request that were cancelled between others would leave a revision pending.

// spanned is a copy of the configuration whose clients send requests with a span.
func spanned(config *rest.Config, span trace.Span) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(through http.RoundTripper) http.RoundTripper { return withSpan{through, span} })
	return config
}

type withSpan struct {
	http.RoundTripper
	span trace.Span
}

// RoundTrip implements http.RoundTripper.
func (w withSpan) RoundTrip(req *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(req.Context()).IsValid() {
		req = req.WithContext(trace.ContextWithSpan(req.Context(), w.span))
	}
	return w.RoundTripper.RoundTrip(req)
}

// records are the Secrets in which Helm keeps a release, as its driver uses them.
type records struct {
	typedcorev1.SecretInterface
	span trace.Span
}

// Create implements typedcorev1.SecretInterface, as the others below do.
func (r records) Create(ctx context.Context, secret *corev1.Secret, options metav1.CreateOptions) (*corev1.Secret, error) {
	return r.SecretInterface.Create(trace.ContextWithSpan(ctx, r.span), secret, options)
}

func (r records) Update(ctx context.Context, secret *corev1.Secret, options metav1.UpdateOptions) (*corev1.Secret, error) {
	return r.SecretInterface.Update(trace.ContextWithSpan(ctx, r.span), secret, options)
}

func (r records) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	return r.SecretInterface.Delete(trace.ContextWithSpan(ctx, r.span), name, options)
}

func (r records) Get(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error) {
	return r.SecretInterface.Get(trace.ContextWithSpan(ctx, r.span), name, options)
}

func (r records) List(ctx context.Context, options metav1.ListOptions) (*corev1.SecretList, error) {
	return r.SecretInterface.List(trace.ContextWithSpan(ctx, r.span), options)
}
