// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// caller is somebody with a credential of their own, and what they send with it.
type caller struct {
	framework.User
	config *rest.Config
	client *kubernetes.Clientset
	// host and gateway send requests to the host's API server and to
	// garret-apiserver's own address.
	host, gateway *http.Client
}

// kinds are the kinds of subject that a role can be bound to.
var kinds = []string{rbacv1.UserKind, rbacv1.GroupKind, rbacv1.ServiceAccountKind}

// newCaller makes somebody whom a subject of the kind is, with a client
// certificate or, as a ServiceAccount, with a token.
func newCaller(t *testing.T, kind, name string) *caller {
	t.Helper()
	c := &caller{}
	switch kind {
	case rbacv1.UserKind:
		c.User = shared.host.Certified(t, name)
	case rbacv1.GroupKind:
		c.User = shared.host.Certified(t, "member-of-"+name, name)
		c.Subject.Kind, c.Subject.Name = kind, name
	case rbacv1.ServiceAccountKind:
		c.User = shared.host.Account(t, here.Namespace, name)
	}
	c.config = c.Config(shared.host.Config.Host, shared.host.Config.CAData)
	gateway := c.Config("https://"+shared.garret.Address, shared.gatewayAuthority)
	for config, client := range map[*rest.Config]**http.Client{c.config: &c.host, gateway: &c.gateway} {
		// An upgraded connection speaks HTTP/1.1.
		config.NextProtos = []string{"http/1.1"}
		made, err := rest.HTTPClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		*client = made
		t.Cleanup(made.CloseIdleConnections)
	}
	var err error
	if c.client, err = kubernetes.NewForConfigAndClient(c.config, c.host); err != nil {
		t.Fatal(err)
	}
	return c
}

// at is the right as the host is asked for it at a place.
func (r right) at(p place) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Verb: r.verb, Group: v1.GroupName, Resource: "virtualclusters", Subresource: r.subresource, Namespace: p.Namespace, Name: p.Name,
	}
}

// allowed asks the host, as whoever a client is, what kubectl auth can-i asks it.
func allowed(ctx context.Context, client kubernetes.Interface, r right, p place) (bool, error) {
	what := r.at(p)
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &what},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// do acts, and returns what comes back, or an error that is the API's if a Status came back.
func (c *caller) do(ctx context.Context, a action, p place) (string, error) {
	r := a.request(p)
	base, client := c.config.Host, c.host
	if r.gateway {
		base, client = "https://"+shared.garret.Address, c.gateway
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if r.method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	response, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return "", nil
	}
	if r.watch && response.StatusCode == http.StatusOK {
		return bufio.NewReader(response.Body).ReadString('\n')
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode < http.StatusBadRequest {
		if req.Header.Get("Upgrade") != "" {
			return "", fmt.Errorf("not upgraded, but %s", response.Status)
		}
		return compact(body), nil
	}
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err != nil || status.Kind != "Status" || int(status.Code) != response.StatusCode {
		return "", fmt.Errorf("%s without a Status, but %q", response.Status, body)
	}
	return "", &apierrors.StatusError{ErrStatus: status}
}

// compact takes the white space out, so that answers can be looked into.
func compact(body []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, body); err != nil {
		return string(body)
	}
	return out.String()
}
