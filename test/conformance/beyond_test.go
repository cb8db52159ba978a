// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const someAreas = `
without: '\[Slow\]'
features: [HPA]
areas:
- {name: Apps, specs: '^\[sig-apps\]'}
- {name: Policies, specs: '^\[sig-network\] Netpol'}
- {name: Network, specs: '^\[sig-network\]', without: SCTP, reason: the kernel lacks it.}
`

func readAreas(t *testing.T, text string) (*Areas, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "areas.yaml")
	write(t, file, text)
	return ReadAreas(file)
}

func TestAreas(t *testing.T) {
	areas, err := readAreas(t, someAreas)
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{
		"[sig-apps] Job runs":                             "Apps",
		"[sig-apps] Job runs [Slow]":                      "",
		"[sig-apps] HPA scales [Feature:HPA]":             "Apps",
		"[sig-apps] it flies [Feature:HPA] [Feature:New]": "",
		"[sig-network] Netpol denies":                     "Policies",
		"[sig-network] Services answer":                   "Network",
		"[sig-network] Services answer by SCTP":           "",
		"[sig-storage] volumes":                           "",
	} {
		if got := areas.Of(spec); got != want {
			t.Errorf("%s: got area %q, want %q", spec, got, want)
		}
	}
	for text, want := range map[string]string{
		"areas: [{name: a}]":                                    "areas[0]",
		"areas: [{name: a, specs: '['}]":                        "areas[0].specs",
		"areas: [{name: a, specs: a, without: b}]":              "belong together",
		"without: '['":                                          "without",
		"areas: [{name: a, specs: a, skip: b}]":                 "skip",
		"areas: [{name: a, specs: a, without: '[', reason: b}]": "areas[0].without",
	} {
		if _, err := readAreas(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

// TestShippedAreas holds the list of the repository against what its own comments promise.
func TestShippedAreas(t *testing.T) {
	areas, err := ReadAreas(filepath.Join("beyond", "areas.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := areas.Of("[sig-apps] CronJob runs [Conformance]"); got != "" {
		t.Errorf("a spec of the conformance suite is in the area %q", got)
	}
	if got := areas.Of("[sig-apps] CronJob runs"); got != "Workloads" {
		t.Errorf("got area %q, want Workloads", got)
	}
	if _, err := ReadReasons(filepath.Join("beyond", "reasons.yaml")); err != nil {
		t.Error(err)
	}
}

func TestBeyond(t *testing.T) {
	areas, err := readAreas(t, someAreas)
	if err != nil {
		t.Fatal(err)
	}
	inside := map[string]string{"passes": passed, "is ours": failed, "fails": failed, "is open": failed, "lacks": skipped, "skips": skipped}
	host := map[string]string{"is ours": passed, "fails": failed, "lacks": passed, "skips": skipped}
	dir := t.TempDir()
	named := func(states map[string]string) map[string]string {
		out := map[string]string{"[sig-other] is of no area": failed}
		for name, state := range states {
			out["[sig-apps] "+name] = state
		}
		return out
	}
	part(t, filepath.Join(dir, "inside", "01"), named(inside))
	part(t, filepath.Join(dir, "host", "01"), named(host))
	reasons := filepath.Join(dir, "reasons.yaml")
	write(t, reasons, "- spec: fails$\n  reason: there is no registry.\n")
	c, err := Compare(dir, reasons, filepath.Join(dir, "none"))
	if err != nil {
		t.Fatal(err)
	}
	c.Keep(areas)
	if strings.Contains(c.Table(), "sig-other") {
		t.Errorf("the table has a spec of no area:\n%s", c.Table())
	}
	page := c.Beyond(areas, append(c.names(), "[sig-network] Netpol waits"))
	for _, want := range []string{
		"| area | specs | passed inside | skipped | failed on both | failed inside only | skipped inside only | failed inside, not run on the host | not run inside |\n",
		"| Apps | 6 | 1 | 1 | 1 | 1 | 1 | 1 | 0 |\n", "| Policies | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |\n",
		"## Failed inside only\n\n* [sig-apps] is ours\n", "## Failed on both\n\n* [sig-apps] fails: there is no registry.\n",
		"## Skipped inside only\n\n* [sig-apps] lacks\n", "| 1 | because |\n", "* Network: `SCTP`: the kernel lacks it.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "sig-other") {
		t.Errorf("the page has a spec of no area:\n%s", page)
	}
	if want := "skipped\tskipped\t[sig-apps] skips\n"; !strings.Contains(c.Table(), want) {
		t.Errorf("the table lacks %q:\n%s", want, c.Table())
	}
}

// TestSkipsStayReadable cuts what a spec prints beside its reason.
func TestSkipsStayReadable(t *testing.T) {
	c := &Comparison{Inside: map[string]Outcome{"a": {Message: "no group, got " + strings.Repeat("é", 400)}}}
	if got := c.skips([]string{"a"}); len(got) > 250 || !strings.Contains(got, "| 1 | no group, got é") || !strings.Contains(got, "é … |") {
		t.Errorf("got %q", got)
	}
}

// TestSettled lets a spec skip itself beyond the suite only.
func TestSettled(t *testing.T) {
	states := map[string][2]bool{passed: {true, true}, skipped: {false, true}, failed: {false, false}}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		got := [2]bool{Run{}.settled(Outcome{State: state}), Run{Areas: &Areas{}}.settled(Outcome{State: state})}
		if got != states[state] {
			t.Errorf("%s: got %v for the suite and beyond it, want %v", state, got, states[state])
		}
	}
}
