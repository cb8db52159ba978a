// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func TestExplain(t *testing.T) {
	clusters := tenancyv1.Resource("virtualclusters")
	unserved := apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{}, "", "", 0, true)
	notReady := apierrors.NewServiceUnavailable("its phase is Pending")
	notReady.ErrStatus.Details = &metav1.StatusDetails{Group: tenancyv1.GroupName, Kind: "virtualclusters", Name: "demo"}
	tests := map[string]struct {
		err  error
		want string
	}{
		"not installed":    {unserved, "garret install"},
		"no such cluster":  {apierrors.NewNotFound(clusters, "demo"), "garret list"},
		"no namespace":     {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "team-a"), "kubectl create namespace team-a"},
		"exists":           {apierrors.NewAlreadyExists(clusters, "demo"), "garret use demo --namespace team-a"},
		"no rights":        {apierrors.NewForbidden(clusters, "demo", errors.New(`User "bob" cannot get resource`)), "RoleBinding"},
		"not logged in":    {apierrors.NewUnauthorized("Unauthorized"), "log in again"},
		"apiserver is off": {apierrors.NewServiceUnavailable("unable to handle the request"), "apiservice"},
		"not ready":        {notReady, "kubectl wait --for=condition=Ready vc/demo"},
		"host is off":      {&url.Error{Op: "Get", URL: "https://h", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, "--context"},
		"wrapped":          {fmt.Errorf("asking: %w", apierrors.NewUnauthorized("no")), "log in again"},
	}
	cluster := &Cluster{Context: "host", Namespace: "team-a", Config: &rest.Config{Host: "https://h"}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			explained := cluster.Explain(test.err)
			if !strings.Contains(explained.Error(), test.want) {
				t.Errorf("got %q, want a remedy with %s", explained, test.want)
			}
			if !errors.Is(explained, test.err) {
				t.Error("the error itself is lost")
			}
			if again := cluster.Explain(explained); again != explained {
				t.Errorf("explained twice: %v", again)
			}
		})
	}
	// What speaks for itself is left alone.
	for _, err := range []error{nil, errors.New("disk full"), apierrors.NewForbidden(clusters, "demo", errors.New("exceeded quota"))} {
		if got := cluster.Explain(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
