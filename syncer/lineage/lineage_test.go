// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package lineage

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

func TestCheckpoint(t *testing.T) {
	first := checkpoint{}.next(checkpoint{})
	second := first.next(checkpoint{7, "abcdefghij"})
	if first.number != 1 || second.number != 8 {
		t.Errorf("numbers: got %d and %d, want 1 and 8", first.number, second.number)
	}
	if got, ok := parseCheckpoint(second.String()); !ok || got != second {
		t.Errorf("parsed: got %v %v, want %v", got, ok, second)
	}
	for _, bad := range []string{"", "7", "7-short", "-abcdefghij", "0-abcdefghij", "x-abcdefghij", "-3-abcdefghij"} {
		if got, ok := parseCheckpoint(bad); ok {
			t.Errorf("%q: got %v, want that no syncer wrote it", bad, got)
		}
	}
}

func TestJudge(t *testing.T) {
	known := record{incarnation: "a", checkpoint: checkpoint{5, "aaaaaaaaaa"}, revision: "100"}
	found := func(incarnation string, number int64, id, revision string) inside {
		i := inside{revision: revision, checkpoint: checkpoint{number, id}, marked: number > 0}
		i.incarnation = known.incarnation
		if incarnation != "" {
			i.incarnation = "b"
		}
		return i
	}
	for name, test := range map[string]struct {
		found inside
		want  string
	}{
		"as it was left": {found("", 5, "aaaaaaaaaa", "100"), ""},
		"after a syncer that ended between both writes": {found("", 6, "bbbbbbbbbb", "110"), ""},
		"an older checkpoint":                           {found("", 4, "cccccccccc", "90"), tenancyv1.ReasonDataOlder},
		"an older one in a later revision":              {found("", 4, "cccccccccc", "190"), tenancyv1.ReasonDataOlder},
		"the same number in another history":            {found("", 5, "dddddddddd", "100"), tenancyv1.ReasonDataOlder},
		"from before the first":                         {found("", 0, "", "3"), tenancyv1.ReasonDataOlder},
		"taken away by somebody":                        {found("", 0, "", "101"), ""},
		"one that somebody made up":                     {found("", 1<<40, "ffffffffff", "101"), ""},
		"one made up in older data":                     {found("", 1<<40, "ffffffffff", "90"), tenancyv1.ReasonDataOlder},
		"another incarnation":                           {found("b", 5, "aaaaaaaaaa", "100"), tenancyv1.ReasonDataReplaced},
		"another incarnation of later revision":         {found("b", 9, "eeeeeeeeee", "900"), tenancyv1.ReasonDataReplaced},
	} {
		got := ""
		if loss := judge(test.found, known); loss != nil {
			got = loss.Reason
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// TestDecidedWhileACheckpointIsWritten has a decision be carried out between the two
// writes of a checkpoint, and wants the record to keep it.
func TestDecidedWhileACheckpointIsWritten(t *testing.T) {
	virtual := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: "a"}})
	l := New(Options{Cluster: translate.Cluster{ID: "c", Name: "demo", HostNamespace: "team"}, Virtual: virtual, Host: fake.NewClientset(), Clock: clock.RealClock{}})
	if loss, err := l.Open(t.Context()); loss != nil || err != nil {
		t.Fatal(loss, err)
	}
	l.Presume("")
	decided := make(chan error, 1)
	virtual.PrependReactor("patch", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		go func() { decided <- l.Decided(context.Background(), "give-up 1") }()
		// Long enough for it to come first, if nothing holds it up.
		select {
		case err := <-decided:
			decided <- err
		case <-time.After(50 * time.Millisecond):
		}
		return false, nil, nil
	})
	if err := l.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-decided; err != nil {
		t.Fatal(err)
	}
	known, err := l.read(t.Context())
	if err != nil || known == nil || known.decision != "give-up 1" {
		t.Fatalf("record: got %+v, %v, want the decision in it", known, err)
	}
	if open, _ := l.IsOpen("give-up 1"); open {
		t.Error("the decision would be acted on once more")
	}
}
