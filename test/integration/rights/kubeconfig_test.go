// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
)

// alice is somebody of the host who may do everything with the virtual cluster.
func alice(t *testing.T) *rest.Config {
	t.Helper()
	user := shared.host.Certified(t, "alice", "dev")
	// The roles of the chart are aggregated into those of the host a moment after its start.
	shared.host.AwaitAllowed(t, user, authorizationv1.ResourceAttributes{
		Verb: "create", Group: v1.GroupName, Resource: "virtualclusters", Subresource: "kubeconfig", Namespace: namespace, Name: name})
	return user.Config(shared.host.Config.Host, shared.host.Config.CAData)
}

// ask is for a kubeconfig, by alice.
func ask(t *testing.T, spec v1.KubeconfigRequestSpec, dryRun ...string) (*v1.KubeconfigRequest, error) {
	t.Helper()
	client, err := versioned.NewForConfig(alice(t))
	if err != nil {
		t.Fatal(err)
	}
	return client.TenancyV1().VirtualClusters(namespace).CreateKubeconfig(t.Context(), name, &v1.KubeconfigRequest{Spec: spec}, metav1.CreateOptions{DryRun: dryRun})
}

// take asks for one, and gives it to kubectl.
func take(t *testing.T, role string) (kubectl framework.Client, id string) {
	t.Helper()
	answer, err := ask(t, v1.KubeconfigRequestSpec{ClusterRole: role})
	if err != nil {
		t.Fatal(err)
	}
	return framework.WriteClient(t, answer.Status.Kubeconfig), answer.Status.CredentialID
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
	kubectl, id := take(t, "")
	// The very first request works: the authorizer inside knows the binding already.
	kubectl.Do(t, "create", "namespace", "of-alice")
	want := `host:alice ["garret:kubeconfig:` + id + `","system:authenticated"]`
	if got := kubectl.Do(t, "auth", "whoami", "-o", whoami); got != want {
		t.Errorf("whoami: got %q, want %s", got, want)
	}
	// Deleting the binding, as alice herself, takes her rights away.
	kubectl.Do(t, "delete", "clusterrolebinding", v1.KubeconfigPrefix+id)
	revoked(t, kubectl)
}

// revoked wants a kubeconfig to be known and without rights.
func revoked(t *testing.T, kubectl framework.Client) {
	t.Helper()
	start := time.Now()
	framework.Eventually(t, "refused", func(context.Context) (bool, error) {
		_, err := kubectl.Try("get", "namespaces")
		return err != nil && strings.Contains(err.Error(), "Forbidden"), nil
	})
	t.Logf("refused after %v", time.Since(start).Round(time.Millisecond))
	if got := kubectl.Do(t, "auth", "whoami", "-o", whoami); !strings.Contains(got, "system:authenticated") {
		t.Errorf("whoami of a revoked kubeconfig: got %q; the certificate itself is good until it ends", got)
	}
}

func TestKubeconfigHeldToARole(t *testing.T) {
	startSyncer(t)
	// What alice has by name must not come with a credential that is held to a role.
	setRules(t, v1.AccessRule{Users: []string{"alice"}, Groups: []string{"dev"}, ClusterRole: "cluster-admin"})
	become(t, "host:alice", nil, "create", "secrets", true)
	kubectl, id := take(t, "view")
	want := `garret:kubeconfig:` + id + `:alice ["garret:kubeconfig:` + id + `","system:authenticated"]`
	if got := kubectl.Do(t, "auth", "whoami", "-o", whoami); got != want {
		t.Errorf("whoami: got %q, want %s", got, want)
	}
	kubectl.Do(t, "get", "pods", "-A")
	for _, args := range [][]string{
		{"create", "configmap", "c"}, {"get", "secrets"}, {"delete", "namespace", "default"},
		{"create", "clusterrolebinding", "more", "--clusterrole=cluster-admin", "--group=" + v1.KubeconfigPrefix + id},
		{"get", "pods", "--as=system:admin", "--as-group=system:masters"},
	} {
		kubectl.Refused(t, "orbidden", args...)
	}
	binding, err := shared.inside.Client.RbacV1().ClusterRoleBindings().Get(t.Context(), v1.KubeconfigPrefix+id, metav1.GetOptions{})
	if err != nil || binding.RoleRef.Name != "view" || binding.Annotations[v1.AnnotationHostUser] != "alice" {
		t.Errorf("got binding %v, %v; want one of view for alice", binding, err)
	}
	if err := shared.inside.Client.RbacV1().ClusterRoleBindings().Delete(t.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	revoked(t, kubectl)
	setRules(t)
}

func TestKubeconfigLeavesNothingBehind(t *testing.T) {
	before := kubeconfigBindings(t)
	for role, want := range map[string]func(error) bool{"nobody-made-this": apierrors.IsInvalid, "": func(err error) bool { return err == nil }, "view": func(err error) bool { return err == nil }} {
		answer, err := ask(t, v1.KubeconfigRequestSpec{ClusterRole: role}, metav1.DryRunAll)
		if !want(err) {
			t.Errorf("dry run with role %q: got %v", role, err)
		}
		if err == nil && (answer.Status.CredentialID != "" || len(answer.Status.Kubeconfig) > 0) {
			t.Errorf("dry run with role %q: got %+v, want no credential", role, answer.Status)
		}
	}
	_, err := ask(t, v1.KubeconfigRequestSpec{ClusterRole: "nobody-made-this"})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.clusterRole") {
		t.Errorf("a role that is not there: got %v, want Invalid on spec.clusterRole", err)
	}
	if after := kubeconfigBindings(t); after != before {
		t.Errorf("got %d bindings, want %d as before", after, before)
	}
}

// TestKubeconfigEndsOnTheHost shows it to the host, with a group of its name bound there and inside.
func TestKubeconfigEndsOnTheHost(t *testing.T) {
	kubectl, id := take(t, "view")
	loaded, err := clientcmd.LoadFromFile(kubectl.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range loaded.Clusters {
		cluster.Server, cluster.CertificateAuthorityData, cluster.TLSServerName = shared.host.Config.Host, shared.host.Config.CAData, ""
	}
	onHost, err := clientcmd.Write(*loaded)
	if err != nil {
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
	_, err = framework.WriteClient(t, onHost).Try("get", "namespaces")
	if err == nil || !strings.Contains(err.Error(), "nauthorized") && !strings.Contains(err.Error(), "must be logged in") {
		t.Errorf("on the host: got %v, want it unknown there", err)
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
	soon := newKubeconfigBinding(t, "00000000000000d0", time.Now().Add(2*time.Second))
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
