// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/activity"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/deployed"
)

// TestActivityStraightInside goes straight to the API server inside, past relay and gateway, as
// those who count and as those who do not.
func TestActivityStraightInside(t *testing.T) {
	t.Parallel()
	object := newVirtualCluster(t)
	object.Spec.Sleep.AfterInactivity = &metav1.Duration{Duration: time.Hour}
	object.Spec.Sleep.Ignore = []v1.IgnoredRequests{{UserAgents: []string{"dashboard/"}}, {Users: []string{"scraper"}}}
	c := cluster{deployed.Run(t, host.ControlPlane, host.garret.Clients, object)}
	c.grantAll(t)
	clock := c.watchUse(t)
	if age, known := activity.AgeOf(c.Client.Discovery().RESTClient())(t.Context()); !known || age > time.Hour {
		t.Errorf("the API server says that it runs for %s, %t; want moments", age, known)
	}

	// The syncer, controllers and everybody below have worked since the start.
	account, err := c.Client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]*kubernetes.Clientset{
		"an account inside":        c.as(t, func(config *rest.Config) { config.BearerToken = account.Status.Token }),
		"a client that is ignored": c.as(t, c.certified(t, "host:alice", "garret:admins"), func(config *rest.Config) { config.UserAgent = "dashboard/1" }),
		"a user who is ignored":    c.as(t, c.certified(t, "host:scraper", "garret:admins")),
		"a node":                   c.as(t, c.certified(t, "system:node:n", "system:nodes")),
		"the relay":                c.as(t, c.certified(t, v1.RelayUser)),
		"nobody":                   c.as(t),
	} {
		// Whether they may is all the same.
		_, _ = client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		if used := clock(t); used != nil {
			t.Errorf("%s counts: last activity is %s", name, used)
		}
	}
	c.forge(t)

	// The API server reports in batches of a second. So it has reported all requests above when twice
	// that has passed. The syncer would have written the first one that counts at once.
	reported := time.Now().Add(2 * time.Second)
	framework.Eventually(t, "the API server has reported all requests", func(context.Context) (bool, error) { return time.Now().After(reported), nil })
	if used := clock(t); used != nil {
		t.Errorf("somebody counts who does not: last activity is %s", used)
	}
	alice := c.as(t, c.certified(t, "host:alice", "garret:admins"))
	if _, err := alice.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	var first *metav1.Time
	framework.Eventually(t, "a person who works straight inside is noted", func(context.Context) (bool, error) {
		first = clock(t)
		return first != nil, nil
	})
	watch, err := alice.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	framework.SucceedsWithin(t, 2*v1.ActivityInterval, "an open watch is use a minute later", func(context.Context) error {
		if last := clock(t); last.Sub(first.Time) < v1.ActivityInterval/2 {
			return fmt.Errorf("the last activity is %s, the first was %s", last, first)
		}
		return nil
	})
}

// grantAll lets everybody who is anybody do anything.
func (c cluster) grantAll(t *testing.T) {
	t.Helper()
	_, err := c.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "everybody"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:authenticated"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// watchUse waits until the syncer reports, and returns what reads when the virtual cluster was used.
func (c cluster) watchUse(t *testing.T) func(t *testing.T) *metav1.Time {
	t.Helper()
	read := func(ctx context.Context) (*v1.VirtualCluster, error) {
		return host.garret.Clients.TenancyV1().VirtualClusters(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
	}
	framework.Eventually(t, "the syncer reports that it is ready", func(ctx context.Context) (bool, error) {
		vc, err := read(ctx)
		if err != nil {
			return false, err
		}
		for _, condition := range vc.Status.Conditions {
			if condition.Type == v1.ConditionSyncerReady && condition.Status == metav1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	return func(t *testing.T) *metav1.Time {
		t.Helper()
		vc, err := read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return vc.Status.LastActivityTime
	}
}

// as is a client with nothing but what it is given.
func (c cluster) as(t *testing.T, with ...func(*rest.Config)) *kubernetes.Clientset {
	t.Helper()
	admin, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(admin)
	for _, each := range with {
		each(config)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// certified gives a client a certificate of the authority for users inside.
func (c cluster) certified(t *testing.T, name string, groups ...string) func(*rest.Config) {
	t.Helper()
	user := (&framework.ControlPlane{Dir: c.Data()}).Certified(t, name, groups...)
	return func(config *rest.Config) {
		config.CertData, config.KeyData = user.ClientCertificateData, user.ClientKeyData
	}
}

// forge tells the syncer of activity as a tenant could: by a webhook of their own that leads to
// it, and with certificates of the authority for users.
func (c cluster) forge(t *testing.T) {
	t.Helper()
	address := ""
	for _, arg := range c.Syncer.Args() {
		if port, ok := strings.CutPrefix(arg, "--webhook-port="); ok {
			address = "https://127.0.0.1:" + port + "/activity"
		}
	}
	authority, err := pki.ServerAuthority(c.Data()).Bundle()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "forged"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "forged.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone),
			ClientConfig:  admissionregistrationv1.WebhookClientConfig{URL: &address, CABundle: authority},
			FailurePolicy: ptr.To(admissionregistrationv1.Fail),
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"limitranges"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The webhook is in force a moment after it was stored.
	framework.Eventually(t, "the syncer refuses to be called by a webhook of the tenant", func(ctx context.Context) (bool, error) {
		_, err := c.Client.CoreV1().LimitRanges("default").Create(ctx, &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "forged.example.com"), nil
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	for _, name := range []string{"", "host:alice", "system:apiserver", "kube-apiserver-kubelet-client"} {
		config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if name != "" {
			user := (&framework.ControlPlane{Dir: c.Data()}).Certified(t, name)
			pair, err := tls.X509KeyPair(user.ClientCertificateData, user.ClientKeyData)
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		body, _ := json.Marshal(map[string]any{"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": []any{map[string]any{
			"stage": "ResponseComplete", "verb": "get", "requestURI": "/api", "user": map[string]any{"username": "host:alice"}}}})
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 10 * time.Second}
		answer, err := client.Post(address, "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: the syncer answers %s, want 401", fmt.Sprintf("a caller who is %q", name), answer.Status)
		}
	}
}
