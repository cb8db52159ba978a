// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

// transports are the two ways in which kubectl streams.
var transports = map[string][]string{
	"WebSocket": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"},
	"SPDY":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestStreams(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		pod := d.name + "-streams"
		kubelet.NewPod(t, shared.virtual.ControlPlane, pod)
		users := map[string]framework.User{"an administrator": d.admin(t), "with a certificate": chief(t)}
		if !d.methods {
			users["who may edit inside"] = editor(t, d.reader(t))
		}
		for transport, env := range transports {
			for who, u := range users {
				t.Run(transport+"/"+who, func(t *testing.T) {
					t.Parallel()
					c := d.kubectl(t, u).With(env...)
					execute(t, c, pod)
					forward(t, c, pod)
				})
			}
			t.Run(transport+"/without input, and cp", func(t *testing.T) {
				t.Parallel()
				c := d.kubectl(t, users["an administrator"]).With(env...)
				command := kubectl(t, c, "exec", pod, "--", "sh", "-c", "exit 7")
				if err := command.Run(); err == nil || command.ProcessState.ExitCode() != 7 {
					t.Errorf("exit code is %d, want 7", command.ProcessState.ExitCode())
				}
				from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
				if err := os.WriteFile(from, bytes.Repeat([]byte("line\n"), 100_000), 0o600); err != nil {
					t.Fatal(err)
				}
				c.Do(t, "cp", from, pod+":"+to)
				if got, err := os.ReadFile(to); err != nil || len(got) != 500_000 {
					t.Errorf("copied %d bytes, %v; want 500000", len(got), err)
				}
			})
		}
	})
}

// kubectl is a command that is yet to be started, and ends where it takes too long.
func kubectl(t testing.TB, c framework.Client, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), framework.Timeout)
	t.Cleanup(cancel)
	return c.Command(ctx, "kubectl", args...)
}

// execute sends 5 MiB to a command, whose end is the one of kubectl.
func execute(t *testing.T, c framework.Client, pod string) {
	t.Helper()
	command := kubectl(t, c, "exec", "-i", pod, "--", "sh", "-c", "wc -c; echo done; exit 7")
	command.Stdin = io.LimitReader(zeros{}, 5<<20)
	output, err := command.Output()
	if command.ProcessState.ExitCode() != 7 || string(output) != "5242880\ndone\n" {
		t.Fatalf("exec: got %v: %q; want 5242880, done and exit code 7", err, output)
	}
}

// forward fetches 1 MiB through kubectl port-forward, twice.
func forward(t *testing.T, c framework.Client, pod string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<20))
	}))
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	lines := output(t, kubectl(t, c, "port-forward", "pod/"+pod, ":"+target.Port(), "--address=127.0.0.1"))
	match := regexp.MustCompile(`127\.0\.0\.1:(\d+)`).FindStringSubmatch(<-lines)
	if match == nil {
		t.Fatal("port-forward does not say where")
	}
	for range 2 {
		response, err := http.Get("http://127.0.0.1:" + match[1])
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if n != 1<<20 || err != nil {
			t.Errorf("port-forward: got %d bytes, %v; want 1 MiB", n, err)
		}
	}
}

// output starts a command, which ends with the test, and sends its lines.
func output(t *testing.T, command *exec.Cmd) <-chan string {
	t.Helper()
	pipe, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	ended := make(chan struct{})
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(pipe)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() { close(ended); _ = command.Process.Kill(); _ = command.Wait() })
	return lines
}

func TestLogsAreFollowed(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		pod := d.name + "-logs"
		streams := kubelet.NewPod(t, shared.virtual.ControlPlane, pod)
		c := d.kubectl(t, d.admin(t))
		lines := output(t, kubectl(t, c, "logs", "-f", pod))
		if got := <-lines; got != "first line" {
			t.Fatalf("got %q, want the first line before the second is written", got)
		}
		streams.More <- struct{}{}
		if got := <-lines; got != "second line" {
			t.Errorf("got %q, want the second line", got)
		}
	})
}

// TestReaderDoesNotEnterPods has somebody who may look into the virtual cluster,
// and inside get what pods are entered by.
func TestReaderDoesNotEnterPods(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		pod := d.name + "-closed"
		kubelet.NewPod(t, shared.virtual.ControlPlane, pod)
		c := d.kubectl(t, looker(t, d.reader(t)))
		if got := c.Do(t, "get", "pods"); !strings.Contains(got, pod) {
			t.Errorf("a reader sees %q, want the pod", got)
		}
		if got := c.Do(t, "logs", pod); got != "first line\n" {
			t.Errorf("logs: got %q; want them, they are read", got)
		}
		resource := "pods/exec"
		if d.methods {
			resource = proxy
		}
		for transport, env := range transports {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				out, err := c.With(env...).Output("exec", pod, "--", "true")
				if err == nil || !strings.Contains(out, "orbidden") || !strings.Contains(out, `cannot create resource "`+resource+`"`) {
					t.Errorf("got %v: %s; want exec refused for the want of create on %s", err, out, resource)
				}
			})
		}
	})
}
