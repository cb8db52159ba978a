// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCatalogue wants every row to be complete, and such that what follows from it is harmless.
func TestCatalogue(t *testing.T) {
	verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	var before []string
	for _, kind := range Catalogue() {
		name := kind.Name()
		if slices.Contains(before, name) || slices.Contains(ReservedResources(), name) {
			t.Errorf("%s: listed twice", name)
		}
		if kind.Version == "" || kind.Direction == "" || kind.Words == "" || len(kind.Verbs) == 0 {
			t.Errorf("%s: the row is not complete: %+v", name, kind)
		}
		if !kind.Namespaced && !kind.Everywhere() || kind.Everywhere() && !slices.Contains(append(ClusterRoles(), RoleHostNodes), kind.Role) {
			t.Errorf("%s: a kind of cluster scope has a ClusterRole of Garret's: got %q", name, kind.Role)
		}
		if other := slices.Contains(WritingRoles(), kind.Role); other != (kind.Direction == ToHost && !kind.Namespaced) {
			t.Errorf("%s: what writes on the host is lent apart from what reads: got %q", name, kind.Role)
		}
		granted := slices.Clone(kind.Verbs)
		for _, sub := range kind.Subresources {
			granted = append(granted, sub.Verbs...)
		}
		for _, companion := range kind.Companions {
			granted = append(granted, companion.Verbs...)
			if twin, known := CataloguedKind(companion.Resource); !known || twin.HoldsData || companion.VirtualKind == "" {
				t.Errorf("%s: companion %+v is no kind of the catalogue, or looks like a twin", name, companion)
			}
		}
		for _, report := range kind.Reports {
			if !slices.Equal(report.Verbs, []string{"list"}) || report.Group == kind.Group {
				t.Errorf("%s: report %+v: another API's is listed, and no more", name, report)
			}
		}
		for _, verb := range granted {
			if !slices.Contains(verbs, verb) {
				t.Errorf("%s: the syncer may %q on the host", name, verb)
			}
		}
		writes := slices.ContainsFunc(kind.Verbs, func(verb string) bool { return !slices.Contains(reading(), verb) })
		if kind.Direction == FromHost && (writes || kind.HoldsData) {
			t.Errorf("%s: read on the host only, yet %v", name, kind.Verbs)
		}
		for _, needed := range kind.Needs {
			if !slices.Contains(before, needed) {
				t.Errorf("%s: needs %s, which does not come before it", name, needed)
			}
		}
		before = append(before, name)
	}
}

func TestSelectByArgs(t *testing.T) {
	byDefault := slices.Sorted(slices.Values(SyncedResources()))
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(byDefault), func(n string) bool { return slices.Contains(names, n) })
	}
	with := func(names ...string) []string {
		return slices.Sorted(slices.Values(append(slices.Clone(byDefault), names...)))
	}
	tests := []struct {
		name string
		args []string
		want []string
		fail bool
	}{
		{"default", []string{"--v=4"}, byDefault, false},
		{"switched off", []string{"--disable-sync-resources=secrets,volumesnapshots", "--disable-sync-resources=events"}, without("secrets", "events"), false},
		{"switched on", []string{"--sync-resources=poddisruptionbudgets"}, with("poddisruptionbudgets"), false},
		{"on wins, in any order", []string{"--sync-resources=events", "--disable-sync-resources=events,secrets"}, without("secrets"), false},
		{"without what it needs", []string{"--disable-sync-resources=services", "--sync-resources=endpointslices"}, without("services", "endpointslices", "ingresses"), false},
		{"without pods", []string{"--sync-resources=poddisruptionbudgets", "--disable-sync-resources=pods"}, without("pods", "events"), false},
		{"no names", []string{"--sync-resources=", "--disable-sync-resources="}, byDefault, false},
		{"a kind that a field switches on", []string{"--sync-resources=volumesnapshots"}, nil, true},
		{"nonsense", []string{"--disable-sync-resources=podz"}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			selection, err := SelectByArgs(test.args)
			if (err != nil) != test.fail {
				t.Fatalf("got error %v, want one: %t", err, test.fail)
			}
			maps.DeleteFunc(selection, func(_ string, synced bool) bool { return !synced })
			if got := slices.Sorted(maps.Keys(selection)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestDocumented wants docs/sync.md to hold the catalogue as a table.
func TestDocumented(t *testing.T) {
	table := &strings.Builder{}
	fmt.Fprintln(table, "| kind | which objects | direction | by default | scope | needs | the syncer's rights on the host |")
	fmt.Fprintln(table, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, kind := range Catalogue() {
		byDefault, scope := "off", "cluster"
		if kind.Default {
			byDefault = "on"
		}
		if kind.Namespaced {
			scope = "namespace"
		}
		rights := []string{inWords(kind.Verbs)}
		for _, sub := range kind.Subresources {
			rights = append(rights, "`"+strings.Join(sub.Names, "`, `")+"`: "+inWords(sub.Verbs))
		}
		for _, companion := range kind.Companions {
			rights = append(rights, companion.Resource+": "+inWords(companion.Verbs))
		}
		for _, report := range kind.Reports {
			rights = append(rights, "`"+report.Resource+"` of "+report.Group+": "+inWords(report.Verbs))
		}
		name := "`" + kind.Name() + "`"
		if kind.Group != "" {
			name += " (" + kind.Group + ")"
		}
		fmt.Fprintf(table, "| %s | %s | %s | %s | %s | %s | %s |\n", name, kind.Words, kind.Direction, byDefault, scope,
			strings.Join(kind.Needs, ", "), strings.Join(rights, "; "))
	}
	text, err := os.ReadFile("../../../docs/sync.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/sync.md has another table than the catalogue. It should be:\n%s", table)
	}
}

func inWords(verbs []string) string {
	switch {
	case slices.Equal(verbs, writing()):
		return "read, write"
	case slices.Equal(verbs, reading()):
		return "read"
	}
	return strings.Join(verbs, ", ")
}
