// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// States of a spec, as Ginkgo names them.
const (
	passed  = "passed"
	skipped = "skipped"
	pending = "pending"
	// interrupted is a spec that somebody stopped, which says nothing of it.
	interrupted = "interrupted"
)

// reportFile is what Ginkgo writes into the folder of a part.
const reportFile = "report.json"

// Outcome is what came of one spec.
type Outcome struct {
	// Name is the whole text of the spec, with its labels in brackets.
	Name string
	// State is passed, or what Ginkgo calls the failure.
	State string
	// Took is the time of the last attempt, Attempts their number.
	Took     time.Duration
	Attempts int
	// Message is why the last attempt failed.
	Message string
}

// Passed tells whether one of the attempts did.
func (o Outcome) Passed() bool { return o.State == passed }

// report is what this package reads of Ginkgo's report.
type report []struct {
	StartTime time.Time
	// RunTime is in nanoseconds, as those of the specs are.
	RunTime     time.Duration
	SuiteConfig struct{ ParallelTotal int }
	SpecReports []struct {
		ContainerHierarchyTexts []string
		LeafNodeType            string
		LeafNodeText            string
		State                   string
		RunTime                 time.Duration
		Failure                 struct{ Message string }
	}
}

func readReport(file string) (report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var suites report
	if err := json.Unmarshal(data, &suites); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return suites, nil
}

// outcomes reads the specs of a report that were run. One that skipped itself says why; one
// that was not selected says nothing.
func outcomes(file string) ([]Outcome, error) {
	suites, err := readReport(file)
	if err != nil {
		return nil, err
	}
	var out []Outcome
	for _, suite := range suites {
		for _, spec := range suite.SpecReports {
			if spec.LeafNodeType != "It" || spec.State == skipped && spec.Failure.Message == "" || spec.State == pending || spec.State == interrupted {
				continue
			}
			name := strings.Join(append(slices.Clone(spec.ContainerHierarchyTexts), spec.LeafNodeText), " ")
			out = append(out, Outcome{Name: name, State: spec.State, Took: spec.RunTime, Attempts: 1, Message: spec.Failure.Message})
		}
	}
	return out, nil
}

// parts are the folders of the parts that a run has, oldest first.
func parts(dir string) ([]string, error) {
	reports, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9]"))
	slices.Sort(reports)
	return reports, err
}

// Results merges what all parts of a run say, by the names of the specs. A spec
// that passed once has passed.
func Results(dir string) (map[string]Outcome, error) {
	folders, err := parts(dir)
	if err != nil {
		return nil, err
	}
	merged := map[string]Outcome{}
	for _, folder := range folders {
		found, err := outcomes(filepath.Join(folder, reportFile))
		if os.IsNotExist(err) {
			continue // it was interrupted before it had anything to say
		} else if err != nil {
			return nil, err
		}
		for _, spec := range found {
			before, known := merged[spec.Name]
			spec.Attempts += before.Attempts
			if known && before.Passed() && !spec.Passed() {
				before.Attempts = spec.Attempts
				spec = before
			}
			merged[spec.Name] = spec
		}
	}
	return merged, nil
}
