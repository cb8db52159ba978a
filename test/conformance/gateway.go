// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// gatewayOutcome finds what a verbose log says of a test of the Gateway API's suite. The names of its parts
// have another slash.
var gatewayOutcome = regexp.MustCompile(`--- (PASS|FAIL|SKIP): TestConformance/([^/\s]+) \(`)

// CompareGateway reads the logs of the Gateway API's suite in the folders host and inside below dir.
// A later log holds for the tests that it ran.
func CompareGateway(dir, reasons string) (*Comparison, error) {
	c := &Comparison{}
	var err error
	if c.Reasons, err = ReadReasons(reasons); err != nil {
		return nil, err
	}
	if c.Host, err = gatewayOutcomes(filepath.Join(dir, "host")); err != nil {
		return nil, err
	}
	c.Inside, err = gatewayOutcomes(filepath.Join(dir, "inside"))
	return c, err
}

func gatewayOutcomes(dir string) (map[string]Outcome, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	slices.Sort(logs)
	outcomes := map[string]Outcome{}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			return nil, err
		}
		for _, found := range gatewayOutcome.FindAllSubmatch(text, -1) {
			name := string(found[2])
			outcomes[name] = Outcome{Name: name, State: map[string]string{"PASS": passed, "FAIL": failed, "SKIP": skipped}[string(found[1])]}
		}
	}
	if len(outcomes) == 0 {
		return nil, fmt.Errorf("%s: no log says what came of a test", dir)
	}
	return outcomes, nil
}

// Gateway is a page about the Gateway API's suite: how many tests passed, and what came of each.
func (c *Comparison) Gateway() string {
	var out strings.Builder
	out.WriteString("# The Gateway API's conformance suite\n\nWritten by `garret-conformance gateway`. [conformance.md](../conformance.md#the-gateway-api) says how the suite runs.\n\n" +
		"| | passed | failed | skipped |\n| --- | --- | --- | --- |\n")
	for _, side := range []struct {
		name    string
		results map[string]Outcome
	}{{"host", c.Host}, {"inside", c.Inside}} {
		counts := map[string]int{}
		for name := range side.results {
			counts[word(side.results, name)]++
		}
		fmt.Fprintf(&out, "| %s | %d | %d | %d |\n", side.name, counts[passed], counts[failed], counts[skipped])
	}
	sections := []struct{ title, host, inside string }{
		{"Failed inside only", passed, failed},
		{"Failed on both", failed, failed},
		{"Failed on the host only", failed, passed},
		{"Passed on both", passed, passed},
		{"Skipped on both, as the controller does not have the feature", skipped, skipped},
	}
	listed := map[string]bool{}
	for _, s := range sections {
		out.WriteString("\n## " + s.title + "\n\n")
		none := true
		for _, name := range c.names() {
			if word(c.Host, name) == s.host && word(c.Inside, name) == s.inside {
				none, listed[name] = false, true
				fmt.Fprintf(&out, "* %s%s\n", name, c.reasonUnlessGood(name, s.inside))
			}
		}
		if none {
			out.WriteString("None.\n")
		}
	}
	for _, name := range c.names() {
		if !listed[name] {
			fmt.Fprintf(&out, "\n%s: %s on the host, %s inside%s\n", name, word(c.Host, name), word(c.Inside, name), c.reason(name))
		}
	}
	return out.String()
}

func (c *Comparison) reasonUnlessGood(name, inside string) string {
	if inside != failed {
		return ""
	}
	return c.reason(name)
}
