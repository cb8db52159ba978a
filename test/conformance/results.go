// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Reason says why some specs cannot pass where they were run.
type Reason struct {
	// Spec is a regular expression of their names.
	Spec string `json:"spec"`
	// Reason is a sentence.
	Reason string `json:"reason"`
}

// ReadReasons reads a list of reasons.
func ReadReasons(file string) ([]Reason, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var reasons []Reason
	if err := yaml.UnmarshalStrict(data, &reasons); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, r := range reasons {
		if _, err := regexp.Compile(r.Spec); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return reasons, nil
}

// Comparison is what the suite made of a host, and of a virtual cluster on it.
type Comparison struct {
	Host, Inside     map[string]Outcome
	HostRun, Virtual Figures
	Reasons          []Reason
	// Earlier counts the outcomes of the host and inside that are those of an earlier table.
	Earlier [2]int
}

// Figures are what a run took.
type Figures struct {
	// Took is the time of all parts together.
	Took time.Duration
	// Parts is their number, Processes the most specs that ran side by side.
	Parts, Processes int
	// Begin is when the first one began.
	Begin time.Time
}

// Compare reads the runs below dir. For specs that none of them ran, what the earlier table
// says holds; there may be none.
func Compare(dir, reasons, earlier string) (*Comparison, error) {
	c := &Comparison{}
	var err error
	if c.Reasons, err = ReadReasons(reasons); err != nil {
		return nil, err
	}
	if c.Host, c.HostRun, err = read(filepath.Join(dir, "host")); err != nil {
		return nil, err
	}
	if c.Inside, c.Virtual, err = read(filepath.Join(dir, "inside")); err != nil {
		return nil, err
	}
	return c, c.lay(earlier)
}

// lay takes over what a table says of specs that were not run since.
func (c *Comparison) lay(table string) error {
	data, err := os.ReadFile(table)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		words := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		if len(words) != 3 {
			return fmt.Errorf("%s: no line of a table: %q", table, line)
		}
		for side, results := range []map[string]Outcome{c.Host, c.Inside} {
			if _, run := results[words[2]]; run || words[side] != passed && words[side] != failed && words[side] != skipped {
				continue
			}
			results[words[2]] = Outcome{Name: words[2], State: words[side]}
			c.Earlier[side]++
		}
	}
	return nil
}

func read(dir string) (map[string]Outcome, Figures, error) {
	results, err := Results(dir)
	if err != nil {
		return nil, Figures{}, err
	}
	figures, err := readFigures(dir)
	return results, figures, err
}

func readFigures(dir string) (Figures, error) {
	var f Figures
	folders, err := parts(dir)
	if err != nil {
		return f, err
	}
	for _, folder := range folders {
		suites, err := readReport(filepath.Join(folder, reportFile))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return f, err
		}
		for _, suite := range suites {
			if f.Parts == 0 {
				f.Begin = suite.StartTime
			}
			f.Parts++
			f.Took += suite.RunTime
			f.Processes = max(f.Processes, suite.SuiteConfig.ParallelTotal)
		}
	}
	return f, nil
}

// names are those of all specs that either run knows, in alphabetical order.
func (c *Comparison) names() []string {
	var names []string
	for name := range c.Host {
		names = append(names, name)
	}
	for name := range c.Inside {
		if _, known := c.Host[name]; !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Table has a line for each spec: its name, and what came of it on the host and
// inside, separated by tabs.
func (c *Comparison) Table() string {
	var out strings.Builder
	out.WriteString("host\tinside\tspec\n")
	for _, name := range c.names() {
		fmt.Fprintf(&out, "%s\t%s\t%s\n", word(c.Host, name), word(c.Inside, name), name)
	}
	return out.String()
}

func word(results map[string]Outcome, name string) string {
	switch spec, run := results[name]; {
	case !run:
		return notRun
	case spec.Passed():
		return passed
	case spec.State == skipped:
		return skipped
	default:
		return failed
	}
}

const (
	// failed stands in a table for all states but passed and skipped.
	failed = "failed"
	// notRun stands there for a spec without an outcome.
	notRun = "not run"
)

// Lists is a page that names what did not pass, with the reasons that are known.
func (c *Comparison) Lists() string {
	var out strings.Builder
	out.WriteString("# Results of the conformance suite\n\nWritten by `garret-conformance report`; [results.tsv](results.tsv) has a line for each spec.\n\n")
	fmt.Fprintf(&out, "| | specs run | passed | parts | side by side | time |\n| --- | --- | --- | --- | --- | --- |\n%s%s\nThe machine has %d cores and %s of memory.\n",
		row("host", c.Host, c.HostRun), row("inside", c.Inside, c.Virtual), runtime.NumCPU(), memory())
	if c.Earlier != [2]int{} {
		fmt.Fprintf(&out, "\nOf these, the outcomes of %d specs on the host and %d inside are those of earlier runs. Parts and times are those of the last ones.\n", c.Earlier[0], c.Earlier[1])
	}
	sections := []struct {
		title        string
		host, inside string
	}{
		{"Failed inside only", passed, failed},
		{"Failed on both", failed, failed},
		{"Failed on the host only", failed, passed},
		{"Skipped inside", "", skipped},
		{"Not run inside", "", notRun},
		{"Not run on the host", notRun, ""},
	}
	for _, s := range sections {
		fmt.Fprintf(&out, "\n## %s\n\n", s.title)
		none := true
		for _, name := range c.names() {
			if (s.host == "" || word(c.Host, name) == s.host) && (s.inside == "" || word(c.Inside, name) == s.inside) {
				none = false
				fmt.Fprintf(&out, "* %s%s\n", name, c.reason(name))
			}
		}
		if none {
			out.WriteString("None.\n")
		}
	}
	return out.String()
}

func row(side string, results map[string]Outcome, f Figures) string {
	good := 0
	for _, spec := range results {
		if spec.Passed() {
			good++
		}
	}
	if f.Parts == 0 {
		return fmt.Sprintf("| %s | %d | %d | | | |\n", side, len(results), good)
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %s |\n", side, len(results), good, f.Parts, f.Processes, f.Took.Round(time.Second))
}

func (c *Comparison) reason(name string) string {
	for _, r := range c.Reasons {
		if regexp.MustCompile(r.Spec).MatchString(name) {
			return ": " + r.Reason
		}
	}
	return ""
}

// memory is how much this machine has, in the words of its kernel.
func memory() string {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "unknown amounts"
	}
	first, _, _ := strings.Cut(string(data), "\n")
	var kib int64
	if _, err := fmt.Sscanf(first, "MemTotal: %d kB", &kib); err != nil {
		return "unknown amounts"
	}
	return fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
}
