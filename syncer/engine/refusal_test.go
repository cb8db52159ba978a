// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestRefusal(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	quota := apierrors.NewForbidden(pods, "p", errors.New("exceeded quota"))
	tests := []struct {
		name string
		err  error
		want []string
	}{
		{"quota or pod security", OnHost("create", quota), []string{"HostRefused"}},
		{"wrapped", fmt.Errorf("pods a/b: %w", OnHost("create", quota)), []string{"HostRefused"}},
		{"a webhook that gives no reason", OnHost("create", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 400}}), []string{"HostRefused"}},
		{"a code that nobody knows", OnHost("create", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 451}}), []string{"HostRefused"}},
		{"the virtual cluster's own refusal is none", quota, nil},
		{"the translation's own", fmt.Errorf("create: %w", Refuse("Untranslatable", "no")), []string{"Untranslatable"}},
		{"several", errors.Join(OnHost("update", errors.Join(quota, quota)), quota, Refuse("Untranslatable", "no")),
			[]string{"HostRefused", "HostRefused", "Untranslatable"}},
		{"a conflict is none", OnHost("update", apierrors.NewConflict(pods, "p", errors.New("changed"))), nil},
		{"an aggregate", OnHost("update", utilerrors.NewAggregate([]error{quota})), []string{"HostRefused"}},
		{"a token of ours that has ended is none", OnHost("update", apierrors.NewUnauthorized("expired")), nil},
		{"too many requests are none", OnHost("update", apierrors.NewTooManyRequests("later", 1)), nil},
		{"what is not there is none", OnHost("update", apierrors.NewNotFound(pods, "p")), nil},
		{"an outage is none", OnHost("update", apierrors.NewServiceUnavailable("down")), nil},
		{"a broken connection is none", errors.New("connection refused"), nil},
		{"waiting is none", Again("soon"), nil},
		{"nothing", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := reasonsOf(refusals(test.err)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFailure(t *testing.T) {
	down := apierrors.NewInternalError(errors.New("failed calling webhook"))
	for name, test := range map[string]struct {
		err  error
		want []string
	}{
		"a webhook that is down":  {OnHost("create", down), []string{"HostFailing"}},
		"the virtual cluster's":   {down, nil},
		"a refusal is none":       {OnHost("create", apierrors.NewBadRequest("no")), nil},
		"nor is one of our own":   {Refuse("Untranslatable", "no"), nil},
		"a broken connection":     {OnHost("create", errors.New("connection refused")), nil},
		"together with a refusal": {errors.Join(OnHost("create", apierrors.NewBadRequest("no")), OnHost("create", down)), []string{"HostFailing"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := reasonsOf(failures(test.err)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func reasonsOf(told []refusal) []string {
	var reasons []string
	for _, each := range told {
		reasons = append(reasons, each.reason)
	}
	return reasons
}

// TestPatience wants a failure to be told only when it has lasted, and to count anew
// when the host has answered meanwhile.
func TestPatience(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	p := newPatience(clock)
	step := func(by time.Duration) { clock.SetTime(clock.Now().Add(by)) }
	for _, test := range []struct {
		after  time.Duration
		failed bool
		want   bool
	}{
		{0, true, false}, {failingPatience - 1, true, false}, {1, true, true}, {time.Hour, true, true},
		{0, false, false}, {0, true, false}, {failingPatience, true, true},
	} {
		step(test.after)
		if got := p.lasts(types.NamespacedName{Name: "web"}, test.failed); got != test.want {
			t.Errorf("%v later, failed %t: got %t, want %t", test.after, test.failed, got, test.want)
		}
	}
}

// TestPasses wants attention for an error of which one part needs it.
func TestPasses(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "web", errors.New("changed"))
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"again":                  {fmt.Errorf("pods: %w", Again("not yet")), true},
		"a conflict on the host": {OnHost("update", conflict), true},
		"two that pass":          {errors.Join(conflict, Again("not yet")), true},
		"one that does not":      {fmt.Errorf("pods: %w", errors.Join(conflict, failed)), false},
		"another":                {failed, false},
		"a refusal":              {Refuse("No", "no"), false},
	} {
		if got := passes(test.err); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
