// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/framework"
)

const hookInside = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: %[1]s.example.org
  clientConfig: {url: "%[2]s"}
  objectSelector: {matchLabels: {way: %[1]s}}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  admissionReviewVersions: [v1]
`

const nodeInside = `apiVersion: v1
kind: Node
metadata: {name: %s}
status:
  addresses: [{type: InternalIP, address: %s}]
  daemonEndpoints: {kubeletEndpoint: {Port: %d}}
`

// TestEgress has the administrator inside steer the API server to whatever the host's network
// has, and to what is their own.
func TestEgress(t *testing.T) {
	t.Parallel()
	ns := shared.Namespace(t, "e2e-egress")
	o := runTenant(t, ns, "{}")
	inside, host := o.inside, shared.Admin()
	inside.Apply(t, statefulSet)
	host.Do(t, "run", "neighbour", "-n", ns, "--image=registry.k8s.io/e2e-test-images/agnhost:2.53", "--restart=Never", "--", "netexec", "--http-port=8080")
	inside.Do(t, "rollout", "status", "statefulset/db", "--timeout=120s")
	host.Do(t, "wait", "--for=condition=Ready", "pod/neighbour", "-n", ns, "--timeout=120s")
	field := func(client framework.Client, path string, what ...string) string {
		t.Helper()
		return client.Do(t, append(append([]string{"get"}, what...), "-o", "jsonpath="+path)...)
	}
	neighbour := field(host, "{.status.podIP}", "pod", "neighbour", "-n", ns)
	plane := field(host, "{.status.podIP}", "pod", "vc-demo-0", "-n", ns)
	pod := field(host, "{.metadata.uid}", "pod", "vc-demo-0", "-n", ns)
	hostNode := field(host, "{.status.hostIP}", "pod", "vc-demo-0", "-n", ns)
	hostAPI := field(host, "{.spec.clusterIP}", "service", "kubernetes", "-n", "default")

	t.Run("webhooks", func(t *testing.T) {
		targets := map[string]string{
			"host-api": hostAPI + ":443", "host-api-at-the-node": hostNode + ":6443", "kubelet-of-the-host": hostNode + ":10250", "neighbour": neighbour + ":8080",
			"metadata": "169.254.169.254:80", "controller-manager": "127.0.0.1:10257", "issuer": "127.0.0.1:8443", "health": "127.0.0.1:8080",
			"issuer-at-the-pod": plane + ":8443", "health-at-the-pod": plane + ":8080", "api-at-the-pod": plane + ":6443", "kubelet-at-the-pod": plane + ":10250",
		}
		for name, target := range targets {
			inside.Apply(t, fmt.Sprintf(hookInside, name, "https://"+target+"/"))
		}
		for name := range targets {
			framework.SucceedsWithin(t, 30*time.Second, "the door to "+name+" stays closed", func(context.Context) error {
				manifest := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-, labels: {way: %s}}\n", name)
				out, err := inside.Input(manifest).Try("create", "--dry-run=server", "-f", "-")
				if err == nil || !strings.Contains(out+err.Error(), "code 403") {
					return fmt.Errorf("got %q, %v", out, err)
				}
				return nil
			})
			inside.Do(t, "delete", "validatingwebhookconfiguration", name)
		}
	})

	t.Run("nodes", func(t *testing.T) {
		config, err := clientcmd.BuildConfigFromFlags("", inside.Kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		config.QPS = -1
		configurations := kubernetes.NewForConfigOrDie(config).AdmissionregistrationV1().ValidatingWebhookConfigurations()
		for name, at := range map[string]struct {
			address string
			port    int
		}{"loopback": {"127.0.0.1", 10257}, "itself": {plane, 6443}, "of-the-host": {hostNode, 10250}, "host-api": {hostNode, 6443}, "metadata": {"169.254.169.254", 80}} {
			manifest := fmt.Sprintf(nodeInside, name, at.address, at.port)
			framework.SucceedsWithin(t, 30*time.Second, "the node "+name+" is refused", func(context.Context) error {
				out, err := inside.Input(manifest).Try("create", "--dry-run=server", "-f", "-")
				if err == nil || !strings.Contains(out+err.Error(), "no setting ") || !strings.Contains(out+err.Error(), "status.addresses[0]") {
					return fmt.Errorf("got %q, %v", out, err)
				}
				return nil
			})
			// An administrator inside deletes the webhook faster than the syncer restores it.
			ctx, stop := context.WithCancel(t.Context())
			stopped := make(chan error, 1)
			go func() {
				stopped <- wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(ctx context.Context) (bool, error) {
					err := configurations.Delete(ctx, "garret.dev", metav1.DeleteOptions{})
					if apierrors.IsNotFound(err) || ctx.Err() != nil {
						err = nil
					}
					return false, err
				})
			}()
			framework.SucceedsWithin(t, 30*time.Second, "the node "+name+" is there", func(context.Context) error {
				_, err := inside.Input(manifest).Try("create", "-f", "-")
				return err
			})
			stop()
			if err := <-stopped; !errors.Is(err, context.Canceled) {
				t.Fatalf("delete the webhook: %v", err)
			}
			answer, err := inside.Try("get", "--raw", "/api/v1/nodes/"+name+"/proxy/healthz")
			if err == nil || !strings.Contains(answer+err.Error(), "code 403") && !strings.Contains(answer+err.Error(), "address not allowed") {
				t.Errorf("node %s by nodes/proxy: got %q, %v, want it refused", name, answer, err)
			}
			inside.Do(t, "delete", "node", name)
		}
	})

	t.Run("what is their own", func(t *testing.T) {
		for _, path := range []string{"pods/db-0:8080", "services/web:80"} {
			framework.SucceedsWithin(t, 30*time.Second, path+" by proxy", func(context.Context) error {
				answer, err := inside.Try("get", "--raw", "/api/v1/namespaces/default/"+path+"/proxy/hostname")
				if err == nil && !strings.HasPrefix(answer, "db-") {
					err = errors.New(answer)
				}
				return err
			})
		}
		if got := inside.Do(t, "exec", "db-0", "--", "hostname"); got != "db-0\n" {
			t.Errorf("exec: got %q", got)
		}
		if got := inside.Do(t, "logs", "db-0"); got == "" {
			t.Error("logs: got none")
		}
		node := field(inside, "{.spec.nodeName}", "pod", "db-0")
		if got := inside.Do(t, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/healthz"); got != "ok" {
			t.Errorf("the kubelet: got %q", got)
		}
	})

	t.Run("a mapped Service", func(t *testing.T) {
		host.Do(t, "expose", "pod", "neighbour", "-n", ns, "--port=80", "--target-port=8080")
		host.Do(t, "patch", "vc", "demo", "-n", ns, "--type=merge", "-p", fmt.Sprintf(
			`{"spec":{"syncer":{"fromHost":{"services":{"mappings":[{"from":{"namespace":%q,"name":"neighbour"},"to":{"namespace":"default","name":"beside"}}]}}}}}`, ns))
		answers(t, inside, "db-0", "beside.default.svc.cluster.local", "neighbour")
		if got := field(host, "{.metadata.uid}", "pod", "vc-demo-0", "-n", ns); got != pod {
			t.Errorf("the control plane's pod: got %s after a mapping, want %s as before", got, pod)
		}
		host.Do(t, "delete", "service", "neighbour", "-n", ns)
		framework.SucceedsWithin(t, 30*time.Second, "the Service inside goes with its source", func(context.Context) error {
			out, err := inside.Try("get", "service", "beside", "--ignore-not-found", "-o", "name")
			if err == nil && out != "" {
				err = errors.New(out)
			}
			return err
		})
	})
}

// answers has a pod inside, which runs netexec, ask a host name at port 80 who it is, until that
// is who is wanted.
func answers(t *testing.T, inside framework.Client, pod, name, want string) {
	t.Helper()
	framework.SucceedsWithin(t, 30*time.Second, pod+" is answered by "+name, func(context.Context) error {
		got, err := inside.Try("get", "--raw", "/api/v1/namespaces/default/pods/"+pod+":8080/proxy/dial?port=80&protocol=http&request=hostname&tries=1&host="+name)
		if err == nil && got != `{"responses":["`+want+`"]}` {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return err
	})
}
