// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRefusal(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	tests := []struct {
		name   string
		err    error
		reason string
	}{
		{"quota or pod security", onHost("create", apierrors.NewForbidden(pods, "p", errors.New("exceeded quota"))), "HostRefused"},
		{"wrapped", fmt.Errorf("pods a/b: %w", onHost("create", apierrors.NewForbidden(pods, "p", errors.New("exceeded quota")))), "HostRefused"},
		{"the virtual cluster's own refusal is none", apierrors.NewForbidden(pods, "p", errors.New("not allowed")), ""},
		{"the translation's own", fmt.Errorf("create: %w", Refuse("Untranslatable", "no")), "Untranslatable"},
		{"a conflict is none", onHost("update", apierrors.NewConflict(pods, "p", errors.New("changed"))), ""},
		{"an outage is none", onHost("update", apierrors.NewServiceUnavailable("down")), ""},
		{"a broken connection is none", errors.New("connection refused"), ""},
		{"waiting is none", Again("soon"), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reason, _, refused := refusal(test.err)
			if reason != test.reason || refused != (test.reason != "") {
				t.Errorf("got %q (%v), want %q", reason, refused, test.reason)
			}
		})
	}
	if !errors.Is(fmt.Errorf("pods a/b: %w", Again("soon")), errAgain) {
		t.Error("a wrapped Again is not recognised")
	}
}
