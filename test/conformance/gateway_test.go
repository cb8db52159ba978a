// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gatewayLog has the marks of -test.v=test2json.
const gatewayLog = "\x16=== RUN   TestConformance\n\x16=== RUN   TestConformance/Good\n    conformance.go:1: about Good\n" +
	"\x16--- FAIL: TestConformance/Good/a_part (0.10s)\n\x16--- PASS: TestConformance/Good (1.20s)\n\x16--- FAIL: TestConformance/Bad (60.00s)\n" +
	"\x16--- PASS: TestConformance/Bad/a_part (0.10s)\n\x16--- FAIL: TestConformance/Theirs (60.00s)\n\x16--- SKIP: TestConformance/Lacking (0.00s)\n" +
	"\x16--- FAIL: TestConformance (9.00s)\n"

func TestGateway(t *testing.T) {
	dir := t.TempDir()
	for _, side := range []string{"host", "inside"} {
		if err := os.MkdirAll(filepath.Join(dir, side), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, side, "01.log"), gatewayLog)
	}
	write(t, filepath.Join(dir, "host", "02.log"), "    --- PASS: TestConformance/Bad (2.00s)\n")
	write(t, filepath.Join(dir, "inside", "02.log"), "panic: no outcome\n")
	reasons := filepath.Join(dir, "reasons.yaml")
	write(t, reasons, "- spec: '^Bad$'\n  reason: it is not ours.\n")
	c, err := CompareGateway(dir, reasons)
	if err != nil {
		t.Fatal(err)
	}
	page := c.Gateway()
	for _, want := range []string{"| host | 2 | 1 | 1 |\n", "| inside | 1 | 2 | 1 |\n", "## Failed inside only\n\n* Bad: it is not ours.\n", "## Failed on both\n\n* Theirs\n",
		"## Failed on the host only\n\nNone.\n", "## Passed on both\n\n* Good\n", "does not have the feature\n\n* Lacking\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	write(t, filepath.Join(dir, "inside", "03.log"), "    --- SKIP: TestConformance/Good (2.00s)\n")
	if c, err = CompareGateway(dir, reasons); err != nil || !strings.Contains(c.Gateway(), "Good: passed on the host, skipped inside\n") {
		t.Errorf("what is in no section: got %v and\n%s", err, c.Gateway())
	}
	if _, err := CompareGateway(t.TempDir(), reasons); err == nil {
		t.Error("without logs: got no error")
	}
	if _, err := ReadReasons(filepath.Join("gateway", "reasons.yaml")); err != nil {
		t.Error(err)
	}
}
