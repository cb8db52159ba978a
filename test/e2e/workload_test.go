// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// protocols are what kubectl can stream over; the default is WebSocket. To which
// pod a target of port-forward leads, kubectl finds out over neither.
var protocols = []struct {
	name, target string
	env          []string
}{
	{"WebSocket", "service/web", []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"}},
	{"SPDY", "deployment/web", []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"}},
}

// TestWorkload runs a Deployment with all that usually hangs on one, and
// streams to its pods in every way that kubectl has. What lies behind the virtual
// API server is the same by whichever door one came, so that every stream goes
// through the relay, and through the other door one of each protocol.
func TestWorkload(t *testing.T) {
	t.Parallel()
	ns := shared.Namespace(t, "e2e-workload")
	shared.VirtualCluster(t, ns, "demo")
	relay := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	relay.Apply(t, manifest(t, "web.yaml"))
	relay.Apply(t, manifest(t, "shell.yaml"))
	relay.Do(t, "rollout", "status", "deployment/web", "--timeout=120s")
	relay.Do(t, "wait", "--for=condition=Ready", "pod/shell", "--timeout=120s")

	t.Run("host", func(t *testing.T) { hostSide(t, ns) })
	t.Run("environment", func(t *testing.T) { podEnvironment(t, relay) })
	t.Run("network", func(t *testing.T) { podNetwork(t, relay) })
	t.Run("logs", func(t *testing.T) { followedLog(t, relay) })
	alone := shared.StandAlone(t, ns, "demo")
	t.Run("explained", func(t *testing.T) { explained(t, ns, relay, alone) })
	for _, protocol := range protocols {
		through := relay.With(protocol.env...)
		t.Run("relay/"+protocol.name+"/exec", func(t *testing.T) { execute(t, through) })
		t.Run("relay/"+protocol.name+"/attach", func(t *testing.T) { attach(t, through) })
		t.Run("relay/"+protocol.name+"/cp", func(t *testing.T) { copyThereAndBack(t, through) })
		t.Run("relay/"+protocol.name+"/port-forward", func(t *testing.T) { forward(t, through, protocol.target) })
		t.Run("kubeconfig/"+protocol.name+"/exec", func(t *testing.T) { execute(t, alone.With(protocol.env...)) })
	}
	t.Run("as they come", func(t *testing.T) { untranslated(t, alone) })
	t.Run("nobody out", func(t *testing.T) { nobodyOut(t, relay) })
	t.Run("hostname", func(t *testing.T) { longHostname(t, relay) })
	t.Run("deleted by force", func(t *testing.T) { deletedByForce(t, relay) })
	t.Run("update", func(t *testing.T) { updates(t, relay) })
	t.Run("projected", func(t *testing.T) { projected(t, relay) })
	t.Run("events", func(t *testing.T) {
		framework.SucceedsWithin(t, 30*time.Second, "the pod's events are inside", func(context.Context) error {
			out, err := relay.Try("get", "events", "--field-selector=involvedObject.name=shell", "-o", "jsonpath={.items[*].reason}")
			if err == nil && !strings.Contains(out, "Started") {
				err = fmt.Errorf("reasons of the pod's events: got %q, want Started", out)
			}
			return err
		})
	})
}

// hostSide looks at the pods as the host's administrator sees them.
func hostSide(t *testing.T, ns string) {
	out := shared.Admin().Do(t, "get", "pods", "-n", ns, "-l", "garret.dev/cluster",
		"-o", `jsonpath={range .items[*]}{.metadata.name}{" "}{.metadata.annotations.garret\.dev/virtual-name}{" "}{.status.phase}{" "}{.spec.automountServiceAccountToken}{" "}{.spec.serviceAccountName}{"\n"}{end}`)
	running := 0
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 5 {
			t.Fatalf("host pod: got %q, want name, virtual name, phase, automount, account", line)
		}
		if !strings.HasPrefix(fields[1], "web-") {
			continue
		}
		if fields[0] == fields[1] || !strings.HasPrefix(fields[0], "web-") {
			t.Errorf("host pod's name: got %q for %q, want a translated, readable one", fields[0], fields[1])
		}
		if fields[2] == "Running" {
			running++
		}
		if fields[3] != "false" {
			t.Errorf("host pod %s: automountServiceAccountToken: got %s, want false", fields[0], fields[3])
		}
		if fields[4] != "vc-demo.workloads" {
			t.Errorf("host pod %s: account: got %s, want that of the workloads", fields[0], fields[4])
		}
	}
	if running != 3 {
		t.Errorf("pods of the Deployment Running on the host: got %d, want 3\n%s", running, out)
	}
	// The Deployment's pods are made again: to drain their node takes no --force.
	node := shared.Admin().Do(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	drained := shared.Admin().Do(t, "drain", node, "--dry-run=server", "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=tenant.garret.dev/app=web,garret.dev/cluster")
	if got := strings.Count(drained, "evicting pod "+ns+"/web-"); got != 3 {
		t.Errorf("pods of the Deployment that a drain on the host would evict: got %d, want 3\n%s", got, drained)
	}
}

// nobodyOut asks for the node, and for the traffic of an address. Who asks is warned or
// refused at once, and an event says the same of the pod.
func nobodyOut(t *testing.T, c framework.Client) {
	said, err := c.Output("run", "root", "--image=docker.io/library/busybox:1.36", `--overrides={"spec":{"hostPID":true}}`)
	if want := `the pod will not run: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)`; err != nil || !strings.Contains(said, want) {
		t.Errorf("got %q and %v, want a warning: %s", said, err, want)
	}
	framework.SucceedsWithin(t, 30*time.Second, "an event says why", func(context.Context) error {
		out, err := c.Try("get", "events", "--field-selector=involvedObject.name=root,reason=Forbidden", "-o", "jsonpath={.items[*].message}")
		if err == nil && !strings.Contains(out, "spec.isolation.podSecurity of VirtualCluster ") {
			err = fmt.Errorf("message: got %q, want who can lift it", out)
		}
		return err
	})
	if phase := c.Do(t, "get", "pod", "root", "-o", "jsonpath={.status.phase} {.spec.nodeName}"); strings.TrimSpace(phase) != "Pending" {
		t.Errorf("got %q, want a pod without a node", phase)
	}
	c.Do(t, "delete", "pod", "root", "--wait=false")
	c.Input("{apiVersion: v1, kind: Service, metadata: {name: thief}, spec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}}").
		Refused(t, "spec.externalIPs is refused", "create", "-f", "-")
}

// podEnvironment looks at what a container finds around it.
func podEnvironment(t *testing.T, c framework.Client) {
	pod := strings.Fields(c.Do(t, "get", "pods", "-l", "app=web", "-o", "name"))[0]
	env := c.Do(t, "exec", pod, "--", "env")
	for _, want := range []string{
		"PASSWORD=hello-from-secret", "POD_NAME=" + strings.TrimPrefix(pod, "pod/"), "POD_NAMESPACE=default",
		"HOSTNAME=" + strings.TrimPrefix(pod, "pod/"), "WEB_SERVICE_HOST=",
		"KUBERNETES_SERVICE_HOST=" + c.Do(t, "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"),
	} {
		if !strings.Contains(env, want) {
			t.Errorf("environment: want %q in\n%s", want, env)
		}
	}
	for path, want := range map[string]string{
		"/config/greeting": "hello-from-configmap",
		"/work/prepared":   "hello-from-configmap",
		"/labels/labels":   `app="web"`,
	} {
		if got := c.Do(t, "exec", pod, "--", "cat", path); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got := c.Do(t, "exec", pod, "--", "cat", "/labels/labels"); strings.Contains(got, "garret.dev") {
		t.Errorf("labels that the pod sees: got the host's: %q", got)
	}
}

// podNetwork resolves and reaches a Service and the virtual API from a pod.
func podNetwork(t *testing.T, c framework.Client) {
	pod := strings.Fields(c.Do(t, "get", "pods", "-l", "app=web", "-o", "name"))[0]
	for _, name := range []string{"web", "web.default", "web.default.svc.cluster.local"} {
		framework.SucceedsWithin(t, 60*time.Second, "the pod connects to "+name, func(context.Context) error {
			_, err := c.Try("exec", pod, "--", "/agnhost", "connect", name+":80", "--timeout=5s")
			return err
		})
	}
	c.Apply(t, `apiVersion: v1
kind: Pod
metadata: {name: api-client}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: client
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [inclusterclient, --poll-interval=1]
`)
	framework.SucceedsWithin(t, 60*time.Second, "the client in a pod has called the API server", func(context.Context) error {
		out, err := c.Try("logs", "api-client")
		if err == nil && !strings.Contains(out, "calling /healthz") {
			err = fmt.Errorf("log of the client inside: got %q, want a call of /healthz", out)
		}
		if err == nil && strings.Contains(out, "err:") {
			return fmt.Errorf("the client inside cannot reach its API server: %s", out)
		}
		return err
	})
	token := c.Do(t, "exec", "api-client", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
	review := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":%q}}`, strings.TrimSpace(token))
	out, err := c.Input(review).Try("create", "-f", "-", "-o", "jsonpath={.status.user.username}")
	if err != nil || out != "system:serviceaccount:default:default" {
		t.Errorf("user of the pod's token inside: got %q, %v; want system:serviceaccount:default:default", out, err)
	}
	if out, err := shared.Admin().Input(review).Try("create", "-f", "-", "-o", "jsonpath={.status.authenticated}"); err != nil || out == "true" {
		t.Errorf("the pod's token on the host: got authenticated=%q, %v; want it unknown there", out, err)
	}
}

// execute runs commands, with input, with an exit code and on a terminal.
func execute(t *testing.T, c framework.Client) {
	if got := c.Do(t, "exec", "shell", "-c", "shell", "--", "echo", "out"); got != "out\n" {
		t.Errorf("got %q, want %q", got, "out\n")
	}
	if out, err := c.Input("typed\n").Try("exec", "-i", "shell", "-c", "shell", "--", "cat"); err != nil || out != "typed\n" {
		t.Errorf("standard input: got %q, %v; want it back", out, err)
	}
	if _, err := c.Try("exec", "shell", "-c", "shell", "--", "sh", "-c", "exit 7"); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("exit code: got %v, want 7", err)
	}
	out, err := c.Terminal("kubectl exec -it shell -c shell -- sh -c 'test -t 0 && echo terminal'")
	if err != nil || !strings.Contains(out, "terminal") {
		t.Errorf("exec -it: got %q, %v; want a terminal", out, err)
	}
}

// untranslated wants the API server inside to have passed on WebSockets. Over SPDY, the
// host may lose the end of a stream, and with it an exit code.
func untranslated(t *testing.T, c framework.Client) {
	passed := false
	for line := range strings.Lines(c.Do(t, "get", "--raw", "/metrics")) {
		if !strings.HasPrefix(line, "apiserver_websocket_streaming_requests_total{") {
			continue
		}
		if passed = strings.Contains(line, `proxy_type="proxied_to_kubelet"`); !passed {
			t.Fatalf("got %s, want WebSockets passed on to the syncer", strings.TrimSpace(line))
		}
	}
	if !passed {
		t.Error("the API server inside counts no WebSocket, want those that it passed on")
	}
}

// followedLog reads a log that goes on.
func followedLog(t *testing.T, c framework.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := c.Command(ctx, "kubectl", "logs", "-f", "shell", "-c", "shell", "--tail=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for got := range 3 {
		if !lines.Scan() {
			t.Fatalf("the log ended after %d lines, want it to go on", got)
		}
		if !strings.HasPrefix(lines.Text(), "line ") {
			t.Errorf("got %q", lines.Text())
		}
	}
	cancel()
	_ = cmd.Wait()
}

// attach talks to the main process of a container.
func attach(t *testing.T, c framework.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := c.Command(ctx, "kubectl", "attach", "-i", "shell", "-c", "echo")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(stdin, "hello")
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "got hello\n" {
		t.Errorf("got %q, %v; want %q", line, err, "got hello\n")
	}
	cancel()
	_ = cmd.Wait()
}

func copyThereAndBack(t *testing.T, c framework.Client) {
	want := make([]byte, 1<<20)
	if _, err := rand.Read(want); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Do(t, "cp", "-c", "shell", filepath.Join(dir, "there"), "shell:/tmp/file")
	c.Do(t, "cp", "-c", "shell", "shell:/tmp/file", filepath.Join(dir, "back"))
	got, err := os.ReadFile(filepath.Join(dir, "back"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("copied there and back: got %d other bytes, %v; want the same %d", len(got), err, len(want))
	}
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

func forward(t *testing.T, c framework.Client, target string) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	port := ":80"
	if strings.HasPrefix(target, "deployment/") {
		port = ":8080"
	}
	cmd := c.Command(ctx, "kubectl", "port-forward", target, port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	var address string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := forwarding.FindStringSubmatch(lines.Text()); match != nil {
			address = match[1]
			break
		}
	}
	if address == "" {
		t.Fatal("port-forward ended without an address")
	}
	for range 3 {
		response, err := http.Get("http://" + address + "/hostname")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.HasPrefix(string(body), "web-") {
			t.Errorf("got %q, %v; want a pod's name", body, err)
		}
	}
}

// longHostname runs pods whose hostname takes thought: a kubelet cuts the name of the
// one, at a dash, and leaves the dot in the other's.
func longHostname(t *testing.T, c framework.Client) {
	cut := strings.Repeat("a", 40) + ".b-" + strings.Repeat("c", 19)
	hostnames := map[string]string{cut + "-tail.part": cut, "my.web": "my.web"}
	for name := range hostnames {
		c.Apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s}
spec: {restartPolicy: Never, containers: [{name: app, image: "docker.io/library/busybox:1.36", command: [hostname]}]}
`, name))
	}
	for name, want := range hostnames {
		c.Do(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/"+name, "--timeout=60s")
		if got := strings.TrimSpace(c.Do(t, "logs", name)); got != want {
			t.Errorf("hostname of %s: got %s, want %s", name, got, want)
		}
	}
}

// deletedByForce deletes pods that take ten minutes to end. Their containers may not
// hold the names on the host for so long.
func deletedByForce(t *testing.T, c framework.Client) {
	c.Apply(t, manifest(t, "stubborn.yaml"))
	c.Do(t, "rollout", "status", "statefulset/stubborn", "--timeout=90s")
	ready := func() ([]string, error) {
		out, err := c.Try("get", "pods", "-l", "app=stubborn", "-o", `jsonpath={range .items[?(@.status.containerStatuses[0].ready==true)]}{.metadata.uid}{"\n"}{end}`)
		return strings.Fields(out), err
	}
	before, err := ready()
	if err != nil || len(before) != 5 {
		t.Fatalf("pods that are ready: got %q, %v; want 5", before, err)
	}
	c.Do(t, "delete", "pod", "-l", "app=stubborn", "--force", "--grace-period=0")
	framework.SucceedsWithin(t, time.Minute, "other pods of the same names run", func(context.Context) error {
		now, err := ready()
		if err == nil && (len(now) != 5 || slices.ContainsFunc(now, func(uid string) bool { return slices.Contains(before, uid) })) {
			err = fmt.Errorf("ready: got %q, want 5 others than %q", now, before)
		}
		return err
	})
	c.Do(t, "delete", "statefulset", "stubborn", "--cascade=orphan")
	c.Do(t, "delete", "pod", "-l", "app=stubborn", "--force", "--grace-period=0")
}

// updates changes what pods refer to, and the pods.
func updates(t *testing.T, c framework.Client) {
	c.Do(t, "scale", "deployment/web", "--replicas=1")
	framework.SucceedsWithin(t, 60*time.Second, "one pod is left", func(context.Context) error {
		out, err := c.Try("get", "pods", "-l", "app=web", "-o", "name")
		if err == nil && len(strings.Fields(out)) != 1 {
			err = fmt.Errorf("pods after scaling to 1: got %q", out)
		}
		return err
	})
	c.Do(t, "patch", "configmap", "web", "-p", `{"data":{"greeting":"changed"}}`)
	c.Do(t, "set", "env", "deployment/web", "ROUND=2")
	c.Do(t, "rollout", "status", "deployment/web", "--timeout=90s")
	pod := strings.Fields(c.Do(t, "get", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "--sort-by=.metadata.creationTimestamp", "-o", "name"))
	newest := pod[len(pod)-1]
	if got := c.Do(t, "exec", newest, "--", "cat", "/config/greeting"); got != "changed" {
		t.Errorf("the ConfigMap in a new pod: got %q, want %q", got, "changed")
	}
}
