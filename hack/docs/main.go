// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command docs checks that each doc comment begins with the name of its declaration, as Go's
// tools expect. That finds comments which a rename left behind. It also checks that the tests
// which documents name exist, and that no text for users contains a phrase that readers stop
// at.
//
//	go run ./hack/docs FOLDER...
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// leading is how many words may come before the name's end, for an article.
const leading = 2

func main() {
	var found []string
	for _, root := range os.Args[1:] {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !isWritten(path) {
				return err
			}
			wrong, err := check(path)
			found = append(found, wrong...)
			return err
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	missing, err := missingTests("docs", append(os.Args[1:], "artifacts"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	found = append(found, missing...)
	stopping, err := stumbling(read())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	found = append(found, stopping...)
	if len(found) > 0 {
		fmt.Fprintln(os.Stderr, strings.Join(found, "\n"))
		os.Exit(1)
	}
}

// isWritten tells Go files that people write, tests aside.
func isWritten(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "zz_generated")
}

// check names the doc comments of a file that stand on something else.
func check(path string) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var wrong []string
	for _, declaration := range file.Decls {
		doc, name := documented(declaration)
		if words := strings.Fields(doc.Text()); len(words) > 0 && name != "_" && !names(words[:min(len(words), leading)], name) {
			wrong = append(wrong, fmt.Sprintf("%s: the doc comment of %s begins %q: begin it with %s", set.Position(declaration.Pos()), name, strings.Join(words[:min(len(words), 4)], " "), name))
		}
	}
	return wrong, nil
}

// documented are the comment and the name of a declaration, of one that stands alone.
func documented(declaration ast.Decl) (*ast.CommentGroup, string) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		return d.Doc, d.Name.Name
	case *ast.GenDecl:
		if d.Lparen.IsValid() || len(d.Specs) == 0 {
			break
		}
		switch spec := d.Specs[0].(type) {
		case *ast.TypeSpec:
			return d.Doc, spec.Name.Name
		case *ast.ValueSpec:
			return d.Doc, spec.Names[0].Name
		}
	}
	return nil, "_"
}

// names tells whether one of the words is the name.
func names(words []string, name string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		return strings.TrimSuffix(strings.TrimRight(word, ",.:;"), "'s") == name
	})
}
