// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"garret.dev/garret/test/framework"
)

func listChecks() []check {
	return []check{
		{"list-empty", "an empty list is a list with items [], not null", []need{several}, emptyList},
		{"list-labels", "label selectors choose, by equality and by sets; a malformed one is 400", []need{several}, labelSelectors},
		{"list-fields", "each selectable field chooses, with = and !=", []need{several}, fieldSelectors},
		{"list-unknown-field", "a field that cannot be selected is 400 that says which can", nil, unknownFieldSelector},
		{"list-pages", "limit and continue give every object once, and remainingItemCount counts the rest", []need{several}, pages},
		{"list-continue", "a continue token that was made up is 400", nil, madeUpToken},
		{"list-consistent", "a list sees every write that was answered before it began", []need{several}, consistentList},
		{"list-cached", "resourceVersion=0 lists what is cached", nil, cachedList},
		{"list-exact", "resourceVersionMatch=Exact lists what was, NotOlderThan what is no older", []need{several}, listAtVersion},
		{"list-options", "options that contradict each other are refused by name", []need{noObject}, listOptions},
		{"list-future", "a resourceVersion of the future is 504 ResourceVersionTooLarge", []need{noObject}, futureVersion},
		{"list-namespaces", "a list over all namespaces has the objects of each", []need{aNamespace}, allNamespaces},
	}
}

func (s *subject) list(options metav1.ListOptions) *unstructured.UnstructuredList {
	s.Helper()
	list, err := s.in.List(s.Context(), options)
	s.must(err)
	return list
}

// listed wants a list to have just the objects of the short names.
func (s *subject) listed(options metav1.ListOptions, shorts ...string) {
	s.Helper()
	var got, want []string
	for _, item := range s.list(options).Items {
		got = append(got, item.GetName())
	}
	for _, short := range shorts {
		want = append(want, s.name(short))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("%+v: got %v, want %v", options, got, want)
	}
}

func emptyList(s *subject) {
	got := s.expect(http.StatusOK, s.send("GET", s.collection()+"?labelSelector="+url.QueryEscape(s.mine()), nil))
	var list map[string]any
	s.decode(got, &list)
	if items, ok := list["items"].([]any); !ok || len(items) != 0 || list["kind"] != s.kind.kind+"List" {
		s.Errorf("got %s, want items []", got.body)
	}
}

func labelSelectors(s *subject) {
	for short, tier := range map[string]string{"a": "gold", "b": "silver", "c": ""} {
		s.create(short, func(o *unstructured.Unstructured) {
			labels := o.GetLabels()
			if tier != "" {
				labels["tier"] = tier
			}
			o.SetLabels(labels)
		})
	}
	for selector, want := range map[string][]string{
		"": {"a", "b", "c"}, ",tier=gold": {"a"}, ",tier!=gold": {"b", "c"}, ",tier": {"a", "b"}, ",!tier": {"c"},
		",tier in (gold,silver)": {"a", "b"}, ",tier notin (gold)": {"b", "c"}, ",tier=none": {},
	} {
		s.listed(metav1.ListOptions{LabelSelector: s.mine() + selector}, want...)
		s.listed(metav1.ListOptions{LabelSelector: s.mine() + selector, ResourceVersion: "0"}, want...)
	}
	s.refused("malformed", http.StatusBadRequest, s.send("GET", s.collection()+"?labelSelector="+url.QueryEscape("a=b=c"), nil))
}

func fieldSelectors(s *subject) {
	s.create("a")
	s.create("b")
	mine := func(selector string) metav1.ListOptions {
		return metav1.ListOptions{LabelSelector: s.mine(), FieldSelector: selector}
	}
	s.listed(mine("metadata.name="+s.name("a")), "a")
	s.listed(mine("metadata.name!="+s.name("a")), "b")
	s.listed(mine("metadata.name=" + s.name("missing")))
	if s.namespaced {
		s.listed(mine("metadata.namespace="+s.namespace), "a", "b")
		s.listed(mine("metadata.namespace!=" + s.namespace))
	}
	for field, value := range s.selectable {
		s.listed(mine(field+"="+value), "a", "b")
		s.listed(mine(field + "!=" + value))
		s.listed(mine(field + "=other"))
		s.listed(mine("metadata.name="+s.name("b")+","+field+"="+value), "b")
	}
}

func unknownFieldSelector(s *subject) {
	fields := []string{"metadata.name"}
	for field := range s.selectable {
		fields = append(fields, field)
	}
	s.refused("unknown", http.StatusBadRequest, s.send("GET", s.collection()+"?fieldSelector=spec.unknown%3Dx", nil), append(fields, "spec.unknown")...)
}

func pages(s *subject) {
	for i := range 5 {
		s.create(fmt.Sprint(i))
	}
	seen, next, lengths := map[string]bool{}, "", []int{}
	for {
		page := s.list(metav1.ListOptions{LabelSelector: s.mine(), Limit: 2, Continue: next})
		lengths = append(lengths, len(page.Items))
		for _, item := range page.Items {
			if seen[item.GetName()] {
				s.Errorf("%s is there twice", item.GetName())
			}
			seen[item.GetName()] = true
		}
		if next = page.GetContinue(); next == "" {
			break
		}
	}
	if len(seen) != 5 || !slices.Equal(lengths, []int{2, 2, 1}) {
		s.Errorf("got %d objects on pages of %v, want 5 on pages of [2 2 1]", len(seen), lengths)
	}
	// It is counted where there is no selector. Other checks make objects of kinds without a namespace.
	page := s.list(metav1.ListOptions{Limit: 2})
	rest := page.GetRemainingItemCount()
	if rest == nil || *rest < 3 || s.namespaced && *rest != 3 {
		s.Errorf("remainingItemCount: got %v, want 3", rest)
	}
}

func madeUpToken(s *subject) {
	for _, token := range []string{"nonsense", "e30"} {
		s.refused(token, http.StatusBadRequest, s.send("GET", s.collection()+"?limit=1&continue="+token, nil), "continue")
	}
}

func consistentList(s *subject) {
	for i := range 10 {
		short := fmt.Sprint(i)
		made := s.create(short)
		options := metav1.ListOptions{LabelSelector: s.mine(), FieldSelector: "metadata.name=" + s.name(short)}
		if list := s.list(options); len(list.Items) != 1 || list.Items[0].GetResourceVersion() != made.GetResourceVersion() {
			s.Fatalf("after create %d: got %v, want it", i, list.Items)
		}
	}
}

func cachedList(s *subject) {
	made := s.create("a")
	// The cache may lag, but not for long.
	framework.Eventually(s, "the cache has it", func(ctx context.Context) (bool, error) {
		list, err := s.in.List(ctx, metav1.ListOptions{ResourceVersion: "0", LabelSelector: s.mine()})
		return err == nil && len(list.Items) == 1 && list.Items[0].GetResourceVersion() == made.GetResourceVersion(), err
	})
	got, err := s.in.Get(s.Context(), s.name("a"), metav1.GetOptions{ResourceVersion: "0"})
	s.must(err)
	if got.GetUID() != made.GetUID() {
		s.Errorf("get: got %s, want %s", got.GetUID(), made.GetUID())
	}
}

func listAtVersion(s *subject) {
	s.create("a")
	then := s.list(metav1.ListOptions{}).GetResourceVersion()
	s.create("b")
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{}))
	at := func(match metav1.ResourceVersionMatch) metav1.ListOptions {
		return metav1.ListOptions{LabelSelector: s.mine(), ResourceVersion: then, ResourceVersionMatch: match}
	}
	s.listed(at(metav1.ResourceVersionMatchExact), "a")
	if got := s.list(at(metav1.ResourceVersionMatchExact)).GetResourceVersion(); got != then {
		s.Errorf("exact: got resourceVersion %s, want %s", got, then)
	}
	framework.Eventually(s, "the cache has both changes", func(ctx context.Context) (bool, error) {
		list, err := s.in.List(ctx, at(metav1.ResourceVersionMatchNotOlderThan))
		return err == nil && len(list.Items) == 1 && list.Items[0].GetName() == s.name("b"), err
	})
}

func listOptions(s *subject) {
	for query, part := range map[string]string{
		"resourceVersionMatch=Exact":                   "resourceVersionMatch",
		"resourceVersionMatch=Never&resourceVersion=1": "resourceVersionMatch",
		"resourceVersionMatch=Exact&resourceVersion=0": "resourceVersionMatch",
		"sendInitialEvents=true":                       "sendInitialEvents",
		"watch=true&sendInitialEvents=true":            "resourceVersionMatch",
	} {
		s.refused(query, http.StatusUnprocessableEntity, s.send("GET", s.collection()+"?"+query, nil), part)
	}
	s.refused("version", http.StatusBadRequest, s.send("GET", s.collection()+"?resourceVersion=x", nil), "resource version")
	s.refused("limit", http.StatusBadRequest, s.send("GET", s.collection()+"?limit=x", nil))
}

func futureVersion(s *subject) {
	status := s.refused("list", http.StatusGatewayTimeout, s.send("GET", s.collection()+"?resourceVersion=999999999&resourceVersionMatch=NotOlderThan", nil), "Too large resource version")
	if d := status.Details; d == nil || len(d.Causes) == 0 || d.Causes[0].Type != metav1.CauseTypeResourceVersionTooLarge {
		s.Errorf("got details %+v, want the cause %s", d, metav1.CauseTypeResourceVersionTooLarge)
	}
}

func allNamespaces(s *subject) {
	s.create("a")
	other := newSubject(s.T, s.kind)
	other.id = s.id
	other.create("b")
	got := s.decoded(s.expect(http.StatusOK, s.send("GET", root+"/"+s.resource+"?labelSelector="+url.QueryEscape(s.mine()), nil)))
	list, err := got.ToList()
	s.must(err)
	if len(list.Items) != 2 {
		s.Errorf("got %d, want the two of both namespaces", len(list.Items))
	}
}
