// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package slicereview

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/hostreview"
)

// Path is where the host's API server asks, by POST. RBAC knows it as the resource
// endpointslicereviews of our group, which is not in discovery.
const Path = "/apis/" + v1.GroupName + "/v1/endpointslicereviews"

// Serve answers questions and passes on everything else. It belongs behind
// authentication and authorization.
func (r *Reviewer) Serve(next http.Handler) http.Handler {
	return hostreview.Serve(Path, r.answer, next)
}

func (r *Reviewer) answer(ctx context.Context, request *admissionv1.AdmissionRequest) (string, error) {
	var slice discoveryv1.EndpointSlice
	if err := json.Unmarshal(request.Object.Raw, &slice); err != nil {
		return "", fmt.Errorf("EndpointSlice: %w", err)
	}
	slice.Namespace = request.Namespace
	return r.Judge(ctx, &slice)
}
