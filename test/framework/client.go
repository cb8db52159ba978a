// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// toolTimeout ends a tool that waits for what never comes.
const toolTimeout = Timeout + Timeout/3

// Client is kubectl and garret in the hands of whoever a kubeconfig is of. It is
// a value: With, In and Input leave the one that they are called on as it is.
type Client struct {
	// Kubeconfig is the path of the file. What the tools cache lies beside it.
	Kubeconfig string
	env        []string
	input      string
	namespace  string
}

// NewClient is one with a kubeconfig.
func NewClient(kubeconfig string) Client { return Client{Kubeconfig: kubeconfig} }

// WriteClient is one with a kubeconfig of this content, which goes with the test.
func WriteClient(t testing.TB, kubeconfig []byte) Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return NewClient(file)
}

// With returns the client with more variables in its environment.
func (c Client) With(env ...string) Client {
	c.env = append(slices.Clip(c.env), env...)
	return c
}

// Input returns the client with something on its standard input.
func (c Client) Input(text string) Client {
	c.input = text
	return c
}

// In returns the client with a namespace that kubectl works in, if it is not empty.
func (c Client) In(namespace string) Client {
	c.namespace = namespace
	return c
}

// Command is a call of a tool that is yet to be started: one that the build has
// made, or a program of the system, which finds those of the build. Without
// input, its standard input is empty, or what the caller sets.
func (c Client) Command(ctx context.Context, tool string, args ...string) *exec.Cmd {
	bin, _ := Binary("")
	path := filepath.Join(bin, tool)
	if _, err := os.Stat(path); err != nil {
		path = tool
	}
	if tool == "kubectl" && c.namespace != "" {
		args = append([]string{"--namespace=" + c.namespace}, args...)
	}
	command := exec.CommandContext(ctx, path, args...)
	home := filepath.Dir(c.Kubeconfig)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "HOME="+home, "KUBECACHEDIR="+filepath.Join(home, "cache"),
		"PATH="+bin+":"+os.Getenv("PATH"))
	command.Env = append(command.Env, c.env...)
	if c.input != "" {
		command.Stdin = strings.NewReader(c.input)
	}
	return command
}

// Tool runs a tool and returns its standard output; an error holds its standard error.
func (c Client) Tool(tool string, args ...string) (string, error) {
	var out, errOut bytes.Buffer
	if err := c.run(&out, &errOut, tool, args); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// Terminal runs a command line on a terminal at which nobody types, and returns what it shows.
func (c Client) Terminal(line string) (string, error) {
	// script types the character for the end of input when its own input ends. What is typed while
	// a command ends is late, and may cut off the command's last words.
	keyboard, silent, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer keyboard.Close()
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	command := c.With("TERM=xterm").Command(ctx, "script", "-qec", line, "/dev/null")
	command.Stdin = keyboard
	shown, err := command.CombinedOutput()
	return string(shown), err
}

// Output runs kubectl and returns all that it prints, warnings too.
func (c Client) Output(args ...string) (string, error) {
	var out bytes.Buffer
	err := c.run(&out, &out, "kubectl", args)
	return out.String(), err
}

func (c Client) run(out, errOut io.Writer, tool string, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	command := c.Command(ctx, tool, args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(c.input), out, errOut
	return command.Run()
}

// Try runs kubectl.
func (c Client) Try(args ...string) (string, error) { return c.Tool("kubectl", args...) }

// Do runs kubectl and fails the test where it fails.
func (c Client) Do(t testing.TB, args ...string) string {
	t.Helper()
	return c.must(t, "kubectl", args)
}

// Apply sends manifests to kubectl apply.
func (c Client) Apply(t testing.TB, manifests string) {
	t.Helper()
	if _, err := c.Input(manifests).Try("apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, manifests)
	}
}

// Established waits until the API server serves the CustomResourceDefinitions. kubectl wait fails on one
// that has no status yet.
func (c Client) Established(t testing.TB, definitions ...string) {
	t.Helper()
	Eventually(t, "the API server serves "+strings.Join(definitions, " "), func(context.Context) (bool, error) {
		_, err := c.Try(append([]string{"wait", "--for=condition=Established", "--timeout=30s"}, definitions...)...)
		return err == nil, nil
	})
}

// Garret runs the CLI and fails the test where it fails.
func (c Client) Garret(t testing.TB, args ...string) string {
	t.Helper()
	return c.must(t, "garret", args)
}

func (c Client) must(t testing.TB, tool string, args []string) string {
	t.Helper()
	out, err := c.Tool(tool, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Refused runs kubectl, which must fail with want in what it says.
func (c Client) Refused(t testing.TB, want string, args ...string) {
	t.Helper()
	// Not the error of Try, which has the arguments in it.
	var out, errOut bytes.Buffer
	if err := c.run(&out, &errOut, "kubectl", args); err == nil {
		t.Errorf("kubectl %s: got %q, want it refused with %q", strings.Join(args, " "), out.String(), want)
	} else if !strings.Contains(errOut.String(), want) {
		t.Errorf("kubectl %s: got %v: %s; want %q in it", strings.Join(args, " "), err, errOut.String(), want)
	}
}
