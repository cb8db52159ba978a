// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

const (
	streamNamespace = "bench-streams"
	// streamMiB is what each stream carries, and rounds how often each is measured.
	streamMiB = 64
	rounds    = 3
)

// sender is a pod that swallows what it is sent, and has a file to fetch.
const sender = `apiVersion: v1
kind: Pod
metadata: {name: sender, labels: {bench: streams}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: sender
    image: docker.io/library/busybox:1.36
    command: [sh, -c, "mkdir /tmp/www && dd if=/dev/zero of=/tmp/www/blob bs=1M count=64 && exec httpd -f -p 8080 -h /tmp/www"]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
`

var transports = []struct {
	name string
	env  []string
}{
	{"websocket", []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"}},
	{"spdy", []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"}},
}

// BenchmarkStreams compares kubectl exec and port-forward into a pod of a
// virtual cluster, which pass the relay, the API server inside and the syncer,
// with the same into the same pod straight on the host. Reported are the MB/s
// of both at the median, and the first as a share of the second.
func BenchmarkStreams(b *testing.B) {
	shared.Namespace(b, streamNamespace)
	shared.VirtualCluster(b, streamNamespace, "demo")
	inside := shared.ThroughRelay(b, shared.Kubeconfig, streamNamespace, "demo")
	inside.Apply(b, sender)
	inside.Do(b, "wait", "--for=condition=Ready", "pod/sender", "--timeout=60s")
	onHost := strings.TrimSpace(shared.Admin().Do(b, "get", "pods", "-n", streamNamespace,
		"-l", "garret.dev/virtual-namespace=default", "-o", "jsonpath={.items[0].metadata.name}"))

	for _, transport := range transports {
		host, virtual := shared.Admin().With(transport.env...), inside.With(transport.env...)
		for _, stream := range []struct {
			name string
			run  func(b *testing.B, c framework.Client, namespace, pod string) time.Duration
		}{{"exec-in", execIn}, {"exec-out", execOut}, {"port-forward", portForward}} {
			b.Run(stream.name+"/"+transport.name, func(b *testing.B) {
				var straight, through []float64
				for range b.N * rounds {
					straight = append(straight, stream.run(b, host, streamNamespace, onHost).Seconds())
					through = append(through, stream.run(b, virtual, "default", "sender").Seconds())
				}
				slices.Sort(straight)
				slices.Sort(through)
				median := len(straight) / 2
				b.ReportMetric(streamMiB*1.048576/straight[median], "host-MB/s")
				b.ReportMetric(streamMiB*1.048576/through[median], "inside-MB/s")
				b.ReportMetric(straight[median]/through[median], "share")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// execIn times 64 MiB on their way in, kubectl's own start included.
func execIn(b *testing.B, c framework.Client, namespace, pod string) time.Duration {
	b.Helper()
	command := c.Command(b.Context(), "kubectl", "exec", "-i", "-n", namespace, pod, "--", "sh", "-c", "cat >/dev/null; echo done")
	command.Stdin = io.LimitReader(zeros{}, streamMiB<<20)
	begin := time.Now()
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "done") {
		b.Fatalf("exec: %v\n%s", err, out)
	}
	return time.Since(begin)
}

// execOut times them on their way out.
func execOut(b *testing.B, c framework.Client, namespace, pod string) time.Duration {
	b.Helper()
	command := c.Command(b.Context(), "kubectl", "exec", "-n", namespace, pod, "--", "cat", "/tmp/www/blob")
	out := new(counter)
	command.Stdout = out
	begin := time.Now()
	if err := command.Run(); err != nil || *out != streamMiB<<20 {
		b.Fatalf("exec: got %d bytes, %v", *out, err)
	}
	return time.Since(begin)
}

var forwarding = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)

// portForward times them from a server in the pod, over a port that is forwarded already.
func portForward(b *testing.B, c framework.Client, namespace, pod string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	command := c.Command(ctx, "kubectl", "port-forward", "-n", namespace, "pod/"+pod, ":8080")
	port := forwardedPort(b, command)
	defer func() {
		cancel()
		_ = command.Wait()
	}()
	begin := time.Now()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/blob", port))
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); err != nil || n != streamMiB<<20 {
		b.Fatalf("port-forward: got %d bytes, %v", n, err)
	}
	return time.Since(begin)
}

// forwardedPort starts the command and reads which port it listens on.
func forwardedPort(b *testing.B, command *exec.Cmd) string {
	b.Helper()
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	found := forwarding.FindStringSubmatch(line)
	if found == nil {
		b.Fatalf("port-forward said %q", line)
	}
	return found[1]
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// counter is how many bytes were written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
