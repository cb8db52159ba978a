// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// span is a part of the address space.
type span struct{ begin, end uint64 }

// ReleasePages lets go of the pages of the program itself: its code and its constants. The kernel
// keeps them in its cache for as long as it has room, and the process maps each again when it
// reads it. They count no more as what the process uses, and are the first that the kernel takes
// when memory is short.
func ReleasePages() error {
	spans, err := ownSpans()
	if err != nil {
		return fmt.Errorf("release pages: %w", err)
	}
	var failures []error
	for _, s := range spans {
		// An older kernel does not know the first advice, which concerns its cache only.
		_ = advise(s, unix.MADV_COLD)
		if err := advise(s, unix.MADV_DONTNEED); err != nil {
			failures = append(failures, fmt.Errorf("release pages %x to %x: %w", s.begin, s.end, err))
		}
	}
	return errors.Join(failures...)
}

// ownSpans are the parts of this process that can be released. They are where they are for as long as it
// runs, and to find them costs more than to release them.
var ownSpans = sync.OnceValues(func() ([]span, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return clean(file, program)
})

func advise(s span, advice uintptr) error {
	if _, _, code := unix.Syscall(unix.SYS_MADVISE, uintptr(s.begin), uintptr(s.end-s.begin), advice); code != 0 {
		return code
	}
	return nil
}

// clean returns the parts of a process that are as the program's file has them, and cannot be
// written to. A part with pages of its own would lose them: the linker of another system may have
// put addresses there.
func clean(smaps io.Reader, program string) ([]span, error) {
	var spans []span
	var current span
	wanted := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		if begin, end, isRange := strings.Cut(fields[0], "-"); isRange && !strings.HasSuffix(fields[0], ":") {
			var err error
			if current, err = parse(begin, end); err != nil {
				return nil, err
			}
			wanted = len(fields) >= 6 && strings.HasPrefix(fields[1], "r-") && strings.HasSuffix(fields[1], "p") &&
				strings.Join(fields[5:], " ") == program
			continue
		}
		// The only figure that matters comes once for each part.
		if wanted && fields[0] == "Anonymous:" {
			if len(fields) > 1 && fields[1] == "0" {
				spans = append(spans, current)
			}
			wanted = false
		}
	}
	return spans, lines.Err()
}

func parse(begin, end string) (span, error) {
	from, err := strconv.ParseUint(begin, 16, 64)
	if err != nil {
		return span{}, err
	}
	to, err := strconv.ParseUint(end, 16, 64)
	return span{begin: from, end: to}, err
}
