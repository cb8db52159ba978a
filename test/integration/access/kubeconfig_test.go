// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/integration/framework"
)

// ask is for a kubeconfig, by alice on the host.
func ask(t *testing.T, spec v1.KubeconfigRequestSpec, dryRun bool) (*v1.KubeconfigRequest, error) {
	t.Helper()
	config := rest.CopyConfig(shared.host.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "alice", Groups: []string{"dev", "system:authenticated"}}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	options := metav1.CreateOptions{}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	// The roles of the chart are aggregated into those of the host a moment after its start.
	var answer *v1.KubeconfigRequest
	var refused error
	framework.Eventually(t, "alice may ask", func(ctx context.Context) (bool, error) {
		answer, refused = client.TenancyV1().VirtualClusters(namespace).CreateKubeconfig(ctx, name, &v1.KubeconfigRequest{Spec: spec}, options)
		return !apierrors.IsForbidden(refused), nil
	})
	return answer, refused
}

// take asks for one, and writes it to a file.
func take(t *testing.T, role string) (file, id string) {
	t.Helper()
	answer, err := ask(t, v1.KubeconfigRequestSpec{ClusterRole: role}, false)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, answer.Status.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, answer.Status.CredentialID
}

// kubeconfigBindings is how many there are inside.
func kubeconfigBindings(t *testing.T) int {
	t.Helper()
	list, err := shared.inside.Client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{LabelSelector: v1.LabelAccess + "=" + v1.AccessKubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// newKubeconfigBinding makes one as the issuer does, and returns its name.
func newKubeconfigBinding(t *testing.T, id string, expires time.Time) string {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: v1.KubeconfigPrefix + id, Labels: map[string]string{v1.LabelAccess: v1.AccessKubeconfig},
			Annotations: map[string]string{v1.AnnotationExpires: expires.UTC().Format(time.RFC3339)}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
	}
	if _, err := shared.inside.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return binding.Name
}

const whoami = "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"

func TestKubeconfigOfAnAdministrator(t *testing.T) {
	file, id := take(t, "")
	// The very first request works: the authorizer inside knows the binding already.
	if output, err := framework.Kubectl(t, file, "", "create", "namespace", "of-alice"); err != nil {
		t.Fatalf("first request: %v: %s", err, output)
	}
	want := `host:alice ["garret:kubeconfig:` + id + `","system:authenticated"]`
	if output, err := framework.Kubectl(t, file, "", "auth", "whoami", "-o", whoami); err != nil || output != want {
		t.Errorf("whoami: got %q, %v; want %s", output, err, want)
	}
	// Deleting the binding, as alice herself, takes her rights away.
	if output, err := framework.Kubectl(t, file, "", "delete", "clusterrolebinding", v1.KubeconfigPrefix+id); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	revoked(t, file)
}

// revoked wants a kubeconfig to be known and without rights.
func revoked(t *testing.T, file string) {
	t.Helper()
	start := time.Now()
	framework.Eventually(t, "refused", func(context.Context) (bool, error) {
		output, err := framework.Kubectl(t, file, "", "get", "namespaces")
		return err != nil && strings.Contains(output, "Forbidden"), nil
	})
	t.Logf("refused after %v", time.Since(start).Round(time.Millisecond))
	if output, err := framework.Kubectl(t, file, "", "auth", "whoami", "-o", whoami); err != nil || !strings.Contains(output, "system:authenticated") {
		t.Errorf("whoami of a revoked kubeconfig: got %q, %v; the certificate itself is good until it ends", output, err)
	}
}

func TestKubeconfigHeldToARole(t *testing.T) {
	startSyncer(t)
	// What alice has by name must not come with a credential that is held to a role.
	setRules(t, v1.AccessRule{Users: []string{"alice"}, Groups: []string{"dev"}, ClusterRole: "cluster-admin"})
	become(t, "host:alice", nil, "create", "secrets", true)
	file, id := take(t, "view")
	want := `garret:kubeconfig:` + id + `:alice ["garret:kubeconfig:` + id + `","system:authenticated"]`
	if output, err := framework.Kubectl(t, file, "", "auth", "whoami", "-o", whoami); err != nil || output != want {
		t.Errorf("whoami: got %q, %v; want %s", output, err, want)
	}
	if output, err := framework.Kubectl(t, file, "", "get", "pods", "-A"); err != nil {
		t.Errorf("read: %v: %s", err, output)
	}
	for _, args := range [][]string{
		{"create", "configmap", "c"}, {"get", "secrets"}, {"delete", "namespace", "default"},
		{"create", "clusterrolebinding", "more", "--clusterrole=cluster-admin", "--group=" + v1.KubeconfigPrefix + id},
		{"get", "pods", "--as=system:admin", "--as-group=system:masters"},
	} {
		if output, err := framework.Kubectl(t, file, "", args...); err == nil || !strings.Contains(strings.ToLower(output), "forbidden") {
			t.Errorf("kubectl %s: got %q, %v; want it forbidden", strings.Join(args, " "), output, err)
		}
	}
	binding, err := shared.inside.Client.RbacV1().ClusterRoleBindings().Get(t.Context(), v1.KubeconfigPrefix+id, metav1.GetOptions{})
	if err != nil || binding.RoleRef.Name != "view" || binding.Annotations[v1.AnnotationHostUser] != "alice" {
		t.Errorf("got binding %v, %v; want one of view for alice", binding, err)
	}
	if err := shared.inside.Client.RbacV1().ClusterRoleBindings().Delete(t.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	revoked(t, file)
	setRules(t)
}

func TestKubeconfigLeavesNothingBehind(t *testing.T) {
	before := kubeconfigBindings(t)
	for role, want := range map[string]func(error) bool{"nobody-made-this": apierrors.IsInvalid, "": func(err error) bool { return err == nil }, "view": func(err error) bool { return err == nil }} {
		answer, err := ask(t, v1.KubeconfigRequestSpec{ClusterRole: role}, true)
		if !want(err) {
			t.Errorf("dry run with role %q: got %v", role, err)
		}
		if err == nil && (answer.Status.CredentialID != "" || len(answer.Status.Kubeconfig) > 0) {
			t.Errorf("dry run with role %q: got %+v, want no credential", role, answer.Status)
		}
	}
	_, err := ask(t, v1.KubeconfigRequestSpec{ClusterRole: "nobody-made-this"}, false)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.clusterRole") {
		t.Errorf("a role that is not there: got %v, want Invalid on spec.clusterRole", err)
	}
	if after := kubeconfigBindings(t); after != before {
		t.Errorf("got %d bindings, want %d as before", after, before)
	}
}

// TestKubeconfigEndsOnTheHost shows it to the host, with a group of its name bound there and inside.
func TestKubeconfigEndsOnTheHost(t *testing.T) {
	file, id := take(t, "view")
	loaded, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range loaded.Clusters {
		cluster.Server, cluster.CertificateAuthorityData, cluster.TLSServerName = shared.host.Config.Host, shared.host.Config.CAData, ""
	}
	onHost := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*loaded, onHost); err != nil {
		t.Fatal(err)
	}
	for _, control := range []rest.Interface{shared.host.Client.RbacV1().RESTClient(), shared.inside.Client.RbacV1().RESTClient()} {
		forged := &rbacv1.ClusterRoleBinding{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
			ObjectMeta: metav1.ObjectMeta{Name: "forged-" + id},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: v1.KubeconfigPrefix + id}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}
		if err := control.Post().Resource("clusterrolebindings").Body(forged).Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if output, err := framework.Kubectl(t, onHost, "", "get", "namespaces"); err == nil || !strings.Contains(output, "nauthorized") && !strings.Contains(output, "must be logged in") {
		t.Errorf("on the host: got %q, %v; want it unknown there", output, err)
	}
}

// TestExpired has bindings of kubeconfigs end while a syncer runs, and while none does.
func TestExpired(t *testing.T) {
	bindings := shared.inside.Client.RbacV1().ClusterRoleBindings()
	old := newKubeconfigBinding(t, "00000000000000a0", time.Now().Add(-time.Hour))
	later := newKubeconfigBinding(t, "00000000000000b0", time.Now().Add(time.Hour))
	unmarked := newKubeconfigBinding(t, "00000000000000c0", time.Now())
	got, err := bindings.Get(t.Context(), unmarked, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got.Annotations = nil
	if _, err := bindings.Update(t.Context(), got, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	startSyncer(t)
	soon := newKubeconfigBinding(t, "00000000000000d0", time.Now().Add(3*time.Second))
	for _, name := range []string{old, soon} {
		framework.Eventually(t, name+" is gone", func(ctx context.Context) (bool, error) {
			_, err := bindings.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
	for _, name := range []string{later, unmarked} {
		if _, err := bindings.Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Errorf("%s: got %v, want it left alone", name, err)
		}
		if err := bindings.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
}
