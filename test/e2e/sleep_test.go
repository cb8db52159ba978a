// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/framework"
)

// TestSleep puts a virtual cluster to sleep and wakes it, as its owner does. Its pod has the
// time to write down that it ends, and the host's quota is free while nothing runs.
func TestSleep(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-sleep")
	admin.Do(t, "create", "quota", "room", "--hard=pods=10", "-n", ns)
	shared.VirtualCluster(t, ns, "demo")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Apply(t, manifest(t, "sleeper.yaml"))
	inside.Do(t, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=90s")
	const identity = "jsonpath={.metadata.uid} {.spec.nodeName}"
	before := inside.Do(t, "get", "pod", "sleeper", "-o", identity)
	address := inside.Do(t, "get", "service", "sleeper", "-o", "jsonpath={.spec.clusterIP}")

	admin.Garret(t, "sleep", "demo", "-n", ns)
	if left := admin.Do(t, "get", "pods", "-n", ns, "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("asleep, there are on the host: %s", left)
	}
	framework.Succeeds(t, "the host's quota is free", func(context.Context) error {
		used, err := admin.Try("get", "quota", "room", "-n", ns, "-o", "jsonpath={.status.used.pods}")
		if err == nil && used != "0" {
			err = fmt.Errorf("%s pods count", used)
		}
		return err
	})
	inside.Refused(t, "garret wake demo", "get", "pods")
	if got := admin.Do(t, "get", "vc", "demo", "-n", ns); !strings.Contains(got, "Sleeping") || !strings.Contains(got, ", paused; wake it: garret wake demo -n "+ns) {
		t.Errorf("want the phase Sleeping, why, and how to wake it: %s", got)
	}

	admin.Garret(t, "wake", "demo", "-n", ns)
	framework.Succeeds(t, "the pod runs again", func(context.Context) error {
		diary, err := inside.Try("exec", "sleeper", "--", "cat", "/data/diary")
		if got := strings.Join(strings.Fields(diary), " "); err == nil && got != "awake asleep awake" {
			err = fmt.Errorf("its diary says %q", got)
		}
		return err
	})
	if after := inside.Do(t, "get", "pod", "sleeper", "-o", identity); after != before {
		t.Errorf("the pod was %s, and is %s", before, after)
	}
	if again := inside.Do(t, "get", "service", "sleeper", "-o", "jsonpath={.spec.clusterIP}"); again != address {
		t.Errorf("the Service had %s, and has %s", address, again)
	}
	inside.Do(t, "rollout", "status", "deployment/shop", "--timeout=60s")
	wakeByRequests(t, ns, inside)
	wakeByTraffic(t, ns, inside)
}

// fallAsleep has it fall asleep by a schedule, with other settings of spec.sleep.
func fallAsleep(t *testing.T, ns, settings string) {
	t.Helper()
	admin := shared.Admin()
	admin.Do(t, "patch", "vc", "demo", "-n", ns, "--type=merge", "-p", `{"spec":{"sleep":{"schedule":"* * * * *",`+settings+`}}}`)
	admin.Do(t, "wait", "--for=condition=Asleep", "vc/demo", "-n", ns, "--timeout=120s")
	admin.Do(t, "patch", "vc", "demo", "-n", ns, "--type=merge", "-p", `{"spec":{"sleep":{"schedule":null}}}`)
}

// wakeByRequests has it fall asleep by a schedule. A client that is ignored does not wake it. Then
// requests of all kinds come together, and wake it once.
func wakeByRequests(t *testing.T, ns string, inside framework.Client) {
	admin := shared.Admin()
	fallAsleep(t, ns, `"ignore":[{"userAgents":["monitor/"]}]`)

	config, err := clientcmd.BuildConfigFromFlags("", inside.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "monitor/1"
	// It is to see the first answer, and not to ask again.
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return once{next} })
	_, err = kubernetes.NewForConfigOrDie(config).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "by spec.sleep.ignore this request does not wake it") {
		t.Errorf("who is ignored got %v, want 503 with the reason", err)
	}
	if got := admin.Do(t, "get", "vc", "demo", "-n", ns, "-o", "jsonpath={.status.phase} {.status.wakeRequest.sleep}"); got != "Sleeping " {
		t.Errorf("after a request that is ignored it is %q, want it asleep", got)
	}

	var group sync.WaitGroup
	for want, args := range map[string][]string{
		"pod/sleeper\n":   {"get", "pod", "sleeper", "-o", "name"},
		`{"type":"ADDED"`: {"get", "--raw", "/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=1"},
		"hello\n":         {"exec", "deployment/shop", "--", "echo", "hello"},
	} {
		group.Go(func() {
			if got, err := inside.Try(args...); err != nil || !strings.HasPrefix(got, want) {
				t.Errorf("kubectl %s: got %q, %v; want %q", strings.Join(args, " "), got, err, want)
			}
		})
	}
	group.Wait()
	framework.Succeeds(t, "one Event tells of the wake", func(context.Context) error {
		events, err := admin.Try("get", "events", "-n", ns, "--field-selector=reason=Woken", "-o", `jsonpath={range .items[*]}{.count} {.message}{"\n"}{end}`)
		if got := strings.Count(events, "by a request of"); err == nil && (got != 1 || strings.Contains(events, "2 woken")) {
			err = fmt.Errorf("got %q", events)
		}
		return err
	})
}

// wakeByTraffic has it fall asleep again. Connections to a port of the host's node, which leads to a
// Service inside, wake it once, and reach a pod of that Service.
func wakeByTraffic(t *testing.T, ns string, inside framework.Client) {
	admin := shared.Admin()
	inside.Do(t, "expose", "deployment", "shop", "--type=NodePort", "--port=80", "--target-port=8080")
	port := inside.Do(t, "get", "service", "shop", "-o", "jsonpath={.spec.ports[0].nodePort}")
	node := admin.Do(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	visit := func() error {
		answer, err := client.Get("http://" + net.JoinHostPort(node, port) + "/hostname")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err == nil && !strings.HasPrefix(string(body), "shop-") {
			err = fmt.Errorf("got %q of another pod", body)
		}
		return err
	}
	framework.Succeeds(t, "the node leads its port to the pod", func(context.Context) error { return visit() })

	fallAsleep(t, ns, `"wakeOnTraffic":true`)
	slices := []string{"get", "endpointslices", "-n", ns, "-l", "endpointslice.kubernetes.io/managed-by=activator.garret.dev", "-o", "name"}
	framework.Succeeds(t, "the Service leads to the activator", func(context.Context) error {
		found, err := admin.Try(slices...)
		if err == nil && !strings.Contains(found, "/shop-") {
			err = fmt.Errorf("got %q", found)
		}
		return err
	})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			// Until the node knows of the slice, it refuses connections.
			var last error
			if wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
				last = visit()
				return last == nil, nil
			}) != nil {
				t.Errorf("no connection reaches the pod: %v", last)
			}
		})
	}
	group.Wait()
	framework.Succeeds(t, "one Event tells of the wake, and the Service leads to its pods alone", func(context.Context) error {
		events, err := admin.Try("get", "events", "-n", ns, "--field-selector=reason=Woken", "-o", `jsonpath={range .items[*]}{.count} {.message}{"\n"}{end}`)
		if err != nil {
			return err
		}
		left, err := admin.Try(slices...)
		if got := strings.Count(events, "by a connection to one of its Services"); err == nil && (got != 1 || left != "") {
			err = fmt.Errorf("got Events %q, slices %q", events, left)
		}
		return err
	})
}

// once has no answer ask for another request.
type once struct{ http.RoundTripper }

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Header.Del("Retry-After")
	}
	return answer, err
}
