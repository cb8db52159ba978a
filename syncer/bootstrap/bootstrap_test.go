// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/admission"
	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/translate"
)

const address = "10.0.7.7"

func newBootstrap(virtual *fake.Clientset) *Bootstrap {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: "team", ServiceIP: address, Domain: "cluster.local"})
	return New(Options{Translator: translator, Virtual: virtual, Allocator: &admission.Allocator{Marker: resources.Marker{Translator: translator}, Virtual: virtual, Host: fake.NewClientset(), Evidence: lineagetest.Certain{}}})
}

func TestKubernetesService(t *testing.T) {
	theirs := apiServerService("10.0.0.1")
	theirs.UID = "theirs"
	theirs.Spec.Ports[0].TargetPort.IntVal = 16443
	ours := apiServerService(address)
	for _, test := range []struct {
		name   string
		before []runtime.Object
		writes []string
		target int32
	}{
		{"not there yet", nil, []string{"create"}, 6443},
		{"the control plane's", []runtime.Object{theirs}, []string{"delete", "create"}, 16443},
		{"right", []runtime.Object{ours}, nil, 6443},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := fake.NewClientset(test.before...)
			if err := newBootstrap(client).kubernetesService(t.Context()); err != nil {
				t.Fatal(err)
			}
			var writes []string
			for _, action := range client.Actions() {
				if action.GetVerb() != "get" {
					writes = append(writes, action.GetVerb())
				}
			}
			if !slices.Equal(writes, test.writes) {
				t.Errorf("did %q, want %q", writes, test.writes)
			}
			found, err := client.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if found.Spec.ClusterIP != address || found.Spec.Ports[0].TargetPort.IntVal != test.target {
				t.Errorf("got address %s and port %d, want %s and %d", found.Spec.ClusterIP, found.Spec.Ports[0].TargetPort.IntVal, address, test.target)
			}
		})
	}
}

// TestKubernetesServiceAgainstTheControlPlane has the control plane make its own
// Service whenever there is none, a few times before the syncer is quicker.
func TestKubernetesServiceAgainstTheControlPlane(t *testing.T) {
	client := fake.NewClientset(apiServerService("10.0.0.1"))
	races := 3
	client.PrependReactor("delete", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
		if races--; races < 0 {
			return false, nil, nil
		}
		return true, nil, nil // Deleted, and made again at once.
	})
	b := newBootstrap(client)
	b.Reporter = NewReporter(translate.Cluster{}, nil, nil, nil, testingclock.NewFakeClock(time.Now()))
	if !b.insist(t.Context(), step{"the Service", b.kubernetesService, true}) {
		t.Fatal("gave up")
	}
	found, err := client.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil || found.Spec.ClusterIP != address {
		t.Errorf("got address %v, error %v; want %s", found.Spec.ClusterIP, err, address)
	}
}

// TestFirstAccount wants the step to end when pods can be created, and not before.
func TestFirstAccount(t *testing.T) {
	client := fake.NewClientset()
	asked := make(chan struct{}, 100)
	client.PrependReactor("get", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked <- struct{}{}
		return false, nil, nil
	})
	ended := make(chan error, 1)
	go func() { ended <- newBootstrap(client).firstAccount(t.Context()) }()
	for range 2 {
		<-asked
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended without a ServiceAccount: %v", err)
	default:
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}}
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v, want it to end", err)
	}
}

// TestDNSIsRestricted checks what the strictest pod security of a host asks for.
func TestDNSIsRestricted(t *testing.T) {
	pod := dnsPod()
	container := pod.Containers[0]
	security := container.SecurityContext
	switch {
	case !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0:
		t.Error("runs as root")
	case *pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Error("has no seccomp profile")
	case *security.AllowPrivilegeEscalation || len(security.Capabilities.Add) > 0 || !slices.Contains(security.Capabilities.Drop, "ALL"):
		t.Error("keeps privileges")
	}
	for _, port := range container.Ports {
		if *port.ContainerPort < 1024 {
			t.Errorf("port %d needs a privilege", *port.ContainerPort)
		}
	}
}

// TestRights checks who gets which role, and that the relay can do one thing.
func TestRights(t *testing.T) {
	for _, rule := range relayRole().Rules {
		if !slices.Equal(rule.Verbs, []string{"impersonate"}) || slices.Contains(rule.Resources, "*") || slices.Contains(rule.Resources, "serviceaccounts") {
			t.Errorf("the relay may %q %q", rule.Verbs, rule.Resources)
		}
	}
	for _, rule := range append(viewerRole().Rules, metricsRole().Rules...) {
		for _, verb := range rule.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) {
				t.Errorf("viewers may %s %q", verb, rule.Resources)
			}
		}
		if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.Resources, "nodes/proxy") {
			t.Errorf("viewers may read %q", rule.Resources)
		}
	}
	admin := binding(tenancyv1.GroupAdmins, rbacv1.GroupKind, tenancyv1.GroupAdmins, "cluster-admin")
	if *admin.RoleRef.Name != "cluster-admin" || *admin.Subjects[0].Name != "garret:admins" || *admin.Subjects[0].Kind != "Group" {
		t.Errorf("got binding %v", admin)
	}
}

func TestConditions(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := testingclock.NewFakeClock(start)
	w := &writer{cluster: translate.Cluster{Name: "demo", HostNamespace: "team", UID: "uid"}, clock: clock, before: []metav1.Condition{
		{Type: tenancyv1.ConditionControlPlaneReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(start.Add(-time.Hour))},
		{Type: tenancyv1.ConditionSyncerReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(start.Add(-time.Hour))},
		{Type: tenancyv1.ConditionReady, Status: metav1.ConditionTrue},
	}}
	got := w.configuration(state{syncer: trouble{"Broken", strings.Repeat("é", 2000)}, version: "v1.37.2", authority: "pem"})
	if *got.UID != "uid" {
		t.Errorf("got UID %q, want that of the cluster: another one of the name is not this syncer's", *got.UID)
	}
	if *got.Status.KubernetesVersion != "v1.37.2" || string(got.Status.CertificateAuthorityData) != "pem" {
		t.Errorf("got version %q and authority %q", *got.Status.KubernetesVersion, got.Status.CertificateAuthorityData)
	}
	if len(got.Status.Conditions) != 2 {
		t.Fatalf("got %d conditions, want the syncer's own two", len(got.Status.Conditions))
	}
	controlPlane, syncer := got.Status.Conditions[0], got.Status.Conditions[1]
	if *controlPlane.Status != metav1.ConditionTrue || !controlPlane.LastTransitionTime.Time.Equal(start.Add(-time.Hour)) {
		t.Errorf("got ControlPlaneReady %s since %s, want True since before", *controlPlane.Status, controlPlane.LastTransitionTime)
	}
	if *syncer.Status != metav1.ConditionFalse || *syncer.Reason != "Broken" || !syncer.LastTransitionTime.Time.Equal(start) {
		t.Errorf("got SyncerReady %s (%s) since %s, want False (Broken) since now", *syncer.Status, *syncer.Reason, syncer.LastTransitionTime)
	}
	if len(*syncer.Message) > maxMessage || !strings.HasPrefix(*syncer.Message, "éé") {
		t.Errorf("got a message of %d bytes", len(*syncer.Message))
	}
}

// TestReadyAnewAfterASleep has a restarted syncer go on where the last one stopped, unless the
// virtual cluster slept since.
func TestReadyAnewAfterASleep(t *testing.T) {
	woken := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	before, after := metav1.NewTime(woken.Add(-time.Hour)), metav1.NewTime(woken.Add(time.Second))
	cluster := &tenancyv1.VirtualCluster{}
	cluster.Status.Conditions = []metav1.Condition{
		{Type: tenancyv1.ConditionControlPlaneReady, LastTransitionTime: before}, {Type: tenancyv1.ConditionSyncerReady, LastTransitionTime: after},
		{Type: tenancyv1.ConditionAccessApplied, LastTransitionTime: before},
	}
	if got := sinceWoken(cluster); len(got) != 3 {
		t.Errorf("without a sleep: got %v, want all", got)
	}
	cluster.Status.Sleep = &tenancyv1.SleepStatus{Woken: &tenancyv1.WokenStatus{Time: &woken}}
	got := sinceWoken(cluster)
	if len(got) != 2 || got[0].Type != tenancyv1.ConditionSyncerReady || got[1].Type != tenancyv1.ConditionAccessApplied {
		t.Errorf("after a sleep: got %v, want no control plane that was ready before", got)
	}
	if len(cluster.Status.Conditions) != 3 {
		t.Error("the object was changed")
	}
}

func TestObserve(t *testing.T) {
	dir := pkitest.NewDataDir(t)
	reporter := NewReporter(translate.Cluster{}, nil, unreachable(t), pki.ServerAuthority(dir.Path), testingclock.NewFakeClock(time.Now()), PartBootstrap, "sync")
	got := reporter.observe(t.Context(), state{version: "v1.37.2"})
	if got.controlPlane.reason != "NotAnswering" || got.syncer.reason != "Starting" || got.version != "v1.37.2" || got.authority != string(dir.Server.PEM()) {
		t.Errorf("got %+v", got)
	}
	reporter.Done("sync")
	reporter.Pending(PartBootstrap, "BootstrapFailing", firstLine(errors.New("one\ntwo")))
	if got := reporter.observe(t.Context(), state{}).syncer; got != (trouble{"BootstrapFailing", "one"}) {
		t.Errorf("got %+v", got)
	}
	reporter.Done(PartBootstrap)
	if got := reporter.observe(t.Context(), state{}).syncer; got != (trouble{}) {
		t.Errorf("got %+v, want none", got)
	}
	select {
	case <-reporter.changed:
	default:
		t.Error("the change was not noted")
	}
}

func TestKeepFollowsChanges(t *testing.T) {
	authority := pki.ServerAuthority(pkitest.NewDataDir(t).Path)
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(apiServerService(address))
		b := newBootstrap(client)
		b.Authority = authority
		b.Reporter = NewReporter(b.Translator.Cluster(), nil, client, b.Authority, clock.RealClock{}, PartBootstrap)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.keep(ctx)
		}()
		defer func() { cancel(); <-ended; synctest.Wait() }()
		bindings := client.RbacV1().ClusterRoleBindings()
		there := func() bool {
			_, err := bindings.Get(ctx, tenancyv1.GroupAdmins, metav1.GetOptions{})
			return err == nil
		}
		time.Sleep(keepInterval + keepPause)
		synctest.Wait()
		if !there() {
			t.Fatal("nothing is put in place, whatever time passes")
		}

		if err := bindings.Delete(ctx, tenancyv1.GroupAdmins, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * keepPause)
		synctest.Wait()
		if !there() {
			t.Error("a binding that a tenant deleted is not put back before the next look at everything")
		}

		client.ClearActions()
		time.Sleep(keepInterval / 2)
		synctest.Wait()
		for _, action := range client.Actions() {
			t.Errorf("the syncer asked for %s of %s though nobody changed anything", action.GetVerb(), action.GetResource().Resource)
		}
	})
}
