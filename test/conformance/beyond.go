// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// verdict is what both sides together say about a spec.
type verdict string

const (
	good       verdict = "passed inside"
	everywhere verdict = "failed on both"
	ours       verdict = "failed inside only"
	open       verdict = "failed inside, not run on the host"
	ignored    verdict = "skipped"
	lacking    verdict = "skipped inside only"
	missing    verdict = "not run inside"
)

func (c *Comparison) verdict(name string) verdict {
	switch inside, host := word(c.Inside, name), word(c.Host, name); {
	case inside == passed:
		return good
	case inside == skipped && host == passed:
		return lacking
	case inside == skipped:
		return ignored
	case inside == notRun:
		return missing
	case host == failed:
		return everywhere
	case host == passed:
		return ours
	default:
		return open
	}
}

// Beyond is a page about specs that the conformance suite does not have: a table by area,
// and what did not pass inside, with the reasons that are known. The chosen specs are all
// that the areas have, whether they ran or not.
func (c *Comparison) Beyond(areas *Areas, chosen []string) string {
	var out strings.Builder
	out.WriteString(`# Specs beyond the conformance suite

Written by ` + "`garret-conformance beyond`; [beyond.tsv](beyond.tsv)" + ` has a line for each spec. A spec that passes inside
does not run on the bare host. All others run there as well, which shows whose failures they are. *Not run inside* is left for
the next run.

`)
	columns := []verdict{good, ignored, everywhere, ours, lacking, open, missing}
	by := map[verdict][]string{}
	out.WriteString("| area | specs |")
	for _, v := range columns {
		fmt.Fprintf(&out, " %s |", v)
	}
	out.WriteString("\n| --- |" + strings.Repeat(" --- |", len(columns)+1) + "\n")
	for _, area := range areas.Areas {
		counts, all := map[verdict]int{}, 0
		for _, name := range chosen {
			if areas.Of(name) == area.Name {
				v := c.verdict(name)
				by[v] = append(by[v], name)
				counts[v]++
				all++
			}
		}
		fmt.Fprintf(&out, "| %s | %d |", area.Name, all)
		for _, v := range columns {
			fmt.Fprintf(&out, " %d |", counts[v])
		}
		out.WriteString("\n")
	}
	fmt.Fprintf(&out, "\nThe runs took %s inside, with %d specs in parallel, and %s on the host.\n",
		c.Virtual.Took.Round(time.Second), c.Virtual.Processes, c.HostRun.Took.Round(time.Second))
	for _, v := range []verdict{ours, lacking, open, everywhere} {
		fmt.Fprintf(&out, "\n## %s\n\n", strings.ToUpper(string(v[:1]))+string(v[1:]))
		if len(by[v]) == 0 {
			out.WriteString("None.\n")
		}
		for _, name := range by[v] {
			fmt.Fprintf(&out, "* %s%s\n", name, c.reason(name))
		}
	}
	out.WriteString("\n## Why specs skipped themselves\n\n")
	out.WriteString(c.skips(by[ignored]))
	out.WriteString("\n## What areas leave out\n\n")
	left := false
	for _, area := range areas.Areas {
		if area.Reason != "" {
			left = true
			fmt.Fprintf(&out, "* %s: `%s`: %s\n", area.Name, area.Without, area.Reason)
		}
	}
	if !left {
		out.WriteString("Nothing.\n")
	}
	return out.String()
}

// Keep forgets specs that belong to no area, because the areas were different when they ran.
func (c *Comparison) Keep(areas *Areas) {
	for _, results := range []map[string]Outcome{c.Host, c.Inside} {
		maps.DeleteFunc(results, func(name string, _ Outcome) bool { return areas.Of(name) == "" })
	}
}

// longestReason is how many bytes of the reason of a spec the page has. Some print whole objects.
const longestReason = 160

// skips is a table of the reasons of specs that skipped themselves, most frequent first.
func (c *Comparison) skips(names []string) string {
	counts := map[string]int{}
	for _, name := range names {
		why, _, _ := strings.Cut(strings.TrimSpace(c.Inside[name].Message), "\n")
		if why == "" {
			why = "unknown; an earlier run skipped them"
		}
		if len(why) > longestReason {
			why = strings.ToValidUTF8(why[:longestReason], "") + " …"
		}
		counts[strings.ReplaceAll(why, "|", `\|`)]++
	}
	if len(counts) == 0 {
		return "None did.\n"
	}
	reasons := make([]string, 0, len(counts))
	for why := range counts {
		reasons = append(reasons, why)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var out strings.Builder
	out.WriteString("| specs | reason |\n| --- | --- |\n")
	for _, why := range reasons {
		fmt.Fprintf(&out, "| %d | %s |\n", counts[why], why)
	}
	return out.String()
}
