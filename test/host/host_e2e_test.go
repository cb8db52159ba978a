// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// testImages are the archives that these tests need.
var testImages = []string{"pause", "coredns", "agnhost", "busybox"}

// testCluster is a host cluster of a test's own.
type testCluster struct {
	*Cluster
	t       *testing.T
	options Options
}

// bringUp brings up a cluster, which ends with the test.
func bringUp(t *testing.T, name string) *testCluster {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	// Not below TempDir, which would be removed before the cluster's mounts.
	dir, err := os.MkdirTemp("", "garret-host-")
	if err != nil {
		t.Fatal(err)
	}
	c := &testCluster{t: t, options: Options{Dir: dir, Name: name, BinDir: bin, Progress: testWriter{t}}}
	for _, image := range testImages {
		c.options.Images = append(c.options.Images, filepath.Join(bin, "images", image+".tar"))
	}
	t.Cleanup(func() {
		if c.Cluster != nil {
			if err := c.Down(context.Background()); err != nil {
				t.Errorf("down: %v", err)
			}
		}
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	})
	c.up()
	return c
}

// in is the same cluster, whose failures are those of a subtest.
func (c *testCluster) in(t *testing.T) *testCluster {
	return &testCluster{Cluster: c.Cluster, t: t, options: c.options}
}

// up brings up what is missing.
func (c *testCluster) up() {
	c.t.Helper()
	var err error
	if c.Cluster, err = Up(c.t.Context(), c.options); err != nil {
		c.t.Fatal(err)
	}
}

// kubectl runs kubectl with some input, and returns output and error.
func (c *testCluster) try(kubeconfig, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.options.BinDir, "kube"), append([]string{"kubectl", "--kubeconfig", kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

func (c *testCluster) kubectl(args ...string) string {
	c.t.Helper()
	out, err := c.try(c.Kubeconfig(), "", args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (c *testCluster) apply(manifest string) {
	c.t.Helper()
	if _, err := c.try(c.Kubeconfig(), manifest, "apply", "-f", "-"); err != nil {
		c.t.Fatal(err)
	}
}

// eventually waits for a condition whose last error is told when it never
// comes true.
func (c *testCluster) eventually(what string, check func() error) {
	c.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(c.t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		c.t.Fatalf("%s: %v: %v", what, err, last)
	}
}

// reaches tells whether an HTTP server answers to this machine itself.
func reaches(host string) error {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + net.JoinHostPort(host, "8080") + "/hostname")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("got %s", response.Status)
	}
	return nil
}

func TestHostRunsPods(t *testing.T) {
	t.Parallel()
	before := rules(t)
	c := bringUp(t, "one")
	c.apply(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 12345, runAsGroup: 12345}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
  containers:
  - name: web
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec]
    readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /data}]
`)
	c.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=180s")

	t.Run("exec", func(t *testing.T) {
		c := c.in(t)
		if got := c.kubectl("exec", "web", "--", "/bin/sh", "-c", "id -u; hostname"); got != "12345\nweb" {
			t.Errorf("got %q, want the user and the pod's name", got)
		}
	})
	t.Run("logs", func(t *testing.T) {
		c := c.in(t)
		if got := c.kubectl("logs", "web"); !strings.Contains(got, "Started HTTP server on port 8080") {
			t.Errorf("got %q, want what agnhost prints", got)
		}
	})
	t.Run("service by name", func(t *testing.T) {
		c := c.in(t)
		for _, name := range []string{"web", "web.default.svc.cluster.local"} {
			c.eventually(name, func() error {
				_, err := c.try(c.Kubeconfig(), "", "exec", "web", "--", "/agnhost", "connect", "--timeout=2s", name+":8080")
				return err
			})
		}
	})
	t.Run("addresses from the machine", func(t *testing.T) {
		c := c.in(t)
		for _, path := range []string{"service/web=.spec.clusterIP", "pod/web=.status.podIP"} {
			object, field, _ := strings.Cut(path, "=")
			address := c.kubectl("get", object, "-o", "jsonpath={"+field+"}")
			c.eventually(path, func() error { return reaches(address) })
		}
	})
	t.Run("volume", func(t *testing.T) { testVolume(c.in(t)) })
	t.Run("user", func(t *testing.T) { testUser(c.in(t)) })
	t.Run("heals", func(t *testing.T) { testHeals(c.in(t)) })
	t.Run("leaves nothing", func(t *testing.T) { testLeavesNothing(c.in(t), before) })
}

// testVolume writes to a volume as nobody in particular, and finds the folder
// gone when the claim is.
func testVolume(c *testCluster) {
	t := c.t
	c.kubectl("exec", "web", "--", "/bin/sh", "-c", "echo kept > /data/file")
	volume := c.kubectl("get", "pvc/data", "-o", "jsonpath={.spec.volumeName}")
	file := filepath.Join(c.options.Dir, "volumes", volume, "file")
	if got, err := os.ReadFile(file); err != nil || string(got) != "kept\n" {
		t.Errorf("file of the volume: got %q, %v", got, err)
	}
	c.apply(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: gone}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: gone}
spec:
  restartPolicy: Never
  volumes: [{name: data, persistentVolumeClaim: {claimName: gone}}]
  containers:
  - {name: main, image: "docker.io/library/busybox:1.36", command: [touch, /data/file], volumeMounts: [{name: data, mountPath: /data}]}
`)
	c.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/gone", "--timeout=180s")
	folder := filepath.Join(c.options.Dir, "volumes", c.kubectl("get", "pvc/gone", "-o", "jsonpath={.spec.volumeName}"))
	if _, err := os.Stat(filepath.Join(folder, "file")); err != nil {
		t.Error(err)
	}
	c.kubectl("delete", "pod/gone", "pvc/gone", "--timeout=180s")
	c.eventually("folder of a deleted volume", func() error {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			return fmt.Errorf("%s is still there: %v", folder, err)
		}
		return nil
	})
}

// testUser gives a group a right and sees that its member has that and no
// other.
func testUser(c *testCluster) {
	t := c.t
	kubeconfig, err := c.UserKubeconfig("jane", "readers")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.try(kubeconfig, "", "get", "pods"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("without a right: got %q, %v; want it forbidden", out, err)
	}
	c.kubectl("create", "rolebinding", "readers", "--clusterrole=view", "--group=readers")
	c.eventually("list pods", func() error {
		_, err := c.try(kubeconfig, "", "get", "pods")
		return err
	})
	if _, err := c.try(kubeconfig, "", "delete", "pod", "web"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("delete by a reader: got %v; want it forbidden", err)
	}
}

// testHeals kills components and brings up what is missing.
func testHeals(c *testCluster) {
	t := c.t
	container := func() string {
		return c.kubectl("get", "pod/web", "-o", "jsonpath={.status.containerStatuses[0].containerID}")
	}
	was, pids := container(), c.pids()
	killed := []string{"etcd", "kube-apiserver", "kubelet-node1", "containerd-node1"}
	for _, name := range killed {
		if err := syscall.Kill(pids[name], syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", name, err)
		}
	}
	c.eventually("ends", func() error {
		for name := range c.pids() {
			if slices.Contains(killed, name) {
				return fmt.Errorf("%s still runs", name)
			}
		}
		return nil
	})
	c.up()
	for name, pid := range pids {
		// Those which cannot live without the API server may have ended too.
		if got := c.pids()[name]; got == 0 || slices.Contains(killed, name) && got == pid {
			t.Errorf("%s: got pid %d, was %d", name, got, pid)
		}
	}
	if got := container(); got != was {
		t.Errorf("container of the pod: got %s, want %s, which nobody touched", got, was)
	}
	if err := c.Restart(t.Context(), "kubelet"); err != nil {
		t.Fatal(err)
	}
	c.eventually("a kubelet that knows its pods", func() error {
		_, err := c.try(c.Kubeconfig(), "", "exec", "web", "--", "/bin/sh", "-c", "true")
		return err
	})
	pids = c.pids()
	c.up()
	for name, pid := range c.pids() {
		if pids[name] != pid {
			t.Errorf("up without need: %s got pid %d, want %d", name, pid, pids[name])
		}
	}
}

// pids are those of the running components.
func (c *testCluster) pids() map[string]int {
	c.t.Helper()
	components, err := c.Status(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	pids := map[string]int{}
	for _, s := range components {
		if s.Running {
			pids[s.Name] = s.PID
		}
	}
	return pids
}

// TestHostTwoNodes runs beside the other test, and so shows besides that two
// clusters do not disturb each other.
func TestHostTwoNodes(t *testing.T) {
	t.Parallel()
	before := rules(t)
	c := bringUp(t, "two")
	c.options.Nodes = 2 // the cluster grows
	c.up()
	for n := 1; n <= 2; n++ {
		c.apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: on-%[1]d, labels: {app: on-%[1]d}}
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: {kubernetes.io/hostname: two-node%[1]d}
  containers: [{name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [netexec]}]
---
apiVersion: v1
kind: Service
metadata: {name: on-%[1]d}
spec: {selector: {app: on-%[1]d}, ports: [{port: 8080}]}
`, n))
	}
	c.kubectl("wait", "--for=condition=Ready", "pod/on-1", "pod/on-2", "--timeout=180s")
	for _, way := range [][2]string{{"on-1", "on-2"}, {"on-2", "on-1"}} {
		from, to := way[0], way[1]
		pod := c.kubectl("get", "pod", to, "-o", "jsonpath={.status.podIP}")
		service := c.kubectl("get", "service", to, "-o", "jsonpath={.spec.clusterIP}")
		for _, target := range []string{pod, service, to} {
			c.eventually(from+" to "+to+" at "+target, func() error {
				_, err := c.try(c.Kubeconfig(), "", "exec", from, "--", "/agnhost", "connect", "--timeout=2s", target+":8080")
				return err
			})
		}
		c.eventually("machine to pod "+to, func() error { return reaches(pod) })
		c.eventually("machine to service "+to, func() error { return reaches(service) })
	}
	testLeavesNothing(c, before)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
