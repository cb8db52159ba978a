// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"garret.dev/garret/test/framework"
)

func kubectlChecks() []check {
	return []check{
		{"kubectl-apply", "apply makes, leaves and changes, and knows the difference", []need{several}, kubectlApply},
		{"kubectl-apply-server-side", "apply --server-side does, and takes over what client-side apply wrote", []need{several}, kubectlServerSide},
		{"kubectl-diff", "diff shows nothing or what would change", []need{several}, kubectlDiff},
		{"kubectl-get", "get knows the resource by all of its names, and -o wide has more columns", nil, kubectlGet},
		{"kubectl-category", "get of the category has the kind", nil, kubectlCategory},
		{"kubectl-edit", "edit writes what the editor leaves, and says so where that is refused", nil, kubectlEdit},
		{"kubectl-wait", "wait waits for a condition and for a deletion", []need{aStatus}, kubectlWait},
		{"kubectl-label", "label, annotate and patch work, and --show-managed-fields shows who did", nil, kubectlLabel},
		{"kubectl-replace", "create and replace work with what get -o yaml printed", []need{several}, kubectlReplace},
		{"kubectl-delete", "delete waits until the object is gone, by name, file and label", []need{several}, kubectlDelete},
		{"kubectl-scale", "scale, which makes no sense, says that it is not supported", nil, kubectlScale},
		{"kubectl-describe", "describe prints the object", nil, kubectlDescribe},
		{"kubectl-api-resources", "api-resources lists the kind with its verbs", []need{noObject}, kubectlAPIResources},
	}
}

// kubectl is it in the namespace of the check.
func (s *subject) kubectl() framework.Client { return shared.host.Kubectl().In(s.namespace) }

// says wants the output to hold the parts.
func (s *subject) says(output string, parts ...string) {
	s.Helper()
	for _, part := range parts {
		if !strings.Contains(output, part) {
			s.Errorf("got %q, want %q in it", output, part)
		}
	}
}

// failed wants a command to have failed, and its output to hold the parts.
func (s *subject) failed(output string, err error, parts ...string) {
	s.Helper()
	if err == nil {
		s.Errorf("got %q, want it to fail", output)
	}
	s.says(output, parts...)
}

func (s *subject) manifest(number int) string { return text(s.varied("a", number).Object) }

func (s *subject) cleared(short string) {
	s.Cleanup(func() { s.clear(s.name(short)) })
}

func kubectlApply(s *subject) {
	s.cleared("a")
	s.says(s.kubectl().Input(s.manifest(1)).Do(s, "apply", "-f", "-"), s.singular+".tenancy.garret.dev/"+s.name("a")+" created")
	s.says(s.kubectl().Input(s.manifest(1)).Do(s, "apply", "-f", "-"), "unchanged")
	s.says(s.kubectl().Input(s.manifest(2)).Do(s, "apply", "-f", "-"), "configured")
	s.holds(s.get("a"), 2)
	s.says(s.kubectl().Input(s.manifest(3)).Do(s, "apply", "--dry-run=server", "-f", "-"), "(server dry run)")
	s.holds(s.get("a"), 2)
	s.says(s.kubectl().Input(text(s.object("a").Object)).Do(s, "apply", "-f", "-"), "configured")
	if got, found, _ := unstructured.NestedFieldNoCopy(s.get("a").Object, s.path...); found {
		s.Errorf("applied without the field: got %v, want it gone", got)
	}
	misspelt := s.with("a", fields{"mispelt": "x"})
	s.kubectl().Input(text(misspelt.Object)).Refused(s, `unknown field "spec.mispelt"`, "apply", "-f", "-")
	for field, spec := range s.invalid {
		s.kubectl().Input(text(s.with("a", spec).Object)).Refused(s, field, "apply", "-f", "-")
		break // one is enough: which fields are refused is checked elsewhere
	}
}

func kubectlServerSide(s *subject) {
	s.cleared("a")
	s.kubectl().Input(s.manifest(1)).Do(s, "apply", "-f", "-")
	s.says(s.kubectl().Input(s.manifest(2)).Do(s, "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"), "serverside-applied")
	s.holds(s.get("a"), 2)
	output, err := s.kubectl().Input(s.manifest(3)).Output("apply", "--server-side", "--field-manager=third", "-f", "-")
	s.failed(output, err, "conflict", "other", "--force-conflicts")
}

func kubectlDiff(s *subject) {
	s.cleared("a")
	s.kubectl().Input(s.manifest(1)).Do(s, "apply", "-f", "-")
	if got, err := s.kubectl().Input(s.manifest(1)).Output("diff", "-f", "-"); got != "" || err != nil {
		s.Errorf("of the same: got %q, %v; want nothing", got, err)
	}
	output, err := s.kubectl().Input(s.manifest(2)).Output("diff", "-f", "-")
	s.failed(output, err, "+", "-", s.path[len(s.path)-1])
}

func kubectlGet(s *subject) {
	s.create("a")
	header := regexp.MustCompile(`^` + strings.ToUpper(strings.Join(s.columns, ` +`)) + `\n` + s.name("a") + ` `)
	for _, name := range []string{s.short, s.singular, s.resource + ".v1.tenancy.garret.dev"} {
		if got := s.kubectl().Do(s, "get", name, s.name("a")); !header.MatchString(got) {
			s.Errorf("get %s: got\n%s\nwant %s", name, got, header)
		}
	}
	wide := s.kubectl().Do(s, "get", s.short, s.name("a"), "-o", "wide")
	for _, column := range append(s.columns, s.wide...) {
		s.says(wide, strings.ToUpper(column))
	}
	s.says(s.kubectl().Do(s, "get", s.short, s.name("a"), "-o", "jsonpath={.kind}"), s.kind.kind)
	s.says(s.kubectl().Do(s, "get", s.short, "-l", s.mine(), "--show-labels"), s.mine())
	if !s.has(several) {
		return
	}
	s.kubectl().Refused(s, fmt.Sprintf("(NotFound): %s.tenancy.garret.dev %q not found", s.resource, s.name("missing")), "get", s.short, s.name("missing"))
}

func kubectlCategory(s *subject) {
	s.create("a")
	s.says(s.kubectl().Do(s, "get", category, "-o", "name"), s.singular+".tenancy.garret.dev/"+s.name("a"))
}

// editor is a script that replaces text in the file that it is given.
func (s *subject) editor(from, to string) string {
	s.Helper()
	file := filepath.Join(s.TempDir(), "editor")
	s.must(os.WriteFile(file, []byte("#!/bin/sh\nsed -i 's/"+from+"/"+to+"/' \"$1\"\n"), 0o700))
	return file
}

// kubectlEdit edits an annotation, and then a name, which cannot be.
func kubectlEdit(s *subject) {
	s.create("a", func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"note": "before-" + s.id}) })
	kept := s.TempDir() // where a copy of refused changes is left
	edit := func(from, to string) (string, error) {
		return s.kubectl().With("KUBE_EDITOR="+s.editor(from, to), "TMPDIR="+kept).Output("edit", s.short, s.name("a"))
	}
	output, err := edit("before-", "after-")
	s.must(err)
	s.says(output, "edited")
	if got := s.get("a").GetAnnotations()["note"]; got != "after-"+s.id {
		s.Errorf("got %q, want after-%s", got, s.id)
	}
	output, err = edit("note:", "not a key:")
	copies, _ := filepath.Glob(filepath.Join(kept, "kubectl-edit-*"))
	if err == nil || !strings.Contains(output, "is invalid") || len(copies) == 0 {
		s.Fatalf("an edit that is refused: got %q, %v and the copies %v; want it refused and kept", output, err, copies)
	}
	var copied strings.Builder
	for _, file := range copies {
		content, err := os.ReadFile(file)
		s.must(err)
		copied.Write(content)
	}
	s.says(copied.String(), "# * metadata.annotations: Invalid value")
}

func kubectlWait(s *subject) {
	s.create("a")
	s.kubectl().Do(s, "patch", s.short, s.name("a"), "--subresource=status", "--type=merge", "-p",
		text(fields{"status": fields{"conditions": []any{conditioned(s.condition)}}}))
	s.says(s.kubectl().Do(s, "wait", "--for=condition="+s.condition, s.short+"/"+s.name("a"), "--timeout=30s"), "condition met")
	s.kubectl().Refused(s, "timed out", "wait", "--for=condition="+s.condition+"=False", s.short+"/"+s.name("a"), "--timeout=1ms")
	s.kubectl().Do(s, "wait", "--for=jsonpath={.kind}="+s.kind.kind, s.short+"/"+s.name("a"), "--timeout=30s")
	if s.has(several) {
		s.kubectl().Do(s, "delete", s.short, s.name("a"), "--wait=false")
		s.kubectl().Do(s, "wait", "--for=delete", s.short+"/"+s.name("a"), "--timeout=30s")
	}
}

func kubectlLabel(s *subject) {
	s.create("a")
	s.says(s.kubectl().Do(s, "label", s.short, s.name("a"), "a=b"), "labeled")
	s.kubectl().Refused(s, "--overwrite", "label", s.short, s.name("a"), "a=c")
	s.says(s.kubectl().Do(s, "annotate", s.short, s.name("a"), "a=b"), "annotated")
	s.says(s.kubectl().Do(s, "patch", s.short, s.name("a"), "-p", text(at(s.variant(1), s.path...))), "patched")
	shown := s.kubectl().Do(s, "get", s.short, s.name("a"), "-o", "yaml", "--show-managed-fields")
	s.says(shown, "kind: "+s.kind.kind, "managedFields:", "manager: kubectl-label", "manager: kubectl-annotate", "manager: kubectl-patch")
	if strings.Contains(s.kubectl().Do(s, "get", s.short, s.name("a"), "-o", "yaml"), "managedFields:") {
		s.Error("managedFields show without being asked for")
	}
}

func kubectlReplace(s *subject) {
	s.cleared("a")
	s.kubectl().Input(s.manifest(1)).Do(s, "create", "-f", "-")
	s.kubectl().Input(s.manifest(1)).Refused(s, "AlreadyExists", "create", "-f", "-")
	printed := s.kubectl().Do(s, "get", s.short, s.name("a"), "-o", "yaml")
	s.kubectl().Do(s, "label", s.short, s.name("a"), "a=b")
	s.kubectl().Input(printed).Refused(s, "the object has been modified", "replace", "-f", "-")
	s.says(s.kubectl().Input(s.manifest(2)).Do(s, "replace", "-f", "-"), "replaced")
	s.holds(s.get("a"), 2)
}

func kubectlDelete(s *subject) {
	for _, short := range []string{"a", "b", "c"} {
		s.create(short)
	}
	s.says(s.kubectl().Do(s, "delete", s.short, s.name("a"), "--dry-run=server"), "(server dry run)")
	s.get("a")
	s.says(s.kubectl().Do(s, "delete", s.short, s.name("b")), "deleted")
	s.missing("b")
	s.kubectl().Input(s.manifest(0)).Do(s, "delete", "-f", "-", "--timeout=30s")
	s.missing("a")
	s.kubectl().Do(s, "delete", s.short, "-l", s.mine(), "--cascade=foreground")
	s.gone("c")
	s.kubectl().Do(s, "delete", s.short, s.name("c"), "--ignore-not-found")
	s.kubectl().Refused(s, "NotFound", "delete", s.short, s.name("c"))
}

func kubectlScale(s *subject) {
	s.create("a")
	s.kubectl().Refused(s, "could not find the requested resource", "scale", s.short, s.name("a"), "--replicas=2")
}

func kubectlDescribe(s *subject) {
	s.create("a")
	s.says(s.kubectl().Do(s, "describe", s.short, s.name("a")), "Name:", s.name("a"), "Kind:", s.kind.kind, "Labels:")
}

func kubectlAPIResources(s *subject) {
	got := s.kubectl().Do(s, "api-resources", "--api-group=tenancy.garret.dev", "-o", "wide", "--no-headers")
	scope := "false"
	if s.namespaced {
		scope = "true"
	}
	line := regexp.MustCompile(`(?m)^` + s.resource + ` +` + s.short + ` +tenancy\.garret\.dev/v1 +` + scope + ` +` + s.kind.kind + ` +` + strings.Join(verbs, ",") + ` +` + category + `$`)
	if !line.MatchString(got) {
		s.Errorf("got\n%s\nwant %s", got, line)
	}
}
