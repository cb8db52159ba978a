// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

// TestLifecycle follows one virtual cluster from create to delete.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-lifecycle")
	phases := watchPhases(t, ns, "demo")

	start := time.Now()
	admin.Apply(t, suite.Object(ns, "demo", "{}"))
	refusedWhileStarting(t, ns, "demo")
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=180s")
	t.Logf("create to Ready: %.1fs", time.Since(start).Seconds())
	if got := admin.Do(t, "get", "--raw", proxyPath(ns, "demo", "/readyz")); got != "ok" {
		t.Errorf("/readyz at the moment of Ready: got %q, want ok", got)
	}

	out := admin.Do(t, "get", "virtualclusters", "-n", ns)
	for _, want := range []string{"NAME", "PHASE", "VERSION", "AGE", "demo", "Ready", "v1.37.2"} {
		if !strings.Contains(out, want) {
			t.Errorf("kubectl get virtualclusters: want %q in\n%s", want, out)
		}
	}

	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Do(t, "create", "deployment", "pause", "--image=registry.k8s.io/pause:3.10")
	inside.Do(t, "rollout", "status", "deployment/pause", "--timeout=90s")
	t.Logf("create to first pod ready: %.1fs", time.Since(start).Seconds())

	admin.Do(t, "delete", "vc", "demo", "-n", ns, "--timeout=120s")
	assertEmpty(t, ns)
	framework.SucceedsWithin(t, 10*time.Second, "the watch has shown every phase", func(context.Context) error {
		got := phases()
		// Pending may be too short to be seen; the order may not be broken.
		for _, want := range []string{"Deploying", "Ready", "Terminating"} {
			if !slices.Contains(got, want) {
				return fmt.Errorf("phases seen by the watch: got %v, want %s among them", got, want)
			}
		}
		return nil
	})
}

// refusedWhileStarting sends a request that comes too early. It must be told so,
// and when to come again; kubectl would do that by itself.
func refusedWhileStarting(t *testing.T, ns, name string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	request := kubernetes.NewForConfigOrDie(config).RESTClient().Get().AbsPath(proxyPath(ns, name, "/version"))
	err = request.MaxRetries(0).Do(t.Context()).Error()
	if !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a request before the control plane answers: got %v, want ServiceUnavailable", err)
	}
	if _, later := apierrors.SuggestsClientDelay(err); !later {
		t.Errorf("a request before the control plane answers: got %v, want it to say when to try again", err)
	}
}

// watchPhases runs `kubectl get virtualclusters -w` and returns a function
// that gives the phases it has printed, in order.
func watchPhases(t *testing.T, ns, name string) func() []string {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := shared.Admin().Command(ctx, "kubectl", "get", "virtualclusters", "-A", "-w", "--no-headers")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	var mutex sync.Mutex
	var phases []string
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 3 || fields[0] != ns || fields[1] != name {
				continue
			}
			mutex.Lock()
			if len(phases) == 0 || phases[len(phases)-1] != fields[2] {
				phases = append(phases, fields[2])
			}
			mutex.Unlock()
		}
	}()
	return func() []string {
		mutex.Lock()
		defer mutex.Unlock()
		return slices.Clone(phases)
	}
}

// assertEmpty fails the test unless the namespace holds nothing but what
// Kubernetes itself puts into every namespace, and Events.
func assertEmpty(t *testing.T, ns string) {
	t.Helper()
	framework.SucceedsWithin(t, 30*time.Second, "namespace "+ns+" is empty", func(context.Context) error {
		left, err := objects(ns)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("objects left in namespace %s: %v", ns, left)
		}
		return nil
	})
}

// objects lists what is in a namespace, of every kind that can be listed.
func objects(ns string) ([]string, error) {
	admin := shared.Admin()
	kinds, err := admin.Try("api-resources", "--namespaced", "--verbs=list", "-o", "name")
	if err != nil {
		return nil, err
	}
	var list []string
	for kind := range strings.FieldsSeq(kinds) {
		if strings.HasPrefix(kind, "events") || strings.Contains(kind, "metrics.k8s.io") {
			continue
		}
		list = append(list, kind)
	}
	out, err := admin.Try("get", strings.Join(list, ","), "-n", ns, "-o", "name", "--ignore-not-found")
	if err != nil {
		return nil, err
	}
	var left []string
	for name := range strings.FieldsSeq(out) {
		if name != "configmap/kube-root-ca.crt" && name != "serviceaccount/default" {
			left = append(left, name)
		}
	}
	return left, nil
}

// TestVolumes has a pod inside keep something on a volume, and keeps the claim of
// a deleted virtual cluster itself where that was asked for.
func TestVolumes(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-volumes")
	admin.Apply(t, suite.Object(ns, "kept", "{controlPlane: {storage: {whenDeleted: Retain}}}"))
	admin.Do(t, "wait", "--for=condition=Ready", "vc/kept", "-n", ns, "--timeout=180s")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "kept")
	inside.Apply(t, manifest(t, "storage.yaml"))
	inside.Do(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=90s")
	if got := inside.Do(t, "logs", "writer"); got != "kept\n" {
		t.Errorf("what the pod read from its volume: got %q, want %q", got, "kept\n")
	}
	admin.Do(t, "delete", "vc", "kept", "-n", ns, "--timeout=120s")
	framework.SucceedsWithin(t, 30*time.Second, "the claims alone are left", func(context.Context) error {
		left, err := objects(ns)
		slices.Sort(left)
		if err == nil && (len(left) != 2 || !strings.HasPrefix(left[0], "persistentvolumeclaim/data-default-") || left[1] != "persistentvolumeclaim/data-vc-kept-0") {
			err = fmt.Errorf("objects left: got %v, want the claims of control plane and workload alone", left)
		}
		return err
	})
	madeAgain(t, ns)
}

// madeAgain creates the virtual cluster on what was retained, and wants its workload to
// have its volume.
func madeAgain(t *testing.T, ns string) {
	admin := shared.Admin()
	orphans := func() string {
		return admin.Do(t, "get", "pvc", "-n", ns, "-l", "garret.dev/orphan", "-o", "jsonpath={.items[*].metadata.uid}")
	}
	claims := orphans()
	admin.Apply(t, suite.Object(ns, "kept", "{controlPlane: {storage: {whenDeleted: Retain}}}"))
	admin.Do(t, "wait", "--for=condition=Ready", "vc/kept", "-n", ns, "--timeout=180s")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "kept")
	inside.Do(t, "delete", "pod", "reader", "--ignore-not-found", "--timeout=60s")
	readAgain(t, inside)
	framework.SucceedsWithin(t, 30*time.Second, "the claim is no orphan any more", func(context.Context) error {
		if left := orphans(); claims == "" || left != "" {
			return fmt.Errorf("before: %q, now %q", claims, left)
		}
		return nil
	})
}

// readAgain has a pod of its own read what the writer left on its volume.
func readAgain(t *testing.T, inside framework.Client) {
	t.Helper()
	inside.Apply(t, `apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: reader, image: "docker.io/library/busybox:1.36", command: [cat, /data/file], volumeMounts: [{name: data, mountPath: /data}]}
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: data}}
`)
	inside.Do(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/reader", "--timeout=90s")
	if got := inside.Do(t, "logs", "reader"); got != "kept\n" {
		t.Errorf("what another pod read from the volume: got %q, want %q", got, "kept\n")
	}
}
