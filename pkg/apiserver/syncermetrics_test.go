// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// stored has one virtual cluster, team/demo, which answers unless it is broken.
type stored struct{ ready, broken bool }

func (s stored) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if genericapirequest.NamespaceValue(ctx) != "team" || name != "demo" {
		return nil, apierrors.NewNotFound(v1.Resource("virtualclusters"), name)
	}
	cluster := &tenancy.VirtualCluster{}
	cluster.Status.CertificateAuthorityData = []byte("x")
	if s.ready {
		cluster.Status.Conditions = []metav1.Condition{{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionTrue}}
	}
	return cluster, nil
}

func (s stored) Metrics(context.Context, *tenancy.VirtualCluster) ([]byte, error) {
	if s.broken {
		return nil, errors.New("no route")
	}
	return []byte("measured 1\n"), nil
}

func TestSyncerMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		stored       stored
		want         string
	}{
		"one":                 {"GET", "team/demo", stored{ready: true}, "measured 1\n"},
		"another's":           {"GET", "other/demo", stored{ready: true}, "not found"},
		"none":                {"GET", "", stored{ready: true}, "NAMESPACE/NAME"},
		"namespace alone":     {"GET", "team/", stored{ready: true}, "NAMESPACE/NAME"},
		"more than a name":    {"GET", "team/demo/x", stored{ready: true}, "NAMESPACE/NAME"},
		"not ready":           {"GET", "team/demo", stored{}, "is not available"},
		"a syncer that hides": {"GET", "team/demo", stored{ready: true, broken: true}, "no route"},
		"a change":            {"POST", "team/demo", stored{ready: true}, "POST"},
	} {
		text, err := syncerMetrics(httptest.NewRequest(c.method, v1.MetricsPrefix+c.path, nil), c.stored, c.stored)
		got := string(text)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || (err == nil) != (name == "one") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
