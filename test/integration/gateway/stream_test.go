// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/kubelet"
)

// transports are the two ways in which kubectl streams.
var transports = map[string][]string{
	"WebSocket": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"},
	"SPDY":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
}

func TestStreams(t *testing.T) {
	kubelet.NewPod(t, shared.virtual.ControlPlane, "streams")
	callers := map[string]caller{
		"an administrator":     admin(t),
		"with a certificate":   certified(t, "stefan", "system:masters"),
		"who may edit inside":  account(t, "stream-editor").may(t, namespace, to("get", "virtualclusters", name)).edits(t),
		"who may only look on": account(t, "stream-reader").may(t, namespace, to("get", "virtualclusters", name)).looksInto(t),
	}
	for transport, env := range transports {
		for who, c := range callers {
			t.Run(transport+"/"+who, func(t *testing.T) {
				command := c.command(t, env, "exec", "-i", "streams", "--", "sh", "-c", "wc -c; exit 7")
				command.Stdin = strings.NewReader(strings.Repeat("x", 100_000))
				output, err := command.CombinedOutput()
				if strings.Contains(who, "only look on") {
					if err == nil || !strings.Contains(string(output), `cannot create resource "pods/exec"`) || !strings.Contains(string(output), "orbidden") {
						t.Fatalf("got %v: %s; want exec refused for the want of create", err, output)
					}
					if output, err := c.command(t, nil, "logs", "streams").CombinedOutput(); err != nil || string(output) != "first line\n" {
						t.Errorf("logs: got %v: %s; want them, they are read", err, output)
					}
					return
				}
				if command.ProcessState.ExitCode() != 7 || !strings.HasPrefix(string(output), "100000\n") {
					t.Fatalf("exec: got %v: %s; want 100000 and exit code 7", err, output)
				}
				forward(t, c, env)
			})
		}
	}
}

// forward fetches something through kubectl port-forward.
func forward(t *testing.T, c caller, env []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "forwarded") }))
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	command := c.command(t, env, "port-forward", "pod/streams", ":"+target.Port(), "--address=127.0.0.1")
	pipe, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = command.Process.Kill(); _ = command.Wait() }()
	line, err := bufio.NewReader(pipe).ReadString('\n')
	match := regexp.MustCompile(`127\.0\.0\.1:(\d+)`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("port-forward says %q, %v; want where", line, err)
	}
	answer, err := http.Get("http://127.0.0.1:" + match[1])
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); string(body) != "forwarded" {
		t.Errorf("port-forward: got %q, %v", body, err)
	}
}

// TestUpgradesRefused asks for upgrades with as little as an attacker has to send.
func TestUpgradesRefused(t *testing.T) {
	kubelet.NewPod(t, shared.virtual.ControlPlane, "refused")
	upgrade := func(more ...string) http.Header {
		header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {"v5.channel.k8s.io"}}
		for i := 0; i < len(more); i += 2 {
			header.Set(more[i], more[i+1])
		}
		return header
	}
	const exec = "/clusters/team/demo/api/v1/namespaces/default/pods/refused/exec?command=true&stdout=true"
	reader := account(t, "upgrader").may(t, namespace, to("get", "virtualclusters", name)).looksInto(t)
	chief, worker := certified(t, "chief", "system:masters"), admin(t)
	for name, tc := range map[string]struct {
		caller caller
		path   string
		header http.Header
		want   int
	}{
		"an administrator, to compare":         {chief, exec, upgrade(), 101},
		"from the gateway's own page":          {chief, exec, upgrade("Origin", "https://"+address()), 101},
		"from another page, by certificate":    {chief, exec, upgrade("Origin", "https://evil.example"), 403},
		"from another page, by token":          {worker, exec, upgrade("Origin", "https://console.example"), 101},
		"with a token, as a browser sends it":  {caller{}, exec, upgrade("Sec-Websocket-Protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(worker.Token))), 101},
		"with a wrong one":                     {caller{}, exec, upgrade("Sec-Websocket-Protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.d3Jvbmc"), 401},
		"a reader's exec":                      {reader, exec, upgrade(), 403},
		"a reader's attach":                    {reader, strings.Replace(exec, "/exec", "/attach", 1), upgrade(), 403},
		"a reader's port-forward":              {reader, strings.Replace(exec, "/exec", "/portforward", 1), upgrade(), 403},
		"a reader's proxy":                     {reader, strings.Replace(exec, "/exec", "/proxy/x", 1), upgrade(), 403},
		"a reader's exec, spelled otherwise":   {reader, strings.Replace(exec, "/exec", "/%65xec", 1), upgrade(), 403},
		"a reader's exec, with another slash":  {reader, strings.Replace(exec, "/pods/", "//pods/", 1), upgrade(), 403},
		"a reader's watch":                     {reader, "/clusters/team/demo/api/v1/pods?watch=true", upgrade(), 403},
		"a reader's, of no resource":           {reader, "/clusters/team/demo/version", upgrade(), 403},
		"a reader's, to what would carry more": {reader, exec, upgrade("Upgrade", "h2c"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address()+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = tc.header
			if tc.caller.Token != "" {
				request.Header.Set("Authorization", "Bearer "+tc.caller.Token)
			}
			answer, err := tc.caller.client(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != tc.want {
				t.Errorf("answered %d, want %d", answer.StatusCode, tc.want)
			}
			if tc.want >= 400 {
				if body, err := io.ReadAll(answer.Body); !strings.Contains(string(body), `"kind":"Status"`) {
					t.Errorf("answered %q, %v; want a Status", body, err)
				}
			}
		})
	}
}

// TestWatchOutlastsRequests watches inside for longer than a request may take.
func TestWatchOutlastsRequests(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", admin(t).kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	configMaps := client.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	watcher, err := configMaps.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=late"})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	begun := time.Now()
	framework.Eventually(t, "any other request would have ended", func(context.Context) (bool, error) {
		return time.Since(begun) > requestTimeout+2*time.Second, nil
	})
	if _, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = configMaps.Delete(context.Background(), "late", metav1.DeleteOptions{}) }()
	select {
	case event, open := <-watcher.ResultChan():
		if !open || event.Type != watch.Added {
			t.Errorf("got %v (open %t), want the ConfigMap", event, open)
		}
	case <-time.After(framework.Timeout):
		t.Error("no event arrived")
	}
}
