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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Path is where the host's API server asks, by POST. RBAC knows it as the resource
// endpointslicereviews of our group, which is not in discovery.
const Path = "/apis/" + v1.GroupName + "/v1/endpointslicereviews"

// maxReview is larger than any object that the host stores.
const maxReview = 8 << 20

// Serve answers questions and passes on everything else. It belongs behind
// authentication and authorization.
func (r *Reviewer) Serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != Path || req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxReview)).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview with a request", http.StatusBadRequest)
			return
		}
		answer, err := r.answer(req.Context(), review.Request)
		if err != nil {
			// The host refuses what it gets no answer about.
			klog.FromContext(req.Context()).Error(err, "Cannot judge an EndpointSlice", "slice", klog.KRef(review.Request.Namespace, review.Request.Name))
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		review.Request, review.Response = nil, answer
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			klog.FromContext(req.Context()).V(2).Info("The host did not wait for an answer", "err", err)
		}
	})
}

func (r *Reviewer) answer(ctx context.Context, request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	var slice discoveryv1.EndpointSlice
	if err := json.Unmarshal(request.Object.Raw, &slice); err != nil {
		return nil, fmt.Errorf("EndpointSlice: %w", err)
	}
	slice.Namespace = request.Namespace
	refusal, err := r.Judge(ctx, &slice)
	if err != nil {
		return nil, err
	}
	answer := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: refusal == ""}
	if refusal != "" {
		answer.Result = &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: refusal}
	}
	return answer, nil
}
