// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostreview answers what the host's API server asks about writes of syncers.
//
// A webhook makes it ask here. The service of that webhook is the API server itself, which
// forwards the question like any request to our group: as the user system:apiserver, over the
// connection that the APIService secures. So nobody without the rights of a cluster administrator
// can ask, and the webhook needs no other certificate.
package hostreview

import (
	"context"
	"encoding/json"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// maxReview is larger than any object that the host stores.
const maxReview = 8 << 20

// Judge says why an object must not be written, or nothing where it may be.
type Judge func(ctx context.Context, request *admissionv1.AdmissionRequest) (refusal string, err error)

// Serve answers questions at the path, by POST, and passes on everything else. It belongs
// behind authentication and authorization.
func Serve(path string, judge Judge, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != path || req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxReview)).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview with a request", http.StatusBadRequest)
			return
		}
		refusal, err := judge(req.Context(), review.Request)
		if err != nil {
			// The host refuses what it gets no answer about.
			klog.FromContext(req.Context()).Error(err, "Cannot judge an object of the host", "resource", review.Request.Resource.Resource, "object", klog.KRef(review.Request.Namespace, review.Request.Name))
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: refusal == ""}
		if refusal != "" {
			answer.Result = &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: refusal}
		}
		review.Request, review.Response = nil, answer
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			klog.FromContext(req.Context()).V(2).Info("The host did not wait for an answer", "err", err)
		}
	})
}
