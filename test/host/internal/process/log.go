// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"io"
	"os"
	"regexp"
	"strings"
)

// tail is how much of a log's end is searched for the line that tells why.
const tail = 64 << 10

// telling matches lines on which components say that something is wrong:
// klog's errors and fatals, zap's and logrus' levels, Go panics, and what
// commands print before they exit.
var telling = regexp.MustCompile(`^(F\d{4} |panic:|fatal error:|[Ee]rror:|.*"level":"(fatal|panic)"|.*level=(fatal|panic)|.*\bcommand failed\b)`)

// complaint matches weaker signs, used where no line is telling.
var complaint = regexp.MustCompile(`^(E\d{4} |.*"level":"(error|warn)"|.*level=(error|warning))`)

// lastError is the line of a log, from an offset on, that best tells why the
// program failed: the last fatal one, else the last error, else the last line.
func lastError(file string, from int64) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-tail)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err.Error()
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	for _, pattern := range []*regexp.Regexp{telling, complaint} {
		for i := len(lines) - 1; i >= 0; i-- {
			if pattern.MatchString(lines[i]) {
				return strings.TrimSpace(lines[i])
			}
		}
	}
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return "its log is empty"
}
