// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// row is a set of rights, and all that they open.
type row struct {
	rights []right
	opens  []string
}

// rows are granted each by itself.
var rows = []row{
	{[]right{{"list", ""}}, []string{"list"}},
	{[]right{{"watch", ""}}, []string{"watch"}},
	{[]right{{"get", ""}}, []string{"get", "get by the gateway", "create by the gateway"}},
	{[]right{{"create", ""}}, []string{"create"}},
	{[]right{{"update", ""}}, []string{"update"}},
	{[]right{{"patch", ""}}, []string{"patch"}},
	{[]right{{"patch", ""}, {"create", ""}}, []string{"patch", "create", "apply what is new"}},
	{[]right{{"delete", ""}}, []string{"delete"}},
	{[]right{{"deletecollection", ""}}, []string{"deletecollection"}},
	{[]right{{"get", "status"}}, []string{"get status"}},
	{[]right{{"patch", "status"}}, []string{"patch status"}},
	{[]right{{"create", "kubeconfig"}}, []string{"create kubeconfig"}},
	{[]right{{"get", "proxy"}}, []string{"get inside"}},
	{[]right{{"create", "proxy"}}, []string{"create inside"}},
	{[]right{{"update", "proxy"}}, []string{"update inside"}},
	{[]right{{"patch", "proxy"}}, []string{"patch inside"}},
	{[]right{{"delete", "proxy"}}, []string{"delete inside"}},
	{[]right{{"get", "proxy"}, {"create", "proxy"}}, []string{"get inside", "create inside", "upgrade inside"}},
}

// TestRows grants the rights of each row in every way that the answer depends on,
// asks what is allowed, and does everything there is to do: what the row opens in
// every place, and what it does not open in the place where the rights are granted.
func TestRows(t *testing.T) {
	openInside(t)
	for i, g := range grants() {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, g.kind, fmt.Sprintf("row-%d", i))
			g.give(t, c)
			for _, a := range actions {
				places, opened := a.places, slices.Contains(g.opens, a.name)
				if !opened {
					places = places[:1]
				}
				for _, p := range places {
					check(t, c, a, p, opened, g)
				}
			}
		})
	}
}

// check asks whether the action is allowed and does it. What the row opens must
// work wherever the grant covers it; nothing else may.
func check(t *testing.T, c *caller, a action, p place, opened bool, g grant) {
	t.Helper()
	want := opened
	for _, needed := range a.needs {
		covered := g.covers(needed, p)
		want = want && covered
		if got, err := allowed(t.Context(), c.client, needed, p); err != nil || got != covered {
			t.Errorf("can-i %s in %q: got %t, %v; want %t", needed, p, got, err, covered)
		}
	}
	wantDone(t, c, a, p, want)
}

// wantDone does it, and wants it to be done or to be forbidden.
func wantDone(t *testing.T, c *caller, a action, p place, want bool) {
	t.Helper()
	answer, err := c.do(t.Context(), a, p)
	switch {
	case want && err != nil:
		t.Errorf("%s in %q: refused: %v", a.name, p, err)
	case want && !strings.Contains(answer, a.answer):
		t.Errorf("%s in %q: got %.300q, want %q in it", a.name, p, answer, a.answer)
	case !want && err == nil:
		t.Errorf("%s in %q: it was done, want it forbidden: %.300q", a.name, p, answer)
	case !want && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot")):
		t.Errorf("%s in %q: got %v, want a Status that says what is forbidden", a.name, p, err)
	}
}
