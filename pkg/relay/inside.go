// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

const (
	reviewPath = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	// maxReview bounds what is read of an answer; a review is below 1 KiB.
	maxReview = 64 << 10
)

// askInside asks the API server inside whether the caller may upgrade a
// connection at the entry's path: whether they may create there. An exec over
// a WebSocket is a GET, and an API server before 1.35 lets it through for
// the right to get pods/exec, which is a reader's.
//
// Administrators are not asked about. The error is an API error.
func (r *Relay) askInside(ctx context.Context, method string, e entry) error {
	if slices.Contains(e.identity.Groups, v1.GroupAdmins) {
		return nil
	}
	info, err := infoInside(&http.Request{Method: method, URL: &url.URL{Path: e.target.Path}})
	if err != nil || !info.IsResourceRequest {
		return apierrors.NewForbidden(schema.GroupResource{}, "", fmt.Errorf(
			"user %q may not upgrade a connection at path %q of virtual cluster %s/%s: that takes the right to create, which only resources have",
			e.identity.User, e.target.Path, e.cluster.Namespace, e.cluster.Name))
	}
	status, err := r.review(ctx, info, e)
	if err != nil {
		return err
	}
	if status.Allowed && !status.Denied {
		return nil
	}
	inner := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if info.Subresource != "" {
		inner.Resource += "/" + info.Subresource
	}
	message := fmt.Sprintf("user %q cannot create resource %q in API group %q in the namespace %q of virtual cluster %s/%s, which an upgraded connection needs",
		e.identity.User, inner.Resource, info.APIGroup, info.Namespace, e.cluster.Namespace, e.cluster.Name)
	if status.Reason != "" {
		message += ": " + status.Reason
	}
	return apierrors.NewForbidden(inner, info.Name, errors.New(message))
}

// review has the API server inside answer, to the caller themself, whether
// they may create what info is about.
func (r *Relay) review(ctx context.Context, info *apirequest.RequestInfo, e entry) (*authorizationv1.SubjectAccessReviewStatus, error) {
	body, err := json.Marshal(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "create", Group: info.APIGroup, Version: info.APIVersion, Namespace: info.Namespace,
			Resource: info.Resource, Subresource: info.Subresource, Name: info.Name,
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode review: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	e.target = &url.URL{Scheme: e.target.Scheme, Host: e.target.Host, Path: reviewPath}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	passAuditID(ctx, req.Header)
	passTrace(ctx, req.Header)
	response, err := (&roundTripper{connections: r.connections, entry: e}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxReview))
	if err != nil {
		return nil, err
	}
	var answered authorizationv1.SelfSubjectAccessReview
	if response.StatusCode != http.StatusCreated || json.Unmarshal(answer, &answered) != nil {
		return nil, access.BadGateway(e.cluster, "NoReview", fmt.Sprintf(
			"its API server answered %d when it was asked whether user %q may upgrade this connection", response.StatusCode, e.identity.User))
	}
	return &answered.Status, nil
}
