// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/hack/documents"
	"garret.dev/garret/test/framework"
)

// What documents call the namespace and the virtual cluster that their commands are about.
const docNamespace, docCluster = "team-a", "blue"

// blockTimeout is many times what the longest block takes.
const blockTimeout = 3 * time.Minute

// TestCommandsOfDocuments runs the commands of README and docs as a reader types them: each
// block in a shell of its own, on the host or inside. README comes first, since it creates and
// deletes the virtual cluster that the other documents speak of.
func TestCommandsOfDocuments(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	t.Cleanup(func() {
		for _, args := range [][]string{
			{"delete", "namespace", docNamespace, "--ignore-not-found", "--wait=false"}, {"delete", "clusterrolebinding", "prometheus-garret", "--ignore-not-found"},
			{"delete", "virtualclustertemplate", "small", "--ignore-not-found"}, {"delete", "role,rolebinding", "blue", "blue-proxy", "-n", "default", "--ignore-not-found"},
		} {
			_, _ = admin.Try(args...)
		}
	})
	runBlocks(t, "../README.md")
	admin.Garret(t, "create", docCluster, "--namespace", docNamespace, "--connect=false")
	admin.Do(t, "patch", "virtualcluster", docCluster, "-n", docNamespace, "--type=merge", "-p",
		`{"spec":{"kubeconfigSecret":{"name":"blue-kubeconfig","clusterRole":"view"}}}`)
	admin.Apply(t, yamlOf(t, "templates.md"))
	inside := shared.ThroughRelay(t, admin.Kubeconfig, docNamespace, docCluster)
	inside.Apply(t, insideForDocuments)
	files, err := framework.Document("")
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(files, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	// Templates make the virtual cluster that sleep.md is about.
	slices.SortStableFunc(found, func(a, b string) int { return last(a) - last(b) })
	for _, file := range found {
		// It is generated from the help of the commands, and examples there stand alone.
		if filepath.Base(file) != "cli.md" {
			runBlocks(t, filepath.Base(file))
		}
	}
}

// last orders documents: what puts virtual clusters to sleep comes after what makes them.
func last(file string) int {
	if filepath.Base(file) == "sleep.md" {
		return 1
	}
	return 0
}

// insideForDocuments are objects inside that documents name.
const insideForDocuments = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  containers: [{name: web, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [pause]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  rules: [{host: explain.example.org, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "garret:kubeconfig:0f3c2a91d4e85b67"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
`

func document(t *testing.T, name string) string {
	t.Helper()
	file, err := framework.Document(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// yamlOf is the first object that a document shows.
func yamlOf(t *testing.T, name string) string {
	t.Helper()
	_, rest, _ := strings.Cut(document(t, name), "```yaml\n")
	object, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatalf("%s shows no object", name)
	}
	return object
}

// runBlocks runs the blocks of a document, one after the other.
func runBlocks(t *testing.T, name string) {
	t.Helper()
	for _, block := range documents.Blocks(document(t, name)) {
		if block.NotRun == "" {
			t.Run(strings.TrimPrefix(name, "../")+":"+strconv.Itoa(block.Line), func(t *testing.T) { runBlock(t, block) })
		}
	}
}

func runBlock(t *testing.T, block documents.Block) {
	t.Helper()
	start := time.Now()
	content, err := os.ReadFile(shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	user := framework.WriteClient(t, content)
	script := "set -euo pipefail\n"
	if block.Inside {
		script += "garret use " + docCluster + " --namespace " + docNamespace + " 2>/dev/null\n"
	}
	for line := range strings.Lines(block.Script) {
		// Where the host and the programs are is the reader's, and here the test's.
		if !strings.HasPrefix(line, "export KUBECONFIG=") {
			script += line
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), blockTimeout)
	defer cancel()
	command := user.Command(ctx, "bash", "-c", script)
	command.Dir = t.TempDir()
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	said, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\nof\n%s", err, said, block.Script)
	}
	t.Logf("took %v", time.Since(start).Round(time.Millisecond))
}
