// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
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
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/kubelet"
)

// transports are the two ways in which kubectl streams.
var transports = map[string][]string{
	"WebSocket": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"},
	"SPDY":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
}

// kubectl is a command to run with this kubeconfig.
func kubectl(tb testing.TB, kubeconfig string, env []string, arguments ...string) *exec.Cmd {
	tb.Helper()
	program, err := framework.Binary("kube")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	tb.Cleanup(cancel)
	command := exec.CommandContext(ctx, program, append([]string{"kubectl", "--kubeconfig=" + kubeconfig, "--cache-dir=" + tb.TempDir()}, arguments...)...)
	command.Env = append(os.Environ(), env...)
	return command
}

// must runs kubectl and returns what it wrote.
func must(tb testing.TB, command *exec.Cmd) string {
	tb.Helper()
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		tb.Fatalf("kubectl %s: %v\n%s%s", strings.Join(command.Args[4:], " "), err, out.String(), errOut.String())
	}
	return out.String()
}

// mustNot runs kubectl, which must fail, and returns what it complained about.
func mustNot(tb testing.TB, command *exec.Cmd) string {
	tb.Helper()
	out, err := command.CombinedOutput()
	if err == nil {
		tb.Fatalf("kubectl %s succeeded, want it refused:\n%s", strings.Join(command.Args[4:], " "), out)
	}
	return string(out)
}

func TestWhoIsInside(t *testing.T) {
	e := newEntrance(t)
	for user, group := range map[string]string{"alice": "garret:admins", "bob": "garret:viewers"} {
		// A reader cannot create a SelfSubjectReview through the host, but can be seen in a refusal.
		if user == "alice" {
			got := must(t, kubectl(t, e.kubeconfig(t, user), nil, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"))
			want := `host:alice ["` + group + `","host:dev","host:system:authenticated","system:authenticated"]`
			if got != want {
				t.Errorf("inside %s is %s, want %s", user, got, want)
			}
			continue
		}
		got := mustNot(t, kubectl(t, e.kubeconfig(t, user), nil, "get", "secrets"))
		if !strings.Contains(got, `User "host:bob" cannot list resource "secrets"`) {
			t.Errorf("got %q, want a refusal by RBAC inside of host:bob", got)
		}
	}
}

func TestImpersonationIsTheHosts(t *testing.T) {
	e := newEntrance(t)
	got := mustNot(t, kubectl(t, e.kubeconfig(t, "alice"), nil, "get", "pods", "--as=system:admin", "--as-group=system:masters"))
	if !strings.Contains(got, "Forbidden") {
		t.Errorf("got %q, want the host to refuse the impersonation", got)
	}
}

func TestObjects(t *testing.T) {
	e := newEntrance(t)
	config := e.kubeconfig(t, "alice")
	manifest := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(manifest, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: objects}\ndata: {a: b}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := must(t, kubectl(t, config, nil, "apply", "--dry-run=server", "-f", manifest)); !strings.Contains(got, "created (server dry run)") {
		t.Errorf("dry run: %q", got)
	}
	if got := mustNot(t, kubectl(t, config, nil, "get", "configmap", "objects")); !strings.Contains(got, "NotFound") {
		t.Errorf("after a dry run: %q, want that it is not there", got)
	}
	must(t, kubectl(t, config, nil, "apply", "-f", manifest))
	must(t, kubectl(t, config, nil, "apply", "--server-side", "--force-conflicts", "-f", manifest))
	must(t, kubectl(t, config, nil, "patch", "configmap", "objects", "-p", `{"data":{"a":"c"}}`))
	if got := must(t, kubectl(t, config, nil, "get", "configmap", "objects", "-o", "jsonpath={.data.a}")); got != "c" {
		t.Errorf("data is %q, want c", got)
	}
	if got := must(t, kubectl(t, config, nil, "api-resources")); !strings.Contains(got, "deployments") {
		t.Errorf("discovery: %q", got)
	}
	if got := must(t, kubectl(t, config, nil, "explain", "deployment.spec.replicas")); !strings.Contains(got, "Number of desired pods") {
		t.Errorf("explain: %q", got)
	}
	if got := must(t, kubectl(t, config, nil, "get", "--raw", "/readyz")); got != "ok" {
		t.Errorf("raw: %q", got)
	}
	must(t, kubectl(t, config, nil, "delete", "configmap", "objects"))
}

func TestWatch(t *testing.T) {
	e := newEntrance(t)
	config := e.kubeconfig(t, "bob")
	watch := kubectl(t, config, nil, "get", "configmaps", "--watch-only", "-o", "name")
	lines := output(t, watch)
	// The watch is only known to be open by what it shows: create until it does.
	admin := e.kubeconfig(t, "alice")
	defer kubectl(t, admin, nil, "delete", "configmaps", "-l", "watched").Run()
	for i := 0; ; i++ {
		name := fmt.Sprintf("watched-%d", i)
		must(t, kubectl(t, admin, nil, "create", "configmap", name))
		must(t, kubectl(t, admin, nil, "label", "configmap", name, "watched="))
		select {
		case line := <-lines:
			if !strings.HasPrefix(line, "configmap/watched-") {
				t.Errorf("watched %q", line)
			}
			return
		case <-time.After(time.Second):
		}
	}
}

// output starts a command and sends its lines.
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

func TestReaderDoesNotEnterPods(t *testing.T) {
	e := newEntrance(t)
	kubelet.NewPod(t, shared, "closed")
	config := e.kubeconfig(t, "bob")
	if got := must(t, kubectl(t, config, nil, "get", "pods")); !strings.Contains(got, "closed") {
		t.Errorf("a reader sees %q, want the pod", got)
	}
	for transport, env := range transports {
		t.Run(transport, func(t *testing.T) {
			got := mustNot(t, kubectl(t, config, env, "exec", "closed", "--", "true"))
			if !strings.Contains(got, "orbidden") || !strings.Contains(got, "create") {
				t.Errorf("got %q, want a refusal that names create", got)
			}
		})
	}
	if got := mustNot(t, kubectl(t, config, nil, "create", "configmap", "x")); !strings.Contains(got, "orbidden") {
		t.Errorf("got %q, want the host to refuse", got)
	}
}

func TestStreams(t *testing.T) {
	e := newEntrance(t)
	s := kubelet.NewPod(t, shared, "open")
	config := e.kubeconfig(t, "alice")

	t.Run("logs are followed", func(t *testing.T) {
		lines := output(t, kubectl(t, config, nil, "logs", "-f", "open"))
		if got := <-lines; got != "first line" {
			t.Fatalf("got %q, want the first line before the second is written", got)
		}
		s.More <- struct{}{}
		if got := <-lines; got != "second line" {
			t.Errorf("got %q, want the second line", got)
		}
	})
	for transport, env := range transports {
		t.Run("exec by "+transport, func(t *testing.T) {
			command := kubectl(t, config, env, "exec", "-i", "open", "--", "sh", "-c", "wc -c; echo done")
			command.Stdin = io.LimitReader(zeros{}, 5<<20)
			if got := must(t, command); got != "5242880\ndone\n" {
				t.Errorf("got %q, want 5242880 and done", got)
			}
			command = kubectl(t, config, env, "exec", "open", "--", "sh", "-c", "exit 7")
			if err := command.Run(); err == nil || command.ProcessState.ExitCode() != 7 {
				t.Errorf("exit code is %d, want 7", command.ProcessState.ExitCode())
			}
		})
		t.Run("cp by "+transport, func(t *testing.T) {
			from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
			if err := os.WriteFile(from, bytes.Repeat([]byte("line\n"), 100_000), 0o600); err != nil {
				t.Fatal(err)
			}
			must(t, kubectl(t, config, env, "cp", from, "open:"+to))
			if got, err := os.ReadFile(to); err != nil || len(got) != 500_000 {
				t.Errorf("copied %d bytes, %v; want 500000", len(got), err)
			}
		})
		t.Run("port-forward by "+transport, func(t *testing.T) { forward(t, config, env) })
	}
}

func forward(t *testing.T, config string, env []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<20))
	}))
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	lines := output(t, kubectl(t, config, env, "port-forward", "pod/open", ":"+target.Port(), "--address=127.0.0.1"))
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
			t.Errorf("got %d bytes, %v; want 1 MiB", n, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestKubeconfig goes past the host altogether.
func TestKubeconfig(t *testing.T) {
	e := newEntrance(t)
	kubelet.NewPod(t, shared, "direct")
	answer, err := access.NewKubeconfigs(e.issuer, access.MaxKubeconfigLife).Create(t.Context(), &user.DefaultInfo{Name: "alice"}, e.cluster, &tenancy.KubeconfigRequest{}, false)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, answer.Status.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := must(t, kubectl(t, file, nil, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")); got != `host:alice ["garret:kubeconfig:`+answer.Status.CredentialID+`","system:authenticated"]` {
		t.Errorf("inside I am %s", got)
	}
	if got := must(t, kubectl(t, file, nil, "exec", "direct", "--", "echo", "hello")); got != "hello\n" {
		t.Errorf("exec: %q", got)
	}
}
