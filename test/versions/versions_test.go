// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build versions

// Package versions runs older minors of Kubernetes: inside virtual clusters, from one
// to the next, and as the host of the newest.
package versions

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

var (
	// newest is a host of the newest minor, older one of the minor before.
	newest = suite.Suite{Name: "versions"}
	older  = suite.Suite{Name: "versions-older", Bin: minorOf(tenancyv1.SupportedVersions()[1])}
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, &newest, &older)) }

// minorOf is the folder of a release's minor below bin, such as v1.36.
func minorOf(release string) string { return strings.TrimSuffix(release, filepath.Ext(release)) }

// loadOlder gives the host the control planes of older minors.
func loadOlder(t *testing.T, s *suite.Suite) {
	t.Helper()
	root, err := framework.Root()
	if err != nil {
		t.Fatal(err)
	}
	archives, err := filepath.Glob(filepath.Join(root, "bin", "images", "older", "*.tar"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("%d archives, error %v: make older builds them", len(archives), err)
	}
	if s.Cluster == nil {
		return // a host that was there before has been given them
	}
	if err := s.Cluster.LoadImages(t.Context(), archives...); err != nil {
		t.Fatal(err)
	}
}

// runs is a virtual cluster of a release, with a small workload: a Deployment behind
// a Service, asked by its name from a pod with a volume.
type runs struct {
	host   *suite.Suite
	ns     string
	inside framework.Client
}

func start(t *testing.T, s *suite.Suite, ns, release string) runs {
	t.Helper()
	s.Namespace(t, ns)
	s.Admin().Apply(t, suite.Object(ns, "demo", fmt.Sprintf("{kubernetes: {version: %s}}", release)))
	s.Admin().Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=300s")
	r := runs{s, ns, s.ThroughRelay(t, s.Kubeconfig, ns, "demo")}
	r.is(t, release)
	content, err := os.ReadFile(filepath.Join("testdata", "workload.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r.inside.Apply(t, string(content))
	r.inside.Do(t, "rollout", "status", "deployment/web", "--timeout=180s")
	r.inside.Do(t, "wait", "--for=condition=Ready", "pod/data", "--timeout=180s")
	framework.SucceedsWithin(t, 120*time.Second, "something is written on the volume", func(context.Context) error {
		_, err := r.inside.Try("exec", "data", "--", "sh", "-c", "echo kept > /data/file && sync")
		return err
	})
	return r
}

// is wants the API server inside to be of a release, and the host to be told so.
func (r runs) is(t *testing.T, release string) {
	t.Helper()
	framework.SucceedsWithin(t, 180*time.Second, "inside is "+release, func(context.Context) error {
		if out, err := r.inside.Try("get", "--raw", "/version"); err != nil || !strings.Contains(out, fmt.Sprintf(`"gitVersion": %q`, release)) {
			return fmt.Errorf("error %v, got %s", err, out)
		}
		told, err := r.host.Admin().Try("get", "vc", "demo", "-n", r.ns, "-o", "jsonpath={.status.kubernetesVersion}")
		if err == nil && told != release {
			err = fmt.Errorf("status.kubernetesVersion is %q", told)
		}
		return err
	})
}

// works wants names, exec, logs, the volume and controllers to work inside.
func (r runs) works(t *testing.T) {
	t.Helper()
	framework.SucceedsWithin(t, 120*time.Second, "a pod reaches the Service by its name", func(context.Context) error {
		_, err := r.inside.Try("exec", "deployment/web", "--", "/agnhost", "connect", "web:80", "--timeout=5s")
		return err
	})
	if got := r.inside.Do(t, "exec", "data", "--", "cat", "/data/file"); got != "kept\n" {
		t.Errorf("on the volume: got %q, want what was written there", got)
	}
	if got := r.inside.Do(t, "logs", "data"); got != "begun\n" {
		t.Errorf("log: got %q, want that of one start", got)
	}
}

// onHost are the host's pods of the virtual cluster's workloads: name, UID, restarts.
func (r runs) onHost(t *testing.T) string {
	t.Helper()
	return r.host.Admin().Do(t, "get", "pods,pvc", "-n", r.ns, "-l", "garret.dev/cluster", "-o",
		`jsonpath={range .items[*]}{.kind}{" "}{.metadata.name}{" "}{.metadata.uid}{" "}{.status.containerStatuses[*].restartCount}{.metadata.deletionTimestamp}{"\n"}{end}`)
}

// objects are UIDs of what lies inside.
func (r runs) objects(t *testing.T) string {
	t.Helper()
	return r.inside.Do(t, "get", "deployments,replicasets,pods,services,configmaps,secrets,serviceaccounts,persistentvolumeclaims",
		"-n", "default", "-o", `jsonpath={range .items[*]}{.kind}{" "}{.metadata.name}{" "}{.metadata.uid}{"\n"}{end}`)
}

// TestUpgrade has a workload in the oldest minor, raises it to the newest, one minor at a
// time, and wants every object inside and on the host to be the one that it was.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	loadOlder(t, &newest)
	releases := tenancyv1.SupportedVersions()
	last := len(releases) - 1
	r := start(t, &newest, "upgrade", releases[last])
	r.works(t)
	pods, objects := r.onHost(t), r.objects(t)
	if strings.Count(pods, "Pod ") < 2 || !strings.Contains(pods, "PersistentVolumeClaim ") || !strings.Contains(objects, "ConfigMap kept ") {
		t.Fatalf("before: on the host %q, inside %q", pods, objects)
	}

	raise := func(release string) (string, error) {
		return r.host.Admin().Try("patch", "vc", "demo", "-n", r.ns, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"kubernetes":{"version":%q}}}`, release))
	}
	if out, err := raise(releases[0]); err == nil || !strings.Contains(err.Error()+out, "more than one minor at a time: set "+releases[last-1]+" first") {
		t.Errorf("raised by two minors: got %v, %s", err, out)
	}
	for i := last - 1; i >= 0; i-- {
		began := time.Now()
		if out, err := raise(releases[i]); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if i > 0 {
			if out, err := raise(releases[i-1]); err == nil || !strings.Contains(err.Error()+out, "wait until status.kubernetesVersion shows it") {
				t.Errorf("raised before the last upgrade was over: got %v, %s", err, out)
			}
		}
		r.is(t, releases[i])
		t.Logf("%s answers after %.1fs", releases[i], time.Since(began).Seconds())
		r.host.Admin().Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", r.ns, "--timeout=300s")
		r.works(t)
		if got := r.onHost(t); got != pods {
			t.Errorf("with %s the host has:\n%s\nwant as before:\n%s", releases[i], got, pods)
		}
		if got := r.objects(t); got != objects {
			t.Errorf("with %s inside are:\n%s\nwant as before:\n%s", releases[i], got, objects)
		}
		// Controllers of this minor work, too.
		r.inside.Do(t, "create", "deployment", "later", "--image=registry.k8s.io/pause:3.10")
		r.inside.Do(t, "rollout", "status", "deployment/later", "--timeout=180s")
		r.inside.Do(t, "delete", "deployment", "later", "--cascade=foreground", "--timeout=120s")
		framework.SucceedsWithin(t, 60*time.Second, "what came later is gone on the host", func(context.Context) error {
			if got := r.onHost(t); got != pods {
				return fmt.Errorf("got %s", got)
			}
			return nil
		})
	}
}

// TestInside runs the workload in the minor between on the newest host. The oldest and
// the newest ones run in TestUpgrade.
func TestInside(t *testing.T) {
	t.Parallel()
	loadOlder(t, &newest)
	for _, release := range tenancyv1.SupportedVersions()[1:2] {
		t.Run(release, func(t *testing.T) {
			start(t, &newest, "inside-"+strings.ReplaceAll(minorOf(release), ".", "-"), release).works(t)
		})
	}
}

// TestOlderHost runs the newest minor on a host that is one older.
func TestOlderHost(t *testing.T) {
	t.Parallel()
	if version := older.Admin().Do(t, "get", "--raw", "/version"); !strings.Contains(version, tenancyv1.SupportedVersions()[1]) {
		t.Fatalf("the host is %s, want %s", version, tenancyv1.SupportedVersions()[1])
	}
	start(t, &older, "newest", tenancyv1.SupportedVersions()[0]).works(t)
}
