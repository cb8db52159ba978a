// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestNeedsAreTheRole wants a need for every right that the syncer's Role grants, and the
// nodes besides where they are shown.
func TestNeedsAreTheRole(t *testing.T) {
	synced, err := tenancyv1.SelectResources(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What is needed in the whole host cluster, besides its nodes.
	classes := 0
	for _, rule := range tenancyv1.SyncerClusterRules(synced) {
		classes += len(rule.Resources) * len(rule.Verbs)
	}
	granted := map[string]bool{}
	for _, rule := range tenancyv1.SyncerRules(synced) {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				granted[verb+" "+resource+"."+rule.APIGroups[0]] = true
			}
		}
	}
	for _, nodes := range []bool{false, true} {
		needed, everywhere := map[string]bool{}, 0
		for _, need := range NeedsOf("demo", synced, nodes, nil, nil, Shown{}) {
			needed[need.Verb+" "+need.resource()+"."+need.Group] = true
			if need.Everywhere {
				everywhere++
			}
		}
		for right := range granted {
			if !needed[right] {
				t.Errorf("nobody looks whether the syncer may %s", right)
			}
		}
		if want := classes + map[bool]int{true: 2}[nodes]; everywhere != want {
			t.Errorf("nodes shown %t: %d needs of cluster scope, want %d", nodes, everywhere, want)
		}
	}
}

func TestShownBy(t *testing.T) {
	rule := func(group, resource, verb string, names ...string) []authorizationv1.ResourceRule {
		return []authorizationv1.ResourceRule{{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names}}
	}
	pods, logs := Need{Resource: "pods", Verb: "list"}, Need{Resource: "pods", Subresource: "log", Verb: "get"}
	own := Need{Group: "tenancy.garret.dev", Resource: "virtualclusters", Verb: "get", Name: "demo"}
	for what, test := range map[string]struct {
		need  Need
		rules []authorizationv1.ResourceRule
		want  bool
	}{
		"the right itself":                  {pods, rule("", "pods", "list"), true},
		"all of everything":                 {pods, rule("*", "*", "*"), true},
		"another verb":                      {pods, rule("", "pods", "get"), false},
		"another group":                     {pods, rule("apps", "pods", "list"), false},
		"some pods only":                    {pods, rule("", "pods", "list", "one"), false},
		"a subresource":                     {logs, rule("", "pods/log", "get"), true},
		"the resource of one":               {logs, rule("", "pods", "get"), false},
		"its own name":                      {own, rule("tenancy.garret.dev", "virtualclusters", "get", "demo"), true},
		"another name":                      {own, rule("tenancy.garret.dev", "virtualclusters", "get", "other"), false},
		"no rule":                           {pods, nil, false},
		"a namespace's, where all is asked": {Need{Resource: "nodes", Verb: "list", Everywhere: true}, rule("*", "*", "*"), false},
	} {
		if got := test.need.shownBy(test.rules); got != test.want {
			t.Errorf("%s: got %t, want %t", what, got, test.want)
		}
	}
}

// host answers for what a test has it allow.
type host struct {
	*fake.Clientset
	mu             sync.Mutex
	nodes, silent  bool
	rules, reviews int
}

func newHost() *host {
	h := &host{Clientset: fake.NewClientset()}
	h.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.silent {
			return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", nil)
		}
		switch asked := action.(clienttesting.CreateAction).GetObject().(type) {
		case *authorizationv1.SelfSubjectRulesReview:
			h.rules++
			asked.Status.ResourceRules = []authorizationv1.ResourceRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
			return true, asked, nil
		case *authorizationv1.SelfSubjectAccessReview:
			h.reviews++
			asked.Status.Allowed = h.nodes && asked.Spec.ResourceAttributes.Namespace == ""
			return true, asked, nil
		}
		return false, nil, nil
	})
	return h
}

func (h *host) set(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

// TestWatch has a right missing, granted, and taken away again by a host that then refuses
// a request, and wants each to be told.
func TestWatch(t *testing.T) {
	h, clock, doubts, told := newHost(), clocktesting.NewFakeClock(time.Now()), NewDoubts(), make(chan string)
	watch := New(Options{
		Host: h.AuthorizationV1(), Namespace: "team", Needs: NeedsOf("demo", nil, true, nil, nil, Shown{}), Doubts: doubts, Clock: clock,
		Report: func(missing []Need) {
			text := ""
			if len(missing) > 0 {
				text = Describe(missing, "team", "vc-demo")
			}
			told <- text
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = watch.Run(ctx) })
	defer run.Wait()
	defer stop()
	// next steps the clock until something is told.
	next := func(step time.Duration) string {
		t.Helper()
		for range 1000 {
			select {
			case text := <-told:
				return text
			case <-time.After(time.Millisecond):
				if clock.HasWaiters() {
					clock.Step(step)
				}
			}
		}
		t.Fatal("nothing is told")
		return ""
	}
	missing := next(firstAgain)
	for _, want := range []string{"team/vc-demo may not list, watch nodes of the whole host cluster", "--sync-nodes-from-host", "administrator of the host cluster", "ClusterRoleBinding",
		"kubectl create clusterrolebinding team-vc-demo-nodes --clusterrole=garret-host-nodes --serviceaccount=team:vc-demo"} {
		if !strings.Contains(missing, want) {
			t.Errorf("got %q, want it to say %q", missing, want)
		}
	}
	h.set(func() { h.nodes = true })
	if got := next(missingAgain); got != "" {
		t.Errorf("granted: got %q, want nothing missing", got)
	}
	// Taken away: a request is refused long before the next look is due.
	h.set(func() { h.nodes = false })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer server.Close()
	client, err := rest.HTTPClientFor(doubts.Watched(&rest.Config{Host: server.URL}))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	began := clock.Now()
	if got := next(time.Second); !strings.Contains(got, "nodes") {
		t.Errorf("taken away: got %q, want it told", got)
	}
	if took := clock.Since(began); took >= wholeAgain {
		t.Errorf("it was told after %s: the refusal led to nothing", took)
	}
	// A host that does not answer such questions holds nothing up.
	h.set(func() { h.silent = true })
	if got := next(missingAgain); got != "" {
		t.Errorf("where nobody may ask: got %q, want nothing", got)
	}
}
