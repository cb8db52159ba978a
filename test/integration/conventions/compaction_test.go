// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"garret.dev/garret/test/framework"
)

// kept is how many versions the embedded store keeps.
const kept = 1000

// TestCompactedHistory has a replica of its own, that compacts its history every
// second, forget the versions that a list, its pages and a watch go on from.
func TestCompactedHistory(t *testing.T) {
	t.Parallel()
	r, port := newReplica(t)
	s := &subject{T: t, kind: virtualClusterTemplate(), id: "compacted"}
	send := func(method, path string, content []byte) answer {
		return s.sendTo(r.client, r.config.Host, method, path, content)
	}
	stop := r.start(t, port)
	for i := range 4 {
		s.expect(http.StatusCreated, send("POST", s.collection(), body(s.object(fmt.Sprint(i)))))
	}
	page, err := s.decoded(s.expect(http.StatusOK, send("GET", s.collection()+"?limit=1", nil))).ToList()
	s.must(err)
	then, token := page.GetResourceVersion(), page.GetContinue()
	s.expect(http.StatusOK, send("DELETE", s.url("0"), nil))

	// A server that begins anew does not know the history from before.
	stop()
	r.start(t, port, "--etcd-compaction-interval=1s")
	// The embedded store keeps its last versions whatever compacts it.
	var writers sync.WaitGroup
	for _, short := range []string{"1", "2", "3"} {
		writers.Go(func() {
			for n := range kept/3 + 40 {
				patch := body(fields{"metadata": fields{"labels": fields{"n": fmt.Sprint("n", n)}}})
				got := s.sendTo(r.client, r.config.Host, "PATCH", s.url(short), patch, "Content-Type", "application/merge-patch+json")
				if got.code != http.StatusOK {
					t.Errorf("write %d of %s: got %d %s", n, short, got.code, got.body)
					return
				}
			}
		})
	}
	writers.Wait()
	expired := func(what, path, part string) answer {
		t.Helper()
		var last answer
		framework.Eventually(deniedT{s, &last}, what+" is 410", func(context.Context) (bool, error) {
			last = send("GET", s.collection()+path, nil)
			return last.code == http.StatusGone, nil
		})
		status := s.refused(what, http.StatusGone, last, part)
		if status.Reason != metav1.StatusReasonExpired {
			t.Errorf("%s: got reason %s, want %s", what, status.Reason, metav1.StatusReasonExpired)
		}
		return last
	}
	expired("an exact list", "?resourceVersion="+then+"&resourceVersionMatch=Exact", "")
	last := expired("a page", "?limit=1&continue="+token, "continue")

	// The refusal holds a token by which the list can be had to its end, if not of one moment.
	again := s.decoded(last)
	next, _, _ := unstructured.NestedString(again.Object, "metadata", "continue")
	if next == "" {
		t.Fatalf("got %s, want another token", last.body)
	}
	rest, err := s.decoded(s.expect(http.StatusOK, send("GET", s.collection()+"?continue="+next, nil))).ToList()
	s.must(err)
	if len(rest.Items) != 3 {
		t.Errorf("with the token of the refusal: got %d, want the 3 that come after the first", len(rest.Items))
	}
	events := send("GET", s.collection()+"?watch=true&timeoutSeconds=5&resourceVersion="+then, nil)
	if text := string(events.body); !strings.Contains(text, `"ERROR"`) || !strings.Contains(text, `"code":410`) || !strings.Contains(text, "too old resource version") {
		t.Errorf("watch: got %d %s, want the error 410", events.code, text)
	}
}
