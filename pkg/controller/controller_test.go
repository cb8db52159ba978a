// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-base/metrics"
)

func TestFlags(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		wantErr string
	}{
		{"defaults", nil, ""},
		{"no time to end", []string{"--teardown-grace-period=0s"}, "--teardown-grace-period"},
		{"no workers", []string{"--concurrent-reconciles=0"}, "--concurrent-reconciles"},
		{"no patience", []string{"--stall-after=0s"}, "--stall-after"},
		{"no such policy", []string{"--image-pull-policy=Sometimes"}, "--image-pull-policy=Sometimes"},
		{"no images", []string{"--k3s-image="}, "--k3s-image"},
		{"no domain", []string{"--cluster-domain="}, "--cluster-domain"},
		{"no namespace", []string{"--namespace="}, "--namespace"},
		{"no port", []string{"--secure-port=0"}, "--secure-port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			options := NewOptions()
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			options.AddFlags(flags)
			if err := flags.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			err := options.Validate()
			if (err == nil) != (test.wantErr == "") || (err != nil && !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("got %v, want %q", err, test.wantErr)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Setenv("POD_NAME", "garret-controller-0")
	if options := NewOptions(); options.Complete() != nil || options.Identity != "garret-controller-0" {
		t.Errorf("in a pod: got %q, want the pod's name, which a restarted container still has", options.Identity)
	}
	t.Setenv("POD_NAME", "")
	first, second := NewOptions(), NewOptions()
	if err := errors.Join(first.Complete(), second.Complete()); err != nil || first.Identity == second.Identity {
		t.Errorf("outside: got %q twice (%v)", first.Identity, err)
	}
}

type caches bool

func (c caches) Synced() bool { return bool(c) }

func TestHealth(t *testing.T) {
	tests := []struct {
		path   string
		synced caches
		want   int
	}{
		{"/healthz", false, http.StatusOK},
		{"/livez", false, http.StatusOK},
		{"/readyz", false, http.StatusServiceUnavailable},
		{"/readyz", true, http.StatusOK},
		{"/metrics", false, http.StatusOK},
		{"/debug/pprof/", true, http.StatusNotFound},
	}
	for _, test := range tests {
		response := httptest.NewRecorder()
		newHandler(test.synced, metrics.NewKubeRegistry()).ServeHTTP(response, httptest.NewRequest(http.MethodGet, test.path, nil))
		if response.Code != test.want {
			t.Errorf("%s with caches filled %t: got %d, want %d", test.path, test.synced, response.Code, test.want)
		}
	}
}

// The work ends before the lease is given back.
func TestLeaseOutlivesTheWork(t *testing.T) {
	host := fake.NewClientset()
	options := NewOptions()
	options.Identity, options.Clusters.Namespace = "one", "garret-system"
	holder := func() string {
		lease, err := host.CoordinationV1().Leases("garret-system").Get(context.Background(), "garret-controller", metav1.GetOptions{})
		if err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	ctx, stop := context.WithCancel(t.Context())
	started, duringEnd := make(chan struct{}), ""
	ended := make(chan error, 1)
	go func() {
		ended <- lead(ctx, options, host, func(ctx context.Context) error {
			close(started)
			<-ctx.Done()
			duringEnd = holder()
			return nil
		})
	}()
	<-started
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want none", err)
	}
	if duringEnd != "one" {
		t.Errorf("while the work ended the lease was held by %q, want one", duringEnd)
	}
	if after := holder(); after != "" {
		t.Errorf("afterwards the lease is held by %q, want nobody", after)
	}
}

func TestStandingByEnds(t *testing.T) {
	identity, seconds, now := "another", int32(60), metav1.NowMicro()
	host := fake.NewClientset(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "garret-system", Name: "garret-controller"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &identity, LeaseDurationSeconds: &seconds, RenewTime: &now, AcquireTime: &now}})
	options := NewOptions()
	options.Identity, options.Clusters.Namespace = "one", "garret-system"
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	err := lead(ctx, options, host, func(context.Context) error { return errors.New("it must not work without the lease") })
	if err != nil {
		t.Errorf("got %v, want none", err)
	}
}
