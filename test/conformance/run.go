// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// focus is what makes a spec one of the conformance suite.
const focus = `\[Conformance\]`

// serial marks specs that no other may run beside.
const serial = "[Serial]"

// Run says how the suite is run against one cluster.
type Run struct {
	// Dir is the folder of the run.
	Dir string
	// Kubeconfig leads into the cluster as its administrator.
	Kubeconfig string
	// BinDir holds ginkgo, kubectl and, in the folder conformance, e2e.test.
	BinDir string
	// Processes is how many specs run side by side.
	Processes int
	// Part is how many specs make a part.
	Part int
	// Limit ends the run: no part goes on beyond it.
	Limit time.Duration
	// Only is a regular expression of specs; empty means all.
	Only string
	// Selection names specs one by one; empty means all.
	Selection []string
	// Areas choose specs beyond the conformance suite; nil means the suite.
	Areas *Areas
	// After is the folder of another run. Only specs run that ran there and did not pass; empty means all.
	After string
	// Arguments are further ones for the suite.
	Arguments []string
	// Progress gets a line for each part.
	Progress io.Writer
}

// Do runs what has not passed yet, part by part. It returns an error if anything
// is left.
func (r Run) Do(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	all, err := r.Specs(ctx)
	if err != nil {
		return err
	}
	results, err := Results(r.Dir)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return r.settled(results[name]) })
	fmt.Fprintf(r.Progress, "%s: %d of %d specs have passed, %d are run\n", r.Dir, len(all)-len(left), len(all), len(left))
	for _, part := range divide(left, r.Part) {
		if err := r.part(ctx, part); err != nil {
			return err
		}
	}
	if results, err = Results(r.Dir); err != nil {
		return err
	}
	failed := 0
	for _, name := range all {
		if !r.settled(results[name]) {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s: %d of %d specs have not passed", r.Dir, failed, len(all))
	}
	return nil
}

// settled says that a spec need not run again. The conformance suite has no spec that may skip
// itself; beyond it, specs do so where the cluster lacks what they test.
func (r Run) settled(spec Outcome) bool {
	return spec.Passed() || r.Areas != nil && spec.State == skipped
}

// divide makes parts of the specs. Those that run alone come last: they may leave a
// node in a state that others would notice.
func divide(specs []string, size int) [][]string {
	var beside, alone []string
	for _, name := range specs {
		if strings.Contains(name, serial) {
			alone = append(alone, name)
		} else {
			beside = append(beside, name)
		}
	}
	return append(slices.Collect(slices.Chunk(beside, size)), slices.Collect(slices.Chunk(alone, size))...)
}

// Specs names the specs that are to pass.
func (r Run) Specs(ctx context.Context) ([]string, error) {
	file, err := filepath.Abs(filepath.Join(r.Dir, "specs.json"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, err
	}
	only := focus
	if r.Only != "" {
		only = r.Only
	} else if r.Areas != nil {
		only = "." // without any focus, the suite leaves out optional features
	}
	cmd := exec.CommandContext(ctx, r.program(), append([]string{"--ginkgo.dry-run", "--ginkgo.focus=" + only, "--ginkgo.json-report=" + file}, r.Arguments...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("list specs: %w: %s", err, out)
	}
	defer os.Remove(file)
	found, err := outcomes(file)
	if err != nil {
		return nil, err
	}
	before, err := r.before()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, spec := range found {
		if r.Areas != nil && r.Areas.Of(spec.Name) == "" {
			continue
		}
		if earlier, ran := before[spec.Name]; r.After == "" || ran && !earlier.Passed() {
			names = append(names, spec.Name)
		}
	}
	slices.Sort(names)
	if len(r.Selection) == 0 {
		return names, nil
	}
	// A list that has become stale must not pass for one that passed.
	for _, name := range r.Selection {
		if _, known := slices.BinarySearch(names, name); !known {
			return nil, fmt.Errorf("the suite has no spec %q", name)
		}
	}
	return slices.Clone(r.Selection), nil
}

// before is what came of the run that this one follows.
func (r Run) before() (map[string]Outcome, error) {
	if r.After == "" {
		return nil, nil
	}
	return Results(r.After)
}

// ReadSelection reads names of specs, a line each.
func ReadSelection(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			names = append(names, line)
		}
	}
	return names, nil
}

// part runs some specs. That some of them fail is no error.
func (r Run) part(ctx context.Context, specs []string) error {
	dir, err := r.next()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "e2e.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	patterns := make([]string, len(specs))
	for i, name := range specs {
		patterns[i] = focusOn(name)
	}
	deadline, _ := ctx.Deadline()
	arguments := append([]string{
		"--procs=" + strconv.Itoa(r.Processes), "--no-color", "--timeout=" + time.Until(deadline).Round(time.Second).String(),
		"--focus=(" + strings.Join(patterns, "|") + ")$", "--output-dir=" + dir, "--json-report=" + reportFile, r.program(), "--",
		"--kubeconfig=" + r.Kubeconfig, "--provider=skeleton", "--report-dir=" + dir, "--disable-log-dump=true"}, r.Arguments...)
	cmd := exec.CommandContext(ctx, filepath.Join(r.BinDir, "ginkgo"), arguments...)
	// The specs call kubectl, and clean up when they are asked to end.
	cmd.Env = append(os.Environ(), "PATH="+r.BinDir+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = log, log
	// Ginkgo leaves it to the terminal to tell its processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 2 * time.Minute
	begin := time.Now()
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	found, err := outcomes(filepath.Join(dir, reportFile))
	if err != nil {
		return fmt.Errorf("%s tells why the suite did not run: %w", log.Name(), err)
	}
	good := 0
	for _, spec := range found {
		if spec.Passed() {
			good++
		}
	}
	fmt.Fprintf(r.Progress, "%s: %d of %d specs passed in %s\n", dir, good, len(specs), time.Since(begin).Round(time.Second))
	return ctx.Err()
}

// focusOn is an expression for the spec of the name. Ginkgo leaves out spaces at the end of a container's
// text when it compares, and keeps them in its report.
func focusOn(name string) string { return strings.Join(strings.Fields(regexp.QuoteMeta(name)), " +") }

// next makes the folder of the next part.
func (r Run) next() (string, error) {
	folders, err := parts(r.Dir)
	if err != nil {
		return "", err
	}
	number := 1
	if len(folders) > 0 {
		last, err := strconv.Atoi(filepath.Base(folders[len(folders)-1]))
		if err != nil {
			return "", err
		}
		number = last + 1
	}
	dir, err := filepath.Abs(filepath.Join(r.Dir, fmt.Sprintf("%02d", number)))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

func (r Run) program() string { return filepath.Join(r.BinDir, "conformance", "e2e.test") }
