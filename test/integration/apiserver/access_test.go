// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/test/integration/framework"
)

// as is the host seen by a user, who is a member of the group dev.
func as(t *testing.T, user string) tenancyv1.VirtualClusterInterface {
	t.Helper()
	config := rest.CopyConfig(shared.host.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"dev", "system:authenticated"}}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.TenancyV1().VirtualClusters(insideNamespace)
}

// enter makes the one virtual cluster with a control plane behind it, ready,
// once for all tests, with a user for each of the chart's roles.
func enter(t *testing.T) *v1.VirtualCluster {
	t.Helper()
	in := shared.garret.Clients.TenancyV1().VirtualClusters(insideNamespace)
	if got, err := in.Get(t.Context(), insideName, metav1.GetOptions{}); err == nil {
		return got
	}
	if _, err := shared.host.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: insideNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for user, role := range map[string]string{
		"alice": "admin", "bob": "garret-enter-readonly", "carol": "view", "dave": "garret-enter",
	} {
		if _, err := shared.host.Client.RbacV1().RoleBindings(insideNamespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user, APIGroup: rbacv1.GroupName}},
			RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: role, APIGroup: rbacv1.GroupName},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	object, err := shared.virtual.Ready(t.Context(), shared.garret.Clients, create(t, in, named(insideName)))
	if err != nil {
		t.Fatal(err)
	}
	// Aggregated roles take a moment to be put together.
	eventually(t, "alice may ask for a kubeconfig", func(ctx context.Context) (bool, error) {
		_, err := as(t, "alice").CreateKubeconfig(ctx, insideName, &v1.KubeconfigRequest{}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil, nil
	})
	return object
}

func TestRights(t *testing.T) {
	enter(t)
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	actions := map[string]func(string) error{
		"get": func(u string) error {
			_, err := as(t, u).Get(t.Context(), insideName, metav1.GetOptions{})
			return err
		},
		"list": func(u string) error {
			_, err := as(t, u).List(t.Context(), metav1.ListOptions{})
			return err
		},
		"create": func(u string) error {
			_, err := as(t, u).Create(t.Context(), named("other"), dry)
			return err
		},
		"delete": func(u string) error {
			return as(t, u).Delete(t.Context(), insideName, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		},
		"status": func(u string) error {
			_, err := as(t, u).UpdateStatus(t.Context(), enter(t), metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		},
		"kubeconfig": func(u string) error {
			_, err := as(t, u).CreateKubeconfig(t.Context(), insideName, &v1.KubeconfigRequest{}, dry)
			return err
		},
		"look inside": func(u string) error {
			output, err := kubectlInside(t, u, "", "get", "namespaces", "-o", "name")
			return said(output, err)
		},
		"list pods inside": func(u string) error {
			output, err := kubectlInside(t, u, "", "get", "pods", "-A")
			return said(output, err)
		},
		"change inside": func(u string) error {
			output, err := kubectlInside(t, u, "", "create", "configmap", "c", "--dry-run=server")
			return said(output, err)
		},
		"secrets inside": func(u string) error {
			output, err := kubectlInside(t, u, "", "get", "secrets", "-A")
			return said(output, err)
		},
	}
	for user, allowed := range map[string][]string{
		"alice":   {"get", "list", "create", "delete", "kubeconfig", "look inside", "list pods inside", "change inside", "secrets inside"},
		"bob":     {"get", "list", "look inside", "list pods inside"},
		"carol":   {"list"},
		"dave":    {"get", "list", "look inside", "list pods inside", "change inside", "secrets inside"},
		"mallory": {},
	} {
		for action, try := range actions {
			t.Run(user+"/"+action, func(t *testing.T) {
				want := false
				for _, a := range allowed {
					want = want || a == action
				}
				err := try(user)
				if want && err != nil {
					t.Errorf("refused: %v", err)
				}
				if !want && !apierrors.IsForbidden(err) && !(err != nil && strings.Contains(strings.ToLower(err.Error()), "forbidden")) {
					t.Errorf("got %v, want Forbidden", err)
				}
			})
		}
	}
}

// said turns what kubectl printed into an error.
func said(output string, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// kubectlInside runs kubectl on the virtual cluster through the proxy, as a host user.
func kubectlInside(t *testing.T, user, input string, args ...string) (string, error) {
	t.Helper()
	loaded, err := clientcmd.LoadFromFile(shared.host.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range loaded.Clusters {
		cluster.Server += "/apis/tenancy.garret.dev/v1/namespaces/" + insideNamespace + "/virtualclusters/" + insideName + "/proxy"
	}
	for _, info := range loaded.AuthInfos {
		info.Impersonate, info.ImpersonateGroups = user, []string{"dev", "system:authenticated"}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*loaded, file); err != nil {
		t.Fatal(err)
	}
	return framework.Kubectl(t, file, input, args...)
}

func TestIdentityInside(t *testing.T) {
	enter(t)
	for user, group := range map[string]string{"alice": v1.GroupAdmins, "bob": v1.GroupViewers} {
		output, err := kubectlInside(t, user, "", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")
		if user == "bob" {
			// whoami is a create, which a reader may not.
			if err == nil {
				t.Errorf("bob: got %q, want a refusal, since it is a create", output)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(output, v1.HostUserPrefix+user+" ") || !strings.Contains(output, group) ||
			!strings.Contains(output, v1.HostUserPrefix+"dev") || strings.Contains(output, "system:masters") {
			t.Errorf("%s: got %q, %v; want host:%s in %s and host:dev", user, output, err, user, group)
		}
	}
	// The host's administrator is in system:masters there, and must not be inside.
	output := mustKubectlInside(t, "", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")
	if !strings.HasPrefix(output, v1.HostUserPrefix) || strings.Contains(output, `"system:masters"`) {
		t.Errorf("administrator: got %q, want a host: name and no bare system:masters", output)
	}
}

// mustKubectlInside is as the host's administrator.
func mustKubectlInside(t *testing.T, input string, args ...string) string {
	t.Helper()
	server := shared.host.Config.Host + "/apis/tenancy.garret.dev/v1/namespaces/" + insideNamespace + "/virtualclusters/" + insideName + "/proxy"
	return mustKubectl(t, input, append(args, "--server", server)...)
}

func TestWorkThroughTheProxy(t *testing.T) {
	enter(t)
	deployment := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"through","namespace":"default"},"data":{"a":"b"}}`
	if output, err := kubectlInside(t, "alice", deployment, "apply", "--dry-run=server", "-f", "-"); err != nil || !strings.Contains(output, "server dry run") {
		t.Errorf("dry run: got %q, %v", output, err)
	}
	if output, err := kubectlInside(t, "alice", "", "get", "configmap", "through"); err == nil {
		t.Errorf("after a dry run: got %q, want nothing there", output)
	}
	for _, args := range [][]string{
		{"apply", "-f", "-"}, {"apply", "--server-side", "--force-conflicts", "-f", "-"}, {"get", "cm", "through", "-o", "yaml"},
		{"explain", "pods"}, {"api-resources"}, {"patch", "cm", "through", "-p", `{"data":{"a":"c"}}`},
		{"wait", "cm/through", "--for=jsonpath={.data.a}=c", "--timeout=10s"}, {"delete", "cm", "through"}, {"version"},
	} {
		if output, err := kubectlInside(t, "alice", deployment, args...); err != nil {
			t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}

func TestReaderCannotUpgrade(t *testing.T) {
	enter(t)
	for name, environment := range map[string]string{"websocket": "true", "spdy": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", environment)
			pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","namespace":"default"},"spec":{"nodeName":"n","containers":[{"name":"c","image":"i"}]}}`
			if output, err := kubectlInside(t, "alice", pod, "apply", "-f", "-"); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			defer kubectlInside(t, "alice", "", "delete", "pod", name, "--now", "--wait=false")
			output, err := kubectlInside(t, "bob", "", "exec", name, "--", "true")
			if err == nil || !strings.Contains(strings.ToLower(output), "forbidden") {
				t.Errorf("got %q, %v; want Forbidden", output, err)
			}
		})
	}
}

func TestKubeconfig(t *testing.T) {
	object := enter(t)
	request := func(change func(*v1.KubeconfigRequest)) (*v1.KubeconfigRequest, error) {
		r := &v1.KubeconfigRequest{}
		change(r)
		return as(t, "alice").CreateKubeconfig(t.Context(), insideName, r, metav1.CreateOptions{})
	}
	got, err := request(func(*v1.KubeconfigRequest) {})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.Status.ExpirationTimestamp.Time); left < 50*time.Minute || left > 70*time.Minute {
		t.Errorf("the credential lives %s, want an hour", left)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, got.Status.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := framework.Kubectl(t, file, "", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")
	if err == nil && (!strings.HasPrefix(output, "host:alice ") || !strings.Contains(output, v1.KubeconfigPrefix+got.Status.CredentialID)) {
		t.Errorf("got %q, want host:alice in the group of credential %q", output, got.Status.CredentialID)
	}
	if err != nil {
		t.Errorf("the kubeconfig does not work: %v: %s", err, output)
	}
	eventually(t, "the request for a kubeconfig is in the audit log, with its id and serial number", func(context.Context) (bool, error) {
		return audited(t), nil // it is written after the answer
	})
	for name, test := range map[string]struct {
		change func(*v1.KubeconfigRequest)
		check  func(error) bool
	}{
		"too short":    {func(r *v1.KubeconfigRequest) { r.Spec.ExpirationSeconds = ptr.To(int64(60)) }, apierrors.IsInvalid},
		"other UID":    {func(r *v1.KubeconfigRequest) { r.UID = "00000000-0000-0000-0000-000000000000" }, apierrors.IsConflict},
		"plain server": {func(r *v1.KubeconfigRequest) { r.Spec.Server = "http://x" }, apierrors.IsInvalid},
		"right UID":    {func(r *v1.KubeconfigRequest) { r.UID = object.UID }, func(err error) bool { return err == nil }},
	} {
		if _, err := request(test.change); !test.check(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	long := `{"apiVersion":"tenancy.garret.dev/v1","kind":"KubeconfigRequest","spec":{"expirationSeconds":999999}}`
	output, err = kubectl(t, long, "create", "--raw", "/apis/tenancy.garret.dev/v1/namespaces/"+insideNamespace+"/virtualclusters/"+insideName+"/kubeconfig", "-f", "-")
	if err != nil || !strings.Contains(output, "Warning") {
		t.Errorf("a life too long: got %q, %v; want a warning", output, err)
	}
}

// audited tells whether a request for a kubeconfig is in the audit log with what
// identifies the credential. None may be there with a body, though the policy asks
// for every body.
func audited(t *testing.T) bool {
	t.Helper()
	log, err := os.ReadFile(shared.garret.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(string(log)) {
		var event struct {
			ObjectRef                     struct{ Subresource string }
			RequestObject, ResponseObject json.RawMessage
			Annotations                   map[string]string
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.ObjectRef.Subresource != "kubeconfig" {
			continue
		}
		found = found || event.Annotations[access.AuditSerial] != "" && event.Annotations[access.AuditCredential] != ""
		if len(event.RequestObject)+len(event.ResponseObject) > 0 {
			t.Errorf("the audit log holds a credential:\n%s", line)
		}
	}
	return found
}

func TestNotReadySaysWhy(t *testing.T) {
	in := clusters(t)
	namespace := create(t, in, named("demo")).Namespace
	path := "/apis/tenancy.garret.dev/v1/namespaces/" + namespace + "/virtualclusters/demo/"
	client, err := rest.HTTPClientFor(shared.host.Config)
	if err != nil {
		t.Fatal(err)
	}
	for subresource, method := range map[string]string{"kubeconfig": http.MethodPost, "proxy/api": http.MethodGet} {
		body := strings.NewReader(`{"apiVersion":"tenancy.garret.dev/v1","kind":"KubeconfigRequest"}`)
		request, err := http.NewRequestWithContext(t.Context(), method, shared.host.Config.Host+path+subresource, body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var status metav1.Status
		err = json.NewDecoder(answer.Body).Decode(&status)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(status.Message, "Pending") {
			t.Errorf("%s: got %s, Retry-After %q, %q, %v; want 503 with the phase", subresource, answer.Status, answer.Header.Get("Retry-After"), status.Message, err)
		}
	}
	if output, err := kubectl(t, "", "get", "--raw", strings.Replace(path, "demo", "missing", 1)+"proxy/api"); err == nil || !strings.Contains(output, "NotFound") {
		t.Errorf("proxy of what is not there: got %q, want NotFound", output)
	}
}

// TestWatchOutlastsRequests watches inside for longer than a request may take.
func TestWatchOutlastsRequests(t *testing.T) {
	enter(t)
	config := rest.CopyConfig(shared.host.Config)
	config.Host += "/apis/tenancy.garret.dev/v1/namespaces/" + insideNamespace + "/virtualclusters/" + insideName + "/proxy"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	configMaps := client.CoreV1().ConfigMaps("default")
	watcher, err := configMaps.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=late"})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	begun := time.Now()
	eventually(t, "any other request would have ended", func(context.Context) (bool, error) {
		return time.Since(begun) > requestTimeout+2*time.Second, nil
	})
	if _, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer configMaps.Delete(context.Background(), "late", metav1.DeleteOptions{})
	select {
	case event, open := <-watcher.ResultChan():
		if !open || event.Type != watch.Added {
			t.Errorf("got %v (open %v), want the ConfigMap", event, open)
		}
	case <-time.After(timeout):
		t.Error("no event arrived")
	}
}

// TestGatewayIsOff asks for the virtual cluster on garret-apiserver's own
// address, which is no way in unless the operator says so.
func TestGatewayIsOff(t *testing.T) {
	enter(t)
	config := rest.CopyConfig(shared.host.Config)
	config.Host, config.CAData, config.Insecure = "https://"+shared.garret.Address, nil, true
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/readyz": http.StatusOK, v1.GatewayPath(insideName, insideNamespace) + "/api": http.StatusNotFound} {
		answer, err := client.Get(config.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		var status metav1.Status
		if answer.StatusCode == http.StatusNotFound {
			err = json.NewDecoder(answer.Body).Decode(&status)
		}
		answer.Body.Close()
		if err != nil || answer.StatusCode != want || want == http.StatusNotFound && !strings.Contains(status.Message, "switched off") {
			t.Errorf("%s: answered %d, %q, %v; want %d, and why", path, answer.StatusCode, status.Message, err, want)
		}
	}
}
