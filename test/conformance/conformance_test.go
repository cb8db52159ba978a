// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// part writes what the suite would have left of a part: states by the names of specs.
func part(t *testing.T, dir string, states map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var specs []map[string]any
	merged := junitSuite{Name: "part"}
	for name, state := range states {
		first, rest, _ := strings.Cut(name, " ")
		why := "because"
		if state == skipped && rest == "other" {
			why = "" // as Ginkgo reports what was not selected
		}
		specs = append(specs, map[string]any{"ContainerHierarchyTexts": []string{first}, "LeafNodeType": "It", "LeafNodeText": rest,
			"State": state, "RunTime": 1e9, "Failure": map[string]string{"Message": why}})
		entry := junitCase{Name: name, Class: dir}
		switch state {
		case "failed":
			entry.Failure = &content{Message: "because"}
		case skipped:
			entry.Skipped = &content{}
		}
		merged.Cases = append(merged.Cases, entry)
	}
	specs = append(specs, map[string]any{"LeafNodeType": "SynchronizedBeforeSuite", "State": passed})
	suites := []map[string]any{{"StartTime": "2026-01-02T03:04:05Z", "RunTime": 60e9, "SuiteConfig": map[string]int{"ParallelTotal": 4}, "SpecReports": specs}}
	data, err := json.Marshal(suites)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, reportFile), string(data))
	data, err = xml.Marshal(junit{Suites: []junitSuite{merged}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, junitFile), string(data))
	write(t, filepath.Join(dir, "e2e.log"), "log of "+filepath.Base(dir)+"\n")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestResultsMergeParts(t *testing.T) {
	dir := t.TempDir()
	part(t, filepath.Join(dir, "01"), map[string]string{"a mended": "failed", "a flaky": passed, "a bad": "failed", "a other": skipped, "a stopped": interrupted})
	part(t, filepath.Join(dir, "02"), map[string]string{"a mended": passed, "a flaky": "failed", "a bad": "timedout"})
	// A part that was killed has left a log and nothing else.
	if err := os.MkdirAll(filepath.Join(dir, "03"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Results(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		state    string
		attempts int
	}{"a mended": {passed, 2}, "a flaky": {passed, 2}, "a bad": {"timedout", 2}} {
		if spec := got[name]; spec.State != want.state || spec.Attempts != want.attempts {
			t.Errorf("%s: got %s after %d attempts, want %s after %d", name, spec.State, spec.Attempts, want.state, want.attempts)
		}
	}
	if len(got) != 3 {
		t.Errorf("got %d specs, want 3: one was skipped", len(got))
	}
	figures, err := readFigures(dir)
	if err != nil || figures.Parts != 2 || figures.Took.Seconds() != 120 || figures.Processes != 4 {
		t.Errorf("got %+v, %v; want two parts of a minute, four side by side", figures, err)
	}
}

func TestResultsTellOfABrokenReport(t *testing.T) {
	dir := t.TempDir()
	part(t, filepath.Join(dir, "01"), nil)
	write(t, filepath.Join(dir, "01", reportFile), "[{")
	if _, err := Results(dir); err == nil || !strings.Contains(err.Error(), reportFile) {
		t.Errorf("got %v, want an error that names the report", err)
	}
}

func TestDivideRunsSerialSpecsLast(t *testing.T) {
	got := divide([]string{"a", "b [Serial]", "c", "d", "e [Serial]"}, 2)
	want := [][]string{{"a", "c"}, {"d"}, {"b [Serial]", "e [Serial]"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNextPartFollowsTheLast(t *testing.T) {
	r := Run{Dir: t.TempDir()}
	for _, want := range []string{"01", "02"} {
		if got, err := r.next(); err != nil || filepath.Base(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

func TestComparison(t *testing.T) {
	dir := t.TempDir()
	part(t, filepath.Join(dir, "host", "01"), map[string]string{"a both": passed, "a inside": passed, "a environment": "failed", "a here": passed})
	part(t, filepath.Join(dir, "inside", "01"), map[string]string{"a both": passed, "a inside": "failed", "a environment": "failed"})
	reasons := filepath.Join(dir, "reasons.yaml")
	write(t, reasons, "- spec: environment$\n  reason: there is no registry\n")
	c, err := Compare(dir, reasons, filepath.Join(dir, "none"))
	if err != nil {
		t.Fatal(err)
	}
	want := "host\tinside\tspec\npassed\tpassed\ta both\nfailed\tfailed\ta environment\npassed\tnot run\ta here\npassed\tfailed\ta inside\n"
	if got := c.Table(); got != want {
		t.Errorf("table: got %q, want %q", got, want)
	}
	lists := c.Lists()
	for _, want := range []string{
		"| host | 4 | 3 | 1 | 4 | 1m0s |", "| inside | 3 | 1 | 1 | 4 | 1m0s |",
		"## Failed inside only\n\n* a inside\n", "## Failed on both\n\n* a environment: there is no registry\n",
		"## Failed on the host only\n\nNone.\n", "## Not run inside\n\n* a here\n", "## Not run on the host\n\nNone.\n",
	} {
		if !strings.Contains(lists, want) {
			t.Errorf("lists lack %q:\n%s", want, lists)
		}
	}
	table := filepath.Join(dir, "table")
	write(t, table, "host\tinside\tspec\nfailed\tpassed\ta inside\npassed\tfailed\ta before\nnot run\tpassed\ta here\n")
	if c, err = Compare(dir, reasons, table); err != nil {
		t.Fatal(err)
	}
	want = "host\tinside\tspec\npassed\tfailed\ta before\npassed\tpassed\ta both\nfailed\tfailed\ta environment\npassed\tpassed\ta here\npassed\tfailed\ta inside\n"
	if got := c.Table(); got != want {
		t.Errorf("table on an earlier one: got %q, want %q", got, want)
	}
	if got := c.Lists(); !strings.Contains(got, "the outcomes of 1 specs on the host and 2 inside are those of earlier runs") {
		t.Errorf("lists do not say what is of earlier runs:\n%s", got)
	}
	write(t, table, "a line\n")
	if _, err := Compare(dir, reasons, table); err == nil {
		t.Error("what is no table: got no error")
	}
	write(t, reasons, "- spec: '['\n  reason: none\n")
	if _, err := Compare(dir, reasons, table); err == nil {
		t.Error("a bad pattern among the reasons: got no error")
	}
}

func TestSubmit(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "submission")
	part(t, filepath.Join(dir, "01"), map[string]string{"a mended": "failed", "a flaky": passed, "a other": skipped})
	part(t, filepath.Join(dir, "02"), map[string]string{"a mended": passed, "a flaky": "failed", "a other": passed})
	if err := Submit(dir, out, Product{Version: "v1.2.3", Kubernetes: "v9.9.9"}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"e2e.log": "log of 01\nlog of 02\n", "PRODUCT.yaml": "version: v1.2.3\n", "README.md": "Kubernetes v9.9.9\n"} {
		if got, err := os.ReadFile(filepath.Join(out, file)); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: got %q, %v; want %q in it", file, got, err, want)
		}
	}
	data, err := os.ReadFile(filepath.Join(out, junitFile))
	if err != nil {
		t.Fatal(err)
	}
	var merged junit
	if err := xml.Unmarshal(data, &merged); err != nil {
		t.Fatal(err)
	}
	suite := merged.Suites[0]
	if suite.Tests != 3 || suite.Failures != 0 {
		t.Errorf("got %d tests and %d failures, want 3 and none", suite.Tests, suite.Failures)
	}
	for _, spec := range suite.Cases {
		if !spec.good() || spec.Skipped != nil {
			t.Errorf("%s: got %+v, want it passed", spec.Name, spec)
		}
	}
}

func TestFocusMatchesWithAndWithoutSpaces(t *testing.T) {
	focus := regexp.MustCompile("^" + focusOn("[a] of 1.0  should (b)") + "$")
	for name, want := range map[string]bool{"[a] of 1.0  should (b)": true, "[a] of 1.0 should (b)": true, "[a] of 1x0 should (b)": false, "[a] of 1.0should (b)": false} {
		if focus.MatchString(name) != want {
			t.Errorf("%q: got %v, want %v", name, !want, want)
		}
	}
}
