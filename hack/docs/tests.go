// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	namedTest    = regexp.MustCompile("`(Test\\w+)`")
)

// missingTests names the tests that a document below docs speaks of and that no file
// below the roots has: a claim about safety is worth its test.
func missingTests(docs string, roots []string) ([]string, error) {
	there := map[string]bool{}
	for _, root := range roots {
		err := eachFile(root, "_test.go", func(_ string, content []byte) {
			for _, found := range testFunction.FindAllSubmatch(content, -1) {
				there[string(found[1])] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var missing []string
	err := eachFile(docs, ".md", func(path string, content []byte) {
		for _, found := range namedTest.FindAllSubmatch(content, -1) {
			if name := string(found[1]); !there[name] {
				missing = append(missing, fmt.Sprintf("%s: there is no test %s: name the one that shows this", path, name))
			}
		}
	})
	return missing, err
}

// eachFile calls do with every file below the root whose name ends so.
func eachFile(root, suffix string, do func(path string, content []byte)) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			do(path, content)
		}
		return err
	})
}
