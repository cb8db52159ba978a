// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
)

// keptIn is the Secret of the tests.
const keptIn = "demo-kubeconfig"

// setSecret writes spec.kubeconfigSecret as a user does, and returns the generation.
func setSecret(t *testing.T, user versioned.Interface, kept *v1.KubeconfigSecret) (int64, error) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"kubeconfigSecret": kept}})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := user.TenancyV1().VirtualClusters(namespace).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return 0, err
	}
	return changed.Generation, nil
}

// keep has alice ask for the Secret, and waits until the status says that it is there.
func keep(t *testing.T, format v1.KubeconfigFormat, role string) *corev1.Secret {
	t.Helper()
	generation, err := setSecret(t, clientset(t, alice(t)), &v1.KubeconfigSecret{Name: keptIn, Format: format, ClusterRole: role})
	if err != nil {
		t.Fatal(err)
	}
	reported(t, v1.ConditionKubeconfigSecret, generation, metav1.ConditionTrue, "Written")
	secret, err := shared.host.Client.CoreV1().Secrets(namespace).Get(t.Context(), keptIn, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// keepNone takes the field away when the test ends, and waits until nothing is left.
func keepNone(t *testing.T) {
	t.Helper()
	if _, err := setSecret(t, shared.garret.Clients, nil); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "Secret, bindings and condition are gone", func(ctx context.Context) (bool, error) {
		_, err := shared.host.Client.CoreV1().Secrets(namespace).Get(ctx, keptIn, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return false, err
		}
		vc, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, condition := range vc.Status.Conditions {
			if condition.Type == v1.ConditionKubeconfigSecret {
				return false, nil
			}
		}
		return len(secretBindings(ctx, t)) == 0, nil
	})
}

// secretBindings are those inside of kubeconfigs in Secrets.
func secretBindings(ctx context.Context, t *testing.T) []rbacv1.ClusterRoleBinding {
	t.Helper()
	list, err := shared.inside.Client.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{LabelSelector: v1.LabelAccess + "=" + v1.AccessSecret})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func clientset(t *testing.T, config *rest.Config) versioned.Interface {
	t.Helper()
	client, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// argoCD is how Argo CD makes a client from a Secret that it finds by its label.
func argoCD(t *testing.T) *rest.Config {
	t.Helper()
	list, err := shared.host.Client.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "argocd.argoproj.io/secret-type=cluster"})
	if err != nil || len(list.Items) != 1 || string(list.Items[0].Data["name"]) != name {
		t.Fatalf("got clusters of Argo CD %v, %v; want one called %s", list, err, name)
	}
	var config struct {
		TLSClientConfig struct {
			Insecure   bool   `json:"insecure"`
			ServerName string `json:"serverName"`
			CertData   []byte `json:"certData"`
			KeyData    []byte `json:"keyData"`
			CAData     []byte `json:"caData"`
		} `json:"tlsClientConfig"`
	}
	if err := json.Unmarshal(list.Items[0].Data["config"], &config); err != nil {
		t.Fatal(err)
	}
	tls := config.TLSClientConfig
	return &rest.Config{Host: string(list.Items[0].Data["server"]), TLSClientConfig: rest.TLSClientConfig{
		Insecure: tls.Insecure, ServerName: tls.ServerName, CertData: tls.CertData, KeyData: tls.KeyData, CAData: tls.CAData}}
}

// byKey is how Flux and Cluster API make one, from a key of a Secret that they know by name.
func byKey(key string) func(t *testing.T) *rest.Config {
	return func(t *testing.T) *rest.Config {
		t.Helper()
		secret, err := shared.host.Client.CoreV1().Secrets(namespace).Get(t.Context(), keptIn, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data[key])
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
}

// inside is a client that reaches the address of the virtual cluster's Service.
func inside(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	if config.Host != "https://vc-demo.team.svc" || config.Insecure {
		t.Errorf("got server %s, insecure %v; want the Service, verified", config.Host, config.Insecure)
	}
	config.Dial = shared.inside.Dial
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestKubeconfigInASecret has each tool enter a real API server with what it finds.
func TestKubeconfigInASecret(t *testing.T) {
	startSyncer(t)
	for _, test := range []struct {
		format v1.KubeconfigFormat
		kind   corev1.SecretType
		read   func(*testing.T) *rest.Config
	}{
		{v1.KubeconfigFormatArgoCD, corev1.SecretTypeOpaque, argoCD},
		{v1.KubeconfigFormatFlux, corev1.SecretTypeOpaque, byKey("value")},
		{v1.KubeconfigFormatClusterAPI, "cluster.x-k8s.io/secret", byKey("value")},
		{v1.KubeconfigFormatKubeconfig, corev1.SecretTypeOpaque, byKey("kubeconfig")},
	} {
		secret := keep(t, test.format, "view")
		if secret.Type != test.kind {
			t.Errorf("%s: got type %s, want %s", test.format, secret.Type, test.kind)
		}
		client := inside(t, test.read(t))
		if _, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Errorf("%s: list pods: %v", test.format, err)
		}
		if _, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s: list secrets with the ClusterRole view: got %v, want Forbidden", test.format, err)
		}
	}
	old := inside(t, byKey("kubeconfig")(t))
	keepNone(t)
	// Its certificate is good for a day still: its rights are not.
	if _, err := old.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("after the field was removed: got %v, want Forbidden", err)
	}
}

// TestKubeconfigInASecretIsRenewed steps the clock, deletes the Secret, and revokes.
func TestKubeconfigInASecretIsRenewed(t *testing.T) {
	clocked := framework.NewClock(t)
	startSyncerOn(t, &wire{conns: map[net.Conn]struct{}{}}, clocked)
	first := keep(t, v1.KubeconfigFormatFlux, "view")
	client := inside(t, byKey("value")(t))
	another := func(what string, than *corev1.Secret) *corev1.Secret {
		t.Helper()
		found := &corev1.Secret{}
		framework.Eventually(t, what, func(ctx context.Context) (done bool, err error) {
			found, err = shared.host.Client.CoreV1().Secrets(namespace).Get(ctx, keptIn, metav1.GetOptions{})
			return err == nil && string(found.Data["value"]) != string(than.Data["value"]), nil
		})
		return found
	}
	clocked.Push(16 * time.Hour)
	second := another("the kubeconfig is renewed at two thirds of a day", first)
	if second.UID != first.UID || len(secretBindings(t.Context(), t)) != 2 {
		t.Errorf("got Secret %s and %d bindings, want the same Secret and the rights of both credentials", second.UID, len(secretBindings(t.Context(), t)))
	}
	if _, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the credential before, which a tool may have still: %v", err)
	}
	// Deleting the Secret takes the rights of what was in it.
	clocked.Push(time.Minute)
	if err := shared.host.Client.CoreV1().Secrets(namespace).Delete(t.Context(), keptIn, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	third := another("a deleted Secret is written again", second)
	if _, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("with the kubeconfig of a Secret that was deleted: got %v, want Forbidden", err)
	}
	// Somebody inside revokes the credential.
	clocked.Push(time.Minute)
	bindings := secretBindings(t.Context(), t)
	if len(bindings) != 1 {
		t.Fatalf("got bindings %v, want one", bindings)
	}
	if err := shared.inside.Client.RbacV1().ClusterRoleBindings().Delete(t.Context(), bindings[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	another("a revoked credential is replaced", third)
	keepNone(t)
}

// TestKubeconfigInASecretNeedsRights has users set the field who may do less.
func TestKubeconfigInASecretNeedsRights(t *testing.T) {
	startSyncer(t)
	clusters := rbacv1.PolicyRule{APIGroups: []string{v1.GroupName}, Resources: []string{"virtualclusters"}, Verbs: []string{"get", "update", "patch"}}
	credentials := rbacv1.PolicyRule{APIGroups: []string{v1.GroupName}, Resources: []string{"virtualclusters/kubeconfig"}, ResourceNames: []string{name}, Verbs: []string{"create"}}
	secrets := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}}
	for _, test := range []struct {
		who     string
		rules   []rbacv1.PolicyRule
		refused string
	}{
		{"kept-updates", []rbacv1.PolicyRule{clusters}, `cannot create virtualclusters/kubeconfig.tenancy.garret.dev "demo"`},
		{"kept-secrets", []rbacv1.PolicyRule{clusters, secrets}, `cannot create virtualclusters/kubeconfig.tenancy.garret.dev "demo"`},
		{"kept-kubeconfigs", []rbacv1.PolicyRule{clusters, credentials}, "cannot create secrets"},
		// It comes last: what is there already takes no right.
		{"kept-both", []rbacv1.PolicyRule{clusters, credentials, secrets}, ""},
	} {
		user := shared.host.Certified(t, test.who)
		shared.host.Grant(t, user, namespace, test.rules...)
		shared.host.AwaitAllowed(t, user, authorizationv1.ResourceAttributes{Verb: "patch", Group: v1.GroupName, Resource: "virtualclusters", Namespace: namespace, Name: name})
		client := clientset(t, user.Config(shared.host.Config.Host, shared.host.Config.CAData))
		_, err := setSecret(t, client, &v1.KubeconfigSecret{Name: keptIn, ClusterRole: "cluster-admin"})
		if test.refused == "" && err != nil || test.refused != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.refused) || !strings.Contains(err.Error(), "spec.kubeconfigSecret")) {
			t.Errorf("%s: got %v, want %q", test.who, err, test.refused)
		}
	}
	keepNone(t)
}

// TestKubeconfigInASecretOfSomebody has the name be taken.
func TestKubeconfigInASecretOfSomebody(t *testing.T) {
	startSyncerOn(t, &wire{conns: map[net.Conn]struct{}{}}, clock.RealClock{})
	client := shared.host.Client.CoreV1().Secrets(namespace)
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: keptIn, Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster"}}, Data: map[string][]byte{"value": []byte("theirs")}}
	planted, err := client.Create(t.Context(), theirs, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	generation, err := setSecret(t, clientset(t, alice(t)), &v1.KubeconfigSecret{Name: keptIn, ClusterRole: "view"})
	if err != nil {
		t.Fatal(err)
	}
	reported(t, v1.ConditionKubeconfigSecret, generation, metav1.ConditionFalse, "SecretTaken")
	if got, err := client.Get(t.Context(), keptIn, metav1.GetOptions{}); err != nil || got.ResourceVersion != planted.ResourceVersion || len(secretBindings(t.Context(), t)) > 0 {
		t.Errorf("got %v, %v; want the Secret untouched, and no credential", got, err)
	}
	// The remedy of the condition: it is written within moments.
	if err := client.Delete(t.Context(), keptIn, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	reported(t, v1.ConditionKubeconfigSecret, generation, metav1.ConditionTrue, "Written")
	keepNone(t)
}
