// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// libraries is where Debian keeps what dynamic programs load, and where they
// look for it.
const libraries = "/lib/x86_64-linux-gnu"

// program copies a program, with the libraries that it loads unless they are there
// already. needed holds those.
func (w *writer) program(from, to string, needed map[string]bool) error {
	file, err := elf.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	w.copy(from, to, 0o755)
	for _, part := range file.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(part.Open())
		if err != nil {
			return err
		}
		w.library(strings.TrimRight(string(name), "\x00"), needed)
	}
	return w.loaded(file, needed)
}

// loaded copies what a program or a library names, and what that names in turn.
func (w *writer) loaded(file *elf.File, needed map[string]bool) error {
	names, err := file.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(libraries, name)
		if needed[path] || strings.HasPrefix(name, "ld-linux") {
			continue
		}
		w.library(path, needed)
		library, err := elf.Open(path)
		if err != nil {
			return err
		}
		err = w.loaded(library, needed)
		library.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) library(path string, needed map[string]bool) {
	if needed[path] {
		return
	}
	needed[path] = true
	if _, err := os.Stat(path); err != nil {
		w.fail(err)
		return
	}
	w.copy(path, path, 0o755)
}
