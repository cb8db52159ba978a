// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
	"garret.dev/garret/syncer/translate"
)

const secretName = "demo-kubeconfig"

// fixture is a keeper whose passes a test makes, one after the other.
type fixture struct {
	*Keeper
	t       *testing.T
	host    *fake.Clientset
	virtual *fake.Clientset
	dir     *pkitest.DataDir
	clock   *clocktesting.FakeClock
	outcome Outcome
	again   time.Duration
}

func newFixture(t *testing.T, id string, host *fake.Clientset) *fixture {
	f := &fixture{t: t, host: host, dir: pkitest.NewDataDir(t), clock: clocktesting.NewFakeClock(time.Now().Truncate(time.Second))}
	role := func(name string) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	f.virtual = fake.NewClientset(role("view"), role("edit"))
	f.Keeper = New(Options{
		Cluster: translate.Cluster{ID: id, Name: "demo", HostNamespace: "team"}, Host: host, Clock: f.clock,
		Rights: access.NewKubeconfigs(f.virtual), Clients: pki.ClientAuthority(f.dir.Path), Servers: pki.ServerAuthority(f.dir.Path),
		Report: func(o Outcome) { f.outcome = o },
	})
	t.Cleanup(func() { f.unwatch() })
	return f
}

func wanted(format tenancyv1.KubeconfigFormat, role string) *tenancyv1.KubeconfigSecret {
	return &tenancyv1.KubeconfigSecret{Name: secretName, Format: format, ClusterRole: role}
}

// look makes a pass for what the spec asks for, and wants the reason; "" is for none.
func (f *fixture) look(want *tenancyv1.KubeconfigSecret, reason string) {
	f.t.Helper()
	f.again = f.pass(f.t.Context(), &spec{secret: want, generation: 7})
	if f.outcome.Reason != reason || f.outcome.Generation != 7 {
		f.t.Fatalf("got %+v, want the reason %q of generation 7", f.outcome, reason)
	}
}

// secret is nil where there is none.
func (f *fixture) secret() *corev1.Secret {
	secret, err := f.host.CoreV1().Secrets("team").Get(f.t.Context(), secretName, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return secret
}

// credential is what the Secret holds, and must hold.
func (f *fixture) credential() *credential {
	f.t.Helper()
	secret := f.secret()
	if secret == nil {
		f.t.Fatal("there is no Secret")
	}
	certificate, key := held(secret)
	got, ok := readCredential(f.Clients, secretName, certificate, key)
	if !ok {
		f.t.Fatalf("no credential in %q", secret.Data)
	}
	return got
}

// bound are the bindings inside, as ID=ROLE.
func (f *fixture) bound() []string {
	list, err := f.virtual.RbacV1().ClusterRoleBindings().List(f.t.Context(), metav1.ListOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	var found []string
	for _, binding := range list.Items {
		found = append(found, strings.TrimPrefix(binding.Name, tenancyv1.KubeconfigPrefix)+"="+binding.RoleRef.Name)
	}
	return found
}

func (f *fixture) wantBound(want ...string) {
	f.t.Helper()
	got := f.bound()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		f.t.Errorf("got bindings %q, want %q", got, want)
	}
}

// TestFormats reads each Secret as its tool does.
func TestFormats(t *testing.T) {
	const server = "https://vc-demo.team.svc"
	for format, want := range map[tenancyv1.KubeconfigFormat]struct {
		kind        corev1.SecretType
		keys        string
		label, text string
	}{
		"":           {corev1.SecretTypeOpaque, "kubeconfig", "", ""},
		"Kubeconfig": {corev1.SecretTypeOpaque, "kubeconfig", "", ""},
		"Flux":       {corev1.SecretTypeOpaque, "value", "", ""},
		"ClusterAPI": {"cluster.x-k8s.io/secret", "value", "cluster.x-k8s.io/cluster-name", "demo"},
		"ArgoCD":     {corev1.SecretTypeOpaque, "config name server", "argocd.argoproj.io/secret-type", "cluster"},
	} {
		t.Run(string(format), func(t *testing.T) {
			f := newFixture(t, "0123456789", fake.NewClientset())
			f.look(wanted(format, "view"), "")
			secret, got := f.secret(), f.credential()
			var keys []string
			for key := range secret.Data {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			if strings.Join(keys, " ") != want.keys || secret.Type != want.kind || want.label != "" && secret.Labels[want.label] != want.text {
				t.Errorf("got keys %q, type %s, labels %v; want %q, %s, %s=%s", keys, secret.Type, secret.Labels, want.keys, want.kind, want.label, want.text)
			}
			if format == "ArgoCD" {
				var config struct {
					TLSClientConfig struct {
						Insecure                  bool
						CAData, CertData, KeyData []byte
					}
				}
				if err := json.Unmarshal(secret.Data["config"], &config); err != nil {
					t.Fatal(err)
				}
				if tls := config.TLSClientConfig; string(secret.Data["server"]) != server || tls.Insecure ||
					string(tls.CAData) != string(f.dir.Server.PEM()) || string(tls.CertData) != string(got.certificate) || string(tls.KeyData) != string(got.key) {
					t.Errorf("got server %s and %s", secret.Data["server"], secret.Data["config"])
				}
			} else {
				config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data[want.keys])
				if err != nil || config.Host != server || config.Insecure || string(config.CAData) != string(f.dir.Server.PEM()) || string(config.CertData) != string(got.certificate) {
					t.Errorf("got %+v, %v", config, err)
				}
			}
			f.wantBound(got.id + "=view")
			before := secret.DeepCopy()
			f.look(wanted(format, "view"), "")
			if after := f.secret(); string(after.Data[want.keys]) != string(before.Data[want.keys]) || f.credential().id != got.id {
				t.Error("another pass wrote another credential")
			}
		})
	}
}

// TestRenewal steps a clock through the life of credentials.
func TestRenewal(t *testing.T) {
	f := newFixture(t, "0123456789", fake.NewClientset())
	want := wanted("Flux", "view")
	f.look(want, "")
	first := f.credential()
	if f.again < 15*time.Hour || f.again > 16*time.Hour || !strings.Contains(f.outcome.Message, first.expiry.UTC().Format(time.RFC3339)) {
		t.Errorf("got another look after %v and %q, want one at two thirds of a day, and the end", f.again, f.outcome.Message)
	}
	f.clock.Step(f.again - time.Second)
	f.look(want, "")
	if f.credential().id != first.id || f.again != time.Second {
		t.Errorf("a second early: got another credential, or another look after %v", f.again)
	}
	f.clock.Step(time.Second)
	f.look(want, "")
	second := f.credential()
	if second.id == first.id {
		t.Fatal("at two thirds: got the same credential")
	}
	f.wantBound(first.id+"=view", second.id+"=view")
	f.look(want, "")
	f.wantBound(first.id+"=view", second.id+"=view")
	// The syncer did not run for days.
	f.clock.Step(72 * time.Hour)
	f.look(want, "")
	if third := f.credential(); third.id == second.id || !third.expiry.After(f.clock.Now()) {
		t.Errorf("after days: got %s until %v", third.id, third.expiry)
	}
}

// TestRightsEnd is about all that ends the rights of a credential before it is due.
func TestRightsEnd(t *testing.T) {
	want := wanted("ArgoCD", "view")
	for name, test := range map[string]struct {
		do  func(f *fixture, secret *corev1.Secret)
		now *tenancyv1.KubeconfigSecret
	}{
		"the Secret was deleted": {func(f *fixture, s *corev1.Secret) {
			_ = f.host.CoreV1().Secrets("team").Delete(f.t.Context(), s.Name, metav1.DeleteOptions{})
		}, want},
		"somebody wrote another key": {func(f *fixture, s *corev1.Secret) {
			other, err := newCredential(pki.ClientAuthority(pkitest.NewDataDir(f.t).Path), secretName, f.clock.Now(), func(string, time.Time) error { return nil })
			if err != nil {
				f.t.Fatal(err)
			}
			made, err := secretFor(f.Cluster, want, nil, other)
			if err != nil {
				f.t.Fatal(err)
			}
			s.Data = made.Data
			f.update(s)
		}, want},
		"somebody emptied it":     {func(f *fixture, s *corev1.Secret) { s.Data = nil; f.update(s) }, want},
		"another ClusterRole":     {func(*fixture, *corev1.Secret) {}, wanted("ArgoCD", "edit")},
		"the binding was deleted": {func(f *fixture, _ *corev1.Secret) { f.unbind() }, want},
		"the binding was forged":  {func(f *fixture, _ *corev1.Secret) { f.forge() }, want},
		"the authority is new": {func(f *fixture, _ *corev1.Secret) {
			f.dir.Client = pkitest.NewAuthority(f.t, "other")
			f.dir.Write(f.t)
		}, want},
		"another form and ClusterRole": {func(*fixture, *corev1.Secret) {}, wanted("ClusterAPI", "edit")},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "0123456789", fake.NewClientset())
			f.look(want, "")
			first := f.credential()
			f.clock.Step(time.Minute)
			test.do(f, f.secret())
			f.look(test.now, "")
			second := f.credential()
			if second.id == first.id {
				t.Error("got the same credential")
			}
			f.wantBound(second.id + "=" + test.now.ClusterRole)
		})
	}
}

func (f *fixture) update(secret *corev1.Secret) {
	f.t.Helper()
	if _, err := f.host.CoreV1().Secrets("team").Update(f.t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) unbind() {
	f.t.Helper()
	if err := f.virtual.RbacV1().ClusterRoleBindings().Delete(f.t.Context(), tenancyv1.KubeconfigPrefix+f.credential().id, metav1.DeleteOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

// forge has somebody inside give the rights of the credential to somebody else.
func (f *fixture) forge() {
	f.t.Helper()
	client, name := f.virtual.RbacV1().ClusterRoleBindings(), tenancyv1.KubeconfigPrefix+f.credential().id
	binding, err := client.Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	binding.Subjects[0].Name = "mallory"
	if _, err := client.Update(f.t.Context(), binding, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

// TestSameCredential is about changes that need no other key.
func TestSameCredential(t *testing.T) {
	f := newFixture(t, "0123456789", fake.NewClientset())
	f.look(wanted("Flux", "view"), "")
	first := f.credential()
	for _, format := range []tenancyv1.KubeconfigFormat{"ArgoCD", "ClusterAPI", "Kubeconfig", "Flux"} {
		f.look(wanted(format, "view"), "")
		if got := f.credential(); got.id != first.id {
			t.Errorf("format %s: got another credential", format)
		}
	}
	if labels := f.secret().Labels; len(labels) != 2 {
		t.Errorf("got labels %v, want none of other tools", labels)
	}
}

// TestForeignSecrets has a Secret of that name be there before.
func TestForeignSecrets(t *testing.T) {
	ours := map[string]string{tenancyv1.LabelCluster: "0123456789", tenancyv1.LabelKubeconfigOf: "0123456789"}
	for name, meta := range map[string]metav1.ObjectMeta{
		"somebody's":                {},
		"another virtual cluster's": {Labels: map[string]string{tenancyv1.LabelCluster: "abcdef0123", tenancyv1.LabelKubeconfigOf: "abcdef0123"}},
		"a tenant's, of an object inside": {Labels: map[string]string{tenancyv1.LabelCluster: "0123456789"},
			Annotations: map[string]string{tenancyv1.AnnotationVirtualName: "x"}},
		"one of an object inside with all labels": {Labels: ours, Annotations: map[string]string{tenancyv1.AnnotationVirtualName: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			meta.Name, meta.Namespace = secretName, "team"
			f := newFixture(t, "0123456789", fake.NewClientset(&corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"value": []byte("theirs")}}))
			f.look(wanted("Flux", "view"), "SecretTaken")
			if !strings.Contains(f.outcome.Message, "delete it") {
				t.Errorf("got %q, want the remedy", f.outcome.Message)
			}
			f.look(nil, "")
			if got := f.secret(); got == nil || string(got.Data["value"]) != "theirs" {
				t.Errorf("got %v, want the Secret left as it was", got)
			}
			f.wantBound()
			f.look(wanted("Flux", "view"), "SecretTaken")
			if err := f.host.CoreV1().Secrets("team").Delete(t.Context(), secretName, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			f.look(wanted("Flux", "view"), "")
			f.wantBound(f.credential().id + "=view")
		})
	}
}

// TestTwoClusters has two virtual clusters name one Secret: the first has it.
func TestTwoClusters(t *testing.T) {
	host := fake.NewClientset()
	one, two := newFixture(t, "0123456789", host), newFixture(t, "abcdef0123", host)
	one.look(wanted("Flux", "view"), "")
	first := one.credential()
	two.look(wanted("Flux", "edit"), "SecretTaken")
	two.wantBound()
	one.look(wanted("Flux", "view"), "")
	one.wantBound(first.id + "=view")
	one.look(nil, "")
	one.wantBound()
	two.look(wanted("Flux", "edit"), "")
	two.wantBound(two.credential().id + "=edit")
}

// TestRemoval is about a field that goes, and one that names another Secret.
func TestRemoval(t *testing.T) {
	f := newFixture(t, "0123456789", fake.NewClientset())
	f.look(wanted("Flux", "view"), "")
	f.clock.Step(time.Minute)
	other := wanted("Flux", "view")
	other.Name = "other"
	f.look(other, "")
	if f.secret() != nil {
		t.Error("the Secret of the former name is there still")
	}
	if got := f.bound(); len(got) != 1 {
		t.Errorf("got bindings %q, want that of the new Secret alone", got)
	}
	f.look(nil, "")
	if f.outcome.Message != "" {
		t.Errorf("got %+v, want nothing to report", f.outcome)
	}
	f.wantBound()
	list, err := f.host.CoreV1().Secrets("team").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("got Secrets %v, %v; want none", list, err)
	}
}

// TestNoRole has the ClusterRole be made later, and bindings deleted again and again.
func TestNoRole(t *testing.T) {
	f := newFixture(t, "0123456789", fake.NewClientset())
	f.look(wanted("Flux", "deployer"), "ClusterRoleNotFound")
	if f.secret() != nil || len(f.bound()) > 0 || f.again != lookAgain {
		t.Errorf("got Secret %v, bindings %v, and another look after %v", f.secret(), f.bound(), f.again)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}}
	if _, err := f.virtual.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.look(wanted("Flux", "deployer"), "")
	first := f.credential().id
	f.unbind()
	f.look(wanted("Flux", "deployer"), "RightsTaken")
	f.look(wanted("Flux", "view"), "") // who changes the spec has taken nothing
	f.unbind()
	f.look(wanted("Flux", "view"), "RightsTaken")
	f.clock.Step(newCredentials)
	f.look(wanted("Flux", "deployer"), "")
	if got := f.credential().id; got == first {
		t.Error("got the credential whose rights were taken")
	}
}

// TestRun goes by what the VirtualCluster says, and by what happens to the Secret.
func TestRun(t *testing.T) {
	f := newFixture(t, "0123456789", fake.NewClientset())
	outcomes := make(chan Outcome, 100)
	f.Report = func(o Outcome) { outcomes <- o }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	defer func() { cancel(); <-done }()
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	f.Observe(vc.DeepCopy()) // Without the field nothing is asked, and nothing reported.
	vc.Generation, vc.Spec.KubeconfigSecret = 2, wanted("Flux", "view")
	f.Observe(vc.DeepCopy())
	if got := <-outcomes; got.Generation != 2 || got.Reason != "" || got.Message == "" {
		t.Errorf("got %+v, want the Secret written for generation 2", got)
	}
	now := metav1.Now()
	vc.Generation, vc.DeletionTimestamp = 3, &now
	f.Observe(vc.DeepCopy())
	for got := range outcomes {
		if got.Generation == 3 {
			if got != (Outcome{Generation: 3}) {
				t.Errorf("got %+v, want nothing left of a virtual cluster that is deleted", got)
			}
			break
		}
	}
	f.wantBound()
}
