// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
)

func TestClaim(t *testing.T) {
	holder := &shared{}
	refused := errors.New("refused")
	claim := New(holder, clock.RealClock{}).Claim(nil)
	for _, want := range []error{nil, refused, nil} { // a store tries several times
		err := claim.Check(t.Context(), func() error {
			if holder.holder == "" {
				t.Error("checked without the turn")
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if holder.holder == "" {
		t.Error("the turn ended before the write")
	}
	claim.End()
	claim.End()
	if holder.holder != "" {
		t.Error("the turn did not end with the write")
	}
}

func TestDryRunTakesNoTurn(t *testing.T) {
	holder := &shared{}
	refused := errors.New("refused")
	claim := New(holder, clock.RealClock{}).Claim([]string{metav1.DryRunAll})
	if err := claim.Check(t.Context(), func() error { return refused }); !errors.Is(err, refused) || holder.looks.Load() > 0 {
		t.Errorf("got %v after %d looks at the holder, want the refusal and none", err, holder.looks.Load())
	}
	claim.End()
}

func TestClaimOfARequestThatIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	replica := New(&shared{holder: "another"}, clock.RealClock{})
	err := replica.Claim(nil).Check(ctx, func() error { t.Error("checked"); return nil })
	if !apierrors.IsTimeout(err) {
		t.Errorf("got %v, want Timeout", err)
	}
}
