// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Client is kubectl and garret, used with one kubeconfig.
type Client struct {
	// Kubeconfig is the path of the file.
	Kubeconfig string
	bin        string
	env        []string
}

// Client returns one that uses the given kubeconfig.
func (s *Suite) Client(kubeconfig string) Client { return Client{Kubeconfig: kubeconfig, bin: s.Bin} }

// Admin returns the client of the host's administrator.
func (s *Suite) Admin() Client { return s.Client(s.Kubeconfig) }

// With returns the client with more variables in its environment.
func (c Client) With(env ...string) Client {
	c.env = append(append([]string{}, c.env...), env...)
	return c
}

// Command is a call of a tool that is yet to be started.
func (c Client) Command(ctx context.Context, tool string, args ...string) *exec.Cmd {
	path := filepath.Join(c.bin, tool)
	if _, err := os.Stat(path); err != nil {
		path = tool // a program of the system
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "PATH="+c.bin+":"+os.Getenv("PATH")), c.env...)
	return cmd
}

// Tool runs a tool with the given standard input and returns its standard
// output; an error holds its standard error.
func (c Client) Tool(tool, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := c.Command(ctx, tool, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &stdout, &stderr, strings.NewReader(input)
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Try runs kubectl.
func (c Client) Try(args ...string) (string, error) { return c.Tool("kubectl", "", args...) }

// Do runs kubectl and fails the test where it fails.
func (c Client) Do(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Try(args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Apply sends manifests to kubectl apply.
func (c Client) Apply(t testing.TB, manifests string) {
	t.Helper()
	if _, err := c.Tool("kubectl", manifests, "apply", "-f", "-"); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, manifests)
	}
}

// Garret runs the CLI and fails the test where it fails.
func (c Client) Garret(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Tool("garret", "", args...)
	if err != nil {
		t.Fatalf("garret %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Refused runs kubectl, which must fail with want in what it says.
func (c Client) Refused(t testing.TB, want string, args ...string) {
	t.Helper()
	out, err := c.Try(args...)
	if err == nil {
		t.Errorf("kubectl %s: got %q, want it refused with %q", strings.Join(args, " "), out, want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("kubectl %s: got %v, want %q in it", strings.Join(args, " "), err, want)
	}
}
