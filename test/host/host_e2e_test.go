// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package host

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// testImages are the archives that these tests need.
var testImages = []string{"pause", "coredns", "agnhost", "busybox"}

// testCluster is a host cluster of a test's own.
type testCluster struct {
	*Cluster
	options Options
}

// bringUp brings up a cluster, which ends with the test.
func bringUp(t *testing.T, name string) *testCluster {
	t.Helper()
	bin, err := framework.Binary("")
	if err != nil {
		t.Fatal(err)
	}
	// Not below TempDir, which would be removed before the cluster's mounts.
	dir, err := os.MkdirTemp("", "garret-host-")
	if err != nil {
		t.Fatal(err)
	}
	c := &testCluster{options: Options{Dir: dir, Name: name, BinDir: bin, Progress: testWriter{t}}}
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
	c.up(t)
	return c
}

// up brings up what is missing.
func (c *testCluster) up(t *testing.T) {
	t.Helper()
	var err error
	if c.Cluster, err = Up(t.Context(), c.options); err != nil {
		t.Fatal(err)
	}
}

// admin is kubectl as the cluster's administrator.
func (c *testCluster) admin() framework.Client { return framework.NewClient(c.Kubeconfig()) }

// read is a field of an object, by a JSON path.
func (c *testCluster) read(t *testing.T, object, field string) string {
	t.Helper()
	return c.admin().Do(t, "get", object, "-o", "jsonpath={"+field+"}")
}

// connect has a pod of agnhost connect to port 8080 of a host.
func (c *testCluster) connect(pod, host string) error {
	_, err := c.admin().Try("exec", pod, "--", "/agnhost", "connect", "--timeout=2s", host+":8080")
	return err
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
	c.admin().Apply(t, `
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
	c.admin().Do(t, "wait", "--for=condition=Ready", "pod/web", "--timeout=180s")

	t.Run("exec", func(t *testing.T) {
		if got := c.admin().Do(t, "exec", "web", "--", "/bin/sh", "-c", "id -u; hostname"); got != "12345\nweb\n" {
			t.Errorf("got %q, want the user and the pod's name", got)
		}
	})
	t.Run("logs", func(t *testing.T) {
		if got := c.admin().Do(t, "logs", "web"); !strings.Contains(got, "Started HTTP server on port 8080") {
			t.Errorf("got %q, want what agnhost prints", got)
		}
	})
	t.Run("service by name", func(t *testing.T) {
		for _, name := range []string{"web", "web.default.svc.cluster.local"} {
			framework.Succeeds(t, "the pod connects to "+name, func(context.Context) error { return c.connect("web", name) })
		}
	})
	t.Run("addresses from the machine", func(t *testing.T) {
		for _, path := range []string{"service/web=.spec.clusterIP", "pod/web=.status.podIP"} {
			object, field, _ := strings.Cut(path, "=")
			address := c.read(t, object, field)
			framework.Succeeds(t, "the machine reaches "+path, func(context.Context) error { return reaches(address) })
		}
	})
	t.Run("volume", func(t *testing.T) { testVolume(t, c) })
	t.Run("user", func(t *testing.T) { testUser(t, c) })
	t.Run("heals", func(t *testing.T) { testHeals(t, c) })
	t.Run("leaves nothing", func(t *testing.T) { testLeavesNothing(t, c, before) })
}

// testVolume writes to a volume as nobody in particular, and finds the folder
// gone when the claim is.
func testVolume(t *testing.T, c *testCluster) {
	c.admin().Do(t, "exec", "web", "--", "/bin/sh", "-c", "echo kept > /data/file")
	volume := c.read(t, "pvc/data", ".spec.volumeName")
	file := filepath.Join(c.options.Dir, "volumes", volume, "file")
	if got, err := os.ReadFile(file); err != nil || string(got) != "kept\n" {
		t.Errorf("file of the volume: got %q, %v", got, err)
	}
	c.admin().Apply(t, `
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
	c.admin().Do(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/gone", "--timeout=180s")
	folder := filepath.Join(c.options.Dir, "volumes", c.read(t, "pvc/gone", ".spec.volumeName"))
	if _, err := os.Stat(filepath.Join(folder, "file")); err != nil {
		t.Error(err)
	}
	c.admin().Do(t, "delete", "pod/gone", "pvc/gone", "--timeout=180s")
	framework.Succeeds(t, "the folder of a deleted volume goes", func(context.Context) error {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			return fmt.Errorf("%s is still there: %v", folder, err)
		}
		return nil
	})
}

// testUser gives a group a right and sees that its member has that and no
// other.
func testUser(t *testing.T, c *testCluster) {
	kubeconfig, err := c.UserKubeconfig("jane", "readers")
	if err != nil {
		t.Fatal(err)
	}
	user := framework.NewClient(kubeconfig)
	user.Refused(t, "Forbidden", "get", "pods")
	c.admin().Do(t, "create", "rolebinding", "readers", "--clusterrole=view", "--group=readers")
	framework.Succeeds(t, "a reader lists pods", func(context.Context) error {
		_, err := user.Try("get", "pods")
		return err
	})
	user.Refused(t, "Forbidden", "delete", "pod", "web")
}

// testHeals kills components and brings up what is missing.
func testHeals(t *testing.T, c *testCluster) {
	container := func() string {
		return c.read(t, "pod/web", ".status.containerStatuses[0].containerID")
	}
	was, pids := container(), c.pids(t)
	killed := []string{"etcd", "kube-apiserver", "kubelet-node1", "containerd-node1"}
	for _, name := range killed {
		if err := syscall.Kill(pids[name], syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", name, err)
		}
	}
	framework.Succeeds(t, "what was killed has ended", func(context.Context) error {
		for name := range c.pids(t) {
			if slices.Contains(killed, name) {
				return fmt.Errorf("%s still runs", name)
			}
		}
		return nil
	})
	c.up(t)
	for name, pid := range pids {
		// Those which cannot live without the API server may have ended too.
		if got := c.pids(t)[name]; got == 0 || slices.Contains(killed, name) && got == pid {
			t.Errorf("%s: got pid %d, was %d", name, got, pid)
		}
	}
	if got := container(); got != was {
		t.Errorf("container of the pod: got %s, want %s, which nobody touched", got, was)
	}
	if err := c.Restart(t.Context(), "kubelet"); err != nil {
		t.Fatal(err)
	}
	framework.Succeeds(t, "the kubelet knows its pods", func(context.Context) error {
		_, err := c.admin().Try("exec", "web", "--", "/bin/sh", "-c", "true")
		return err
	})
	pids = c.pids(t)
	c.up(t)
	for name, pid := range c.pids(t) {
		if pids[name] != pid {
			t.Errorf("up without need: %s got pid %d, want %d", name, pid, pids[name])
		}
	}
}

// pids are those of the running components.
func (c *testCluster) pids(t *testing.T) map[string]int {
	t.Helper()
	components, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
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
	c.up(t)
	for n := 1; n <= 2; n++ {
		c.admin().Apply(t, fmt.Sprintf(`
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
	c.admin().Do(t, "wait", "--for=condition=Ready", "pod/on-1", "pod/on-2", "--timeout=180s")
	for _, way := range [][2]string{{"on-1", "on-2"}, {"on-2", "on-1"}} {
		from, to := way[0], way[1]
		pod, service := c.read(t, "pod/"+to, ".status.podIP"), c.read(t, "service/"+to, ".spec.clusterIP")
		for _, target := range []string{pod, service, to} {
			framework.Succeeds(t, from+" connects to "+to+" at "+target, func(context.Context) error { return c.connect(from, target) })
		}
		framework.Succeeds(t, "the machine reaches the pod "+to, func(context.Context) error { return reaches(pod) })
		framework.Succeeds(t, "the machine reaches the service "+to, func(context.Context) error { return reaches(service) })
	}
	testLeavesNothing(t, c, before)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
