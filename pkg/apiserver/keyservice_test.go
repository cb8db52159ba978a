// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
)

// broken is a transformer that has no key.
type broken struct{ err error }

func (b broken) TransformFromStorage(context.Context, []byte, value.Context) ([]byte, bool, error) {
	return nil, false, b.err
}

func (b broken) TransformToStorage(context.Context, []byte, value.Context) ([]byte, error) {
	return nil, b.err
}

// TestKeyServiceIsNamed: an error of storage says that the key service is away
// only while it is, and what the library said stays in it.
func TestKeyServiceIsNamed(t *testing.T) {
	var state error
	library := errors.New("got unexpected nil transformer")
	check := reasoned(healthz.NamedCheck("kms-providers", func(*http.Request) error { return state }))
	generics := &genericapiserver.RecommendedConfig{}
	generics.ReadyzChecks = []healthz.HealthChecker{reasoned(healthz.NamedCheck("datastore", func(*http.Request) error { return errors.New("it is full") })), check}
	generics.RESTOptionsGetter = generic.RESTOptions{StorageConfig: &storagebackend.ConfigForResource{Config: storagebackend.Config{Transformer: broken{library}}}}
	(&Config{generic: generics}).explainKeys()
	options, err := generics.RESTOptionsGetter.GetRESTOptions(schema.GroupResource{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, state = range []error{nil, errors.New("no such socket"), nil} {
		for _, each := range generics.ReadyzChecks {
			_ = each.Check(httptest.NewRequest(http.MethodGet, "/readyz", nil))
		}
		_, _, read := options.StorageConfig.Transformer.TransformFromStorage(t.Context(), nil, nil)
		_, write := options.StorageConfig.Transformer.TransformToStorage(t.Context(), nil, nil)
		for _, got := range []error{read, write} {
			if errors.Is(got, errKeyService) != (state != nil) || !errors.Is(got, library) {
				t.Errorf("with the service saying %v: got %v", state, got)
			}
		}
	}
}

// TestKeyServiceRemedy: what the library says of a key service that is away is no help.
func TestKeyServiceRemedy(t *testing.T) {
	for name, want := range map[string]bool{"kms-providers": true, "kms-provider-0": true, "datastore": false} {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
		check := reasoned(healthz.NamedCheck(name, func(*http.Request) error { return errors.New("it does not answer") }))
		request := httptest.NewRequest(http.MethodGet, "/readyz", nil)
		_ = check.Check(request.WithContext(klog.NewContext(request.Context(), logger)))
		log := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
		if got := strings.Contains(log, `remedy="look at the plugin`); got != want || !strings.Contains(log, "it does not answer") {
			t.Errorf("%s: got %s, want the reason, and a remedy %t", name, log, want)
		}
	}
}
