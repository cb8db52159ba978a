// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package accesstest

import (
	"encoding/json"
	"io"
	"log"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// refuse answers as an API server does.
func refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Message: message, Reason: reason(code),
	})
}

func reason(code int) metav1.StatusReason {
	if code == http.StatusUnprocessableEntity {
		return metav1.StatusReasonInvalid
	}
	return metav1.StatusReason(http.StatusText(code))
}

// discard swallows the complaints of servers that tests connect to wrongly.
func discard() *log.Logger { return log.New(io.Discard, "", 0) }
