// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// maker is somebody who may do everything with virtual clusters of one namespace,
// and nothing else there.
type maker struct {
	framework.User
	namespace string
	clusters  tenancyv1.VirtualClusterInterface
}

func newMaker(t *testing.T, name string) *maker {
	t.Helper()
	m := &maker{User: shared.host.Certified(t, name), namespace: shared.host.NewNamespace(t, "test-")}
	shared.host.BindClusterRole(t, m.User, m.namespace, "garret-admin")
	shared.host.AwaitAllowed(t, m.User, authorizationv1.ResourceAttributes{Verb: "create", Group: v1.GroupName, Resource: "virtualclusters", Namespace: m.namespace})
	m.clusters = versioned.NewForConfigOrDie(m.Config(shared.host.Config.Host, shared.host.Config.CAData)).TenancyV1().VirtualClusters(m.namespace)
	return m
}

// refused wants a write refused because of a field and a missing right.
func (m *maker) refused(t *testing.T, what string, err error, field, right string) {
	t.Helper()
	status, ok := err.(apierrors.APIStatus)
	if !ok || !apierrors.IsForbidden(err) {
		t.Errorf("%s: got %v, want Forbidden", what, err)
		return
	}
	details := status.Status().Details
	if details == nil || len(details.Causes) != 1 || details.Causes[0].Field != field {
		t.Errorf("%s: got causes %v, want %s", what, details, field)
	}
	if want := `user "` + m.Name + `" cannot ` + right + ` in the namespace "` + m.namespace + `"`; !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %q, want %q in it", what, err, want)
	}
}

const (
	podSecurityField = "spec.isolation.podSecurity"
	datastoreField   = "spec.controlPlane.datastore.endpointSecretRef"
	usePrivileged    = `use podsecuritylevels.tenancy.garret.dev "privileged"`
)

func privileged() v1.VirtualClusterSpec {
	return v1.VirtualClusterSpec{Isolation: v1.IsolationSpec{PodSecurity: v1.PodSecurityPrivileged}}
}

func named(name string, spec v1.VirtualClusterSpec) *v1.VirtualCluster {
	return &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

var dryRun = []string{metav1.DryRunAll}

// TestPrivilegedTakesARight has somebody ask for privileged pods in every way there is,
// without the right and with it.
func TestPrivilegedTakesARight(t *testing.T) {
	template(t, "suggests", `{"versions":[{"version":"1.0.0","defaults":{"isolation":{"podSecurity":"privileged"}}}]}`)
	template(t, "demands", `{"versions":[{"version":"1.0.0","forced":{"isolation":{"podSecurity":"privileged"}}}]}`)
	template(t, "plain", `{"versions":[{"version":"1.0.0"}]}`)
	var m *maker
	ways := map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error {
			_, err := m.clusters.Create(ctx, named("new", privileged()), metav1.CreateOptions{DryRun: dryRun})
			return err
		},
		"apply what is new": func(ctx context.Context) error {
			_, err := m.clusters.Apply(ctx, applyv1.VirtualCluster("new", m.namespace).WithSpec(applyv1.VirtualClusterSpec().
				WithIsolation(applyv1.IsolationSpec().WithPodSecurity(v1.PodSecurityPrivileged))), metav1.ApplyOptions{FieldManager: "test", DryRun: dryRun})
			return err
		},
		"apply": func(ctx context.Context) error {
			_, err := m.clusters.Apply(ctx, applyv1.VirtualCluster("there", m.namespace).WithSpec(applyv1.VirtualClusterSpec().
				WithIsolation(applyv1.IsolationSpec().WithPodSecurity(v1.PodSecurityPrivileged))), metav1.ApplyOptions{FieldManager: "test", DryRun: dryRun})
			return err
		},
		"patch": func(ctx context.Context) error {
			_, err := m.clusters.Patch(ctx, "there", types.MergePatchType, []byte(`{"spec":{"isolation":{"podSecurity":"privileged"}}}`), metav1.PatchOptions{DryRun: dryRun})
			return err
		},
		"update": func(ctx context.Context) error {
			there, err := m.clusters.Get(ctx, "there", metav1.GetOptions{})
			if err != nil {
				return err
			}
			there.Spec.Isolation.PodSecurity = v1.PodSecurityPrivileged
			_, err = m.clusters.Update(ctx, there, metav1.UpdateOptions{DryRun: dryRun})
			return err
		},
		"a template's default": func(ctx context.Context) error {
			_, err := m.clusters.Create(ctx, named("new", v1.VirtualClusterSpec{TemplateRef: ref("suggests")}), metav1.CreateOptions{DryRun: dryRun})
			return err
		},
		"what a template forces": func(ctx context.Context) error {
			_, err := m.clusters.Create(ctx, named("new", v1.VirtualClusterSpec{TemplateRef: ref("demands")}), metav1.CreateOptions{DryRun: dryRun})
			return err
		},
		"another template": func(ctx context.Context) error {
			_, err := m.clusters.Patch(ctx, "there", types.MergePatchType, []byte(`{"spec":{"templateRef":{"name":"demands"}}}`), metav1.PatchOptions{DryRun: dryRun})
			return err
		},
	}
	m = newMaker(t, "without")
	create(t, m.clusters, "there", v1.VirtualClusterSpec{TemplateRef: ref("plain")})
	for way, try := range ways {
		m.refused(t, way, try(t.Context()), podSecurityField, usePrivileged)
	}
	m = newMaker(t, "with")
	shared.host.BindClusterRole(t, m.User, m.namespace, v1.RolePrivilegedPods)
	shared.host.AwaitAllowed(t, m.User, authorizationv1.ResourceAttributes{
		Verb: v1.VerbUse, Group: v1.GroupName, Resource: v1.ResourcePodSecurityLevels, Name: "privileged", Namespace: m.namespace})
	create(t, m.clusters, "there", v1.VirtualClusterSpec{TemplateRef: ref("plain")})
	for way, try := range ways {
		if err := try(t.Context()); err != nil {
			t.Errorf("%s, with the right: %v", way, err)
		}
	}
}

// TestStoredPrivilegedStays lets somebody without the right change what has nothing to do with it.
func TestStoredPrivilegedStays(t *testing.T) {
	m := newMaker(t, "keeper")
	byAdmin := shared.garret.Clients.TenancyV1().VirtualClusters(m.namespace)
	create(t, byAdmin, "demo", privileged())
	patched(t, m.clusters, "demo", `{"spec":{"syncer":{"extraArgs":["--v=2"]}}}`)
	patched(t, m.clusters, "demo", `{"spec":{"isolation":{"podSecurity":"baseline"}}}`)
	_, err := m.clusters.Patch(t.Context(), "demo", types.MergePatchType, []byte(`{"spec":{"isolation":{"podSecurity":"privileged"}}}`), metav1.PatchOptions{})
	m.refused(t, "back again", err, podSecurityField, usePrivileged)
}

// TestSecretTakesARight wants the same answer whether there is the Secret or not.
func TestSecretTakesARight(t *testing.T) {
	m := newMaker(t, "prober")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "there"}, StringData: map[string]string{"endpoint": "postgres://db"}}
	if _, err := shared.host.Client.CoreV1().Secrets(m.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	spec := func(secret string) v1.VirtualClusterSpec {
		return v1.VirtualClusterSpec{ControlPlane: v1.ControlPlaneSpec{Datastore: &v1.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: secret}}}}
	}
	for _, options := range []metav1.CreateOptions{{}, {DryRun: dryRun}} {
		var answers []string
		for _, name := range []string{"there", "gone"} {
			_, err := m.clusters.Create(t.Context(), named("demo", spec(name)), options)
			m.refused(t, name, err, datastoreField, `get secrets "`+name+`"`)
			answers = append(answers, strings.ReplaceAll(err.Error(), name, "it"))
		}
		if answers[0] != answers[1] {
			t.Errorf("the answers differ:\n%s\n%s", answers[0], answers[1])
		}
	}
	shared.host.Grant(t, m.User, m.namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"mine"}, Verbs: []string{"get"}})
	shared.host.AwaitAllowed(t, m.User, authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Name: "mine", Namespace: m.namespace})
	if _, err := m.clusters.Create(t.Context(), named("demo", spec("mine")), metav1.CreateOptions{DryRun: dryRun}); err != nil {
		t.Errorf("a Secret of their own: %v", err)
	}
}

// TestNamespaceLimitsTakeARight is about what holds for the whole namespace.
func TestNamespaceLimitsTakeARight(t *testing.T) {
	m := newMaker(t, "limiter")
	quota := &corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("5")}}
	limits := &corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}
	_, err := m.clusters.Create(t.Context(), named("demo", v1.VirtualClusterSpec{Isolation: v1.IsolationSpec{ResourceQuota: quota}}), metav1.CreateOptions{DryRun: dryRun})
	m.refused(t, "a quota", err, "spec.isolation.resourceQuota", "create resourcequotas")
	_, err = m.clusters.Create(t.Context(), named("demo", v1.VirtualClusterSpec{Isolation: v1.IsolationSpec{LimitRange: limits}}), metav1.CreateOptions{DryRun: dryRun})
	m.refused(t, "limits", err, "spec.isolation.limitRange", "create limitranges")

	byAdmin := shared.garret.Clients.TenancyV1().VirtualClusters(m.namespace)
	create(t, byAdmin, "demo", v1.VirtualClusterSpec{Isolation: v1.IsolationSpec{ResourceQuota: quota, LimitRange: limits}})
	for patch, right := range map[string]string{`{"hard":{"pods":"6"}}`: "update resourcequotas", `null`: "delete resourcequotas"} {
		_, err := m.clusters.Patch(t.Context(), "demo", types.MergePatchType, []byte(`{"spec":{"isolation":{"resourceQuota":`+patch+`}}}`), metav1.PatchOptions{})
		m.refused(t, patch, err, "spec.isolation.resourceQuota", right)
	}
}

// TestTemplatesCannotBeUsedToLend has a template that is followed turn privileged:
// garret-controller, which makes the write, has no such right.
func TestTemplatesCannotBeUsedToLend(t *testing.T) {
	runControllers(t)
	template(t, "turns", `{"versions":[{"version":"1.0.0"}]}`)
	in := clusters(t)
	follow := ref("turns")
	follow.Sync = true
	namespace := create(t, in, "demo", v1.VirtualClusterSpec{TemplateRef: follow}).Namespace
	setTemplate(t, "turns", `{"versions":[{"version":"1.0.0","forced":{"isolation":{"podSecurity":"privileged"}}}]}`)
	until(t, namespace, "demo", "says that the change is refused", func(vc *v1.VirtualCluster) bool {
		condition := meta.FindStatusCondition(vc.Status.Conditions, v1.ConditionTemplateApplied)
		return condition != nil && condition.Status == metav1.ConditionFalse && condition.Reason == v1.ReasonRefused &&
			strings.Contains(condition.Message, podSecurityField) && strings.Contains(condition.Message, v1.RolePrivilegedPods) &&
			vc.Spec.Isolation.PodSecurity == v1.PodSecurityBaseline
	})
}

// TestBoundsOfTheHost fills the bound in, refuses more, and lets be what was there before.
func TestBoundsOfTheHost(t *testing.T) {
	in := clusters(t)
	const field = "spec.isolation.quota.hard[pods]"
	hard := func(vc *v1.VirtualCluster, name corev1.ResourceName) string {
		if quantity, set := vc.Spec.Isolation.Quota.Hard[name]; set {
			return quantity.String()
		}
		return ""
	}
	spec := func(pods string) v1.VirtualClusterSpec {
		return v1.VirtualClusterSpec{Isolation: v1.IsolationSpec{Quota: v1.QuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}}}}
	}
	create(t, in, "before", spec("50"))
	setHost(t, `{"isolation":{"quota":{"hard":{"pods":"10","secrets":"20"}}}}`)

	made := create(t, in, "plain", v1.VirtualClusterSpec{})
	if pods, secrets := hard(made, "pods"), hard(made, "secrets"); pods != "10" || secrets != "20" {
		t.Errorf("filled in: got %s pods and %s secrets, want 10 and 20", pods, secrets)
	}
	if made := create(t, in, "less", spec("3")); hard(made, "pods") != "3" || hard(made, "secrets") != "20" {
		t.Errorf("got %v, want what was asked for, and the other bound", made.Spec.Isolation.Quota.Hard)
	}
	_, err := in.Create(t.Context(), named("more", spec("11")), metav1.CreateOptions{})
	invalid(t, err, [2]string{field, "11 is more than the 10 that the host cluster local allows: ask for less, or have spec.isolation.quota of the HostCluster raised"})

	if got := patched(t, in, "before", `{"spec":{"syncer":{"extraArgs":["--v=2"]}}}`); hard(got, "pods") != "50" || hard(got, "secrets") != "" {
		t.Errorf("got %v, want what was there before", got.Spec.Isolation.Quota.Hard)
	}
	_, err = in.Patch(t.Context(), "before", types.MergePatchType, []byte(`{"spec":{"isolation":{"quota":{"hard":{"pods":"49"}}}}}`), metav1.PatchOptions{})
	invalid(t, err, [2]string{field, "49 is more than the 10"})
	if got := patched(t, in, "less", `{"spec":{"isolation":{"quota":{"hard":{"pods":null}}}}}`); hard(got, "pods") != "10" {
		t.Errorf("taken away: got %q pods, want the bound again", hard(got, "pods"))
	}

	template(t, "small", `{"versions":[{"version":"1.0.0","forced":{"isolation":{"quota":{"hard":{"pods":"5"}}}}}]}`)
	template(t, "huge", `{"versions":[{"version":"1.0.0","defaults":{"isolation":{"quota":{"hard":{"pods":"500"}}}}}]}`)
	got := create(t, in, "small", v1.VirtualClusterSpec{TemplateRef: ref("small")})
	if hard(got, "pods") != "5" || hard(got, "secrets") != "20" {
		t.Errorf("by a template: got %v, want its 5 pods and the other bound", got.Spec.Isolation.Quota.Hard)
	}
	_, err = in.Patch(t.Context(), "small", types.MergePatchType, []byte(`{"spec":{"isolation":{"quota":{"hard":{"pods":"6"}}}}}`), metav1.PatchOptions{})
	invalid(t, err, [2]string{"spec.isolation.quota.hard.pods", `template "small" forces`})
	_, err = in.Create(t.Context(), named("huge", v1.VirtualClusterSpec{TemplateRef: ref("huge")}), metav1.CreateOptions{})
	invalid(t, err, [2]string{field, "500 is more than the 10"})
}

// TestServicesTakeARight has somebody show inside what is in a namespace of others, on the host and
// in another virtual cluster, without the right to look there and with it.
func TestServicesTakeARight(t *testing.T) {
	m := newMaker(t, "mona")
	prod := shared.host.NewNamespace(t, "test-")
	try := func(source v1.ServiceSource) error {
		spec := v1.VirtualClusterSpec{}
		spec.Syncer.FromHost.Services.Mappings = []v1.ServiceMapping{{From: source, To: v1.ServiceName{Namespace: "default", Name: "db"}}}
		_, err := m.clusters.Create(t.Context(), named("new", spec), metav1.CreateOptions{DryRun: dryRun})
		return err
	}
	service := v1.ServiceSource{Namespace: prod, Name: "db"}
	inside := v1.ServiceSource{VirtualCluster: &v1.VirtualClusterName{Namespace: prod, Name: "other"}, Namespace: "shop", Name: "db"}
	const field = "spec.syncer.fromHost.services.mappings"
	elsewhere := *m
	elsewhere.namespace = prod
	elsewhere.refused(t, "a Service of others", try(service), field, `get services "db"`)
	elsewhere.refused(t, "a Service of another virtual cluster", try(inside), field, `get virtualclusters/proxy.tenancy.garret.dev "other"`)
	shared.host.Grant(t, m.User, prod,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, ResourceNames: []string{"db"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{v1.GroupName}, Resources: []string{"virtualclusters/proxy"}, ResourceNames: []string{"other"}, Verbs: []string{"get"}})
	for _, source := range []v1.ServiceSource{service, inside} {
		framework.Succeeds(t, "it is shown by who may look at "+source.String(), func(context.Context) error { return try(source) })
	}
	elsewhere.refused(t, "one beside it", try(v1.ServiceSource{Namespace: prod, Name: "web"}), field, `get services "web"`)
}
