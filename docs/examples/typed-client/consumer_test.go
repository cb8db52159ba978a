// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

const (
	garretModule = "garret.dev/garret"
	checkout     = "../../.."
)

// pseudoTime stands in the version, which differs by what is in the module only.
var pseudoTime = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// TestConsumer makes a module of the sources of this example that requires
// Garret's, and builds, vets and tests it as one that belongs to somebody else:
// outside the workspace, with Garret's module taken from a module proxy.
func TestConsumer(t *testing.T) {
	root := rootModule(t)
	if len(root.Replace) > 0 || len(root.Exclude) > 0 {
		t.Errorf("go.mod replaces %d and excludes %d modules, which a consumer does not inherit", len(root.Replace), len(root.Exclude))
	}
	version, proxy := publish(t)
	dir := consumer(t, root, version)
	run := func(args ...string) string {
		t.Helper()
		return goCommand(t, dir, proxy, args...)
	}
	run("build", "-o", "consumer", ".")
	run("vet", ".")
	run("test", "-count=1", ".")
	help, _ := exec.CommandContext(t.Context(), filepath.Join(dir, "consumer"), "-h").CombinedOutput()
	if !bytes.Contains(help, []byte("-namespace")) {
		t.Errorf("consumer -h: got %q, want its flags", help)
	}

	replaced, err := modfile.Parse("go.mod", read(t, filepath.Join(dir, "go.mod")), nil)
	if err != nil || len(replaced.Replace) > 0 {
		t.Errorf("the consumer's go.mod has come to replace modules: %v, %v", replaced, err)
	}
	dependencies := strings.Fields(run("list", "-deps", "-test", "."))
	for _, heavy := range []string{"k8s.io/apiserver", "k8s.io/kubernetes", "helm.sh/helm", "k8s.io/component-base"} {
		for _, dependency := range dependencies {
			if strings.HasPrefix(dependency, heavy+"/") || dependency == heavy {
				t.Errorf("the typed clients need %s", dependency)
			}
		}
	}
	for _, dependency := range dependencies {
		inside, ours := strings.CutPrefix(dependency, garretModule+"/")
		if ours && !strings.HasPrefix(inside, "apis/") && !strings.HasPrefix(inside, "generated/") {
			t.Errorf("the typed clients need %s, which is neither of the API nor generated", dependency)
		}
	}
	if !slices.Contains(dependencies, garretModule+"/generated/clientset/versioned") {
		t.Errorf("the consumer does not use the typed clients; it needs %v", dependencies)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func rootModule(t *testing.T) *modfile.File {
	t.Helper()
	parsed, err := modfile.Parse("go.mod", read(t, filepath.Join(checkout, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// consumer writes the module. It requires what the example imports and no more.
func consumer(t *testing.T, root *modfile.File, version string) string {
	t.Helper()
	dir := t.TempDir()
	file := &modfile.File{Syntax: &modfile.FileSyntax{}}
	add := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add(file.AddModuleStmt("example.com/consumer"))
	add(file.AddGoStmt(root.Go.Version))
	add(file.AddRequire(garretModule, version))
	for _, required := range root.Require {
		if slices.Contains([]string{"k8s.io/apimachinery", "k8s.io/client-go"}, required.Mod.Path) {
			add(file.AddRequire(required.Mod.Path, required.Mod.Version))
		}
	}
	content, err := file.Format()
	add(err)
	add(os.WriteFile(filepath.Join(dir, "go.mod"), content, 0o644))
	// The checksums of modules that are known here need not be asked for again.
	add(os.WriteFile(filepath.Join(dir, "go.sum"), read(t, filepath.Join(checkout, "go.sum")), 0o644))
	for _, source := range []string{"main.go", "clusters.go", "clusters_test.go"} {
		add(os.WriteFile(filepath.Join(dir, source), read(t, source), 0o644))
	}
	return dir
}

// goCommand runs go in a module of its own, with Garret's from the proxy given
// and all others from where they come otherwise.
func goCommand(t *testing.T, dir, proxy string, args ...string) string {
	t.Helper()
	configured, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = dir
	command.Env = append(command.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false -trimpath -modcacherw",
		"GOPROXY="+proxy+","+strings.TrimSpace(string(configured)), "GONOSUMDB="+garretModule, "GOPRIVATE=", "GONOPROXY=none")
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, output, problems.Bytes())
	}
	return string(output)
}

// publish packs the checkout as a module proxy serves it. The version is one for
// what is in it and where it lies, so that an older one in the module cache is never
// taken, and the tests of another checkout do not take this one away.
func publish(t *testing.T) (version, proxy string) {
	t.Helper()
	files, sum := contents(t)
	version = module.PseudoVersion("v0", "", pseudoTime, fmt.Sprintf("%x", sum)[:12])
	t.Cleanup(func() { forget(t, version) })
	dir := t.TempDir()
	versions := filepath.Join(dir, garretModule, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(versions, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if err := modzip.Create(archive, module.Version{Path: garretModule, Version: version}, files); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		version + ".info": fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, version, pseudoTime.Format("2006-01-02T15:04:05Z")),
		version + ".mod":  read(t, filepath.Join(checkout, "go.mod")),
		"list":            nil,
	} {
		if err := os.WriteFile(filepath.Join(versions, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return version, (&url.URL{Scheme: "file", Path: dir}).String()
}

// forget takes the version out of the module cache again.
func forget(t *testing.T, version string) {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Error(err)
		return
	}
	dir := strings.TrimSpace(string(cache))
	downloads, err := filepath.Glob(filepath.Join(dir, "cache/download", garretModule, "@v", version+".*"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range append(downloads, filepath.Join(dir, garretModule+"@"+version)) {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	}
}

// source is a file of the checkout.
type source struct{ path string }

func (s source) Path() string                 { return s.path }
func (s source) Lstat() (fs.FileInfo, error)  { return os.Lstat(filepath.Join(checkout, s.path)) }
func (s source) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(checkout, s.path)) }

// contents are the files of the root module, and a sum of them: neither those of
// modules below it, nor what builds and tests leave.
func contents(t *testing.T) ([]modzip.File, []byte) {
	t.Helper()
	sum := sha256.New()
	place, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(sum, place)
	var files []modzip.File
	err = filepath.WalkDir(checkout, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(checkout, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if name != "." && (nested == nil || name == "bin" || strings.HasPrefix(entry.Name(), ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
		files = append(files, source{filepath.ToSlash(name)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, sum.Sum(nil)
}
