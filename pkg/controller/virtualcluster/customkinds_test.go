// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyfake "garret.dev/garret/generated/clientset/versioned/fake"
)

func ruleOf(resource string) tenancyv1.KindRule {
	return tenancyv1.KindRule{APIVersion: "example.org/v1", Resource: resource, Fields: []tenancyv1.FieldRule{{Path: "spec"}}}
}

func keeping(resource string) tenancyv1.KindRule {
	rule := ruleOf(resource)
	rule.KeepsData = true
	return rule
}

func openedTo(verbs ...string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleCustomKinds}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"example.org"}, Resources: []string{"widgets"}, Verbs: verbs}}}
}

func lentDefinitions() *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleHostDefinitions}}
}

// TestCustomKindsAllowed says which rules reach the syncer, and what is said of the others.
func TestCustomKindsAllowed(t *testing.T) {
	widgets := ruleOf("widgets")
	verbs := widgets.Synced().Verbs
	named := openedTo(verbs...)
	named.Rules[0].ResourceNames = []string{"one"}
	for name, test := range map[string]struct {
		objects []runtime.Object
		rules   []tenancyv1.KindRule
		status  []string
		// allowed are resources; known and clearable are as in the status.
		allowed, known, clearable []string
		// data and withData are the known kinds that hold data before and after; kept says that some have no rule.
		data, withData []string
		kept           bool
		// reason is that of the condition, empty for none; message is a part of it.
		reason, message string
		// lent says that the syncer's account may read definitions.
		lent bool
	}{
		"no rules": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}},
		"opened": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, rules: []tenancyv1.KindRule{widgets},
			allowed: []string{"widgets"}, known: []string{"widgets.v1.example.org"}, reason: reasonAllowed, lent: true},
		"another one is not": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, rules: []tenancyv1.KindRule{ruleOf("gadgets"), widgets},
			allowed: []string{"widgets"}, known: []string{"widgets.v1.example.org"}, reason: reasonNotOpened, lent: true,
			message: "gadgets.example.org is not open to virtual clusters: an administrator of the host opens the kind by a ClusterRole with the label tenancy.garret.dev/aggregate-to-custom-kinds=true and the rule {apiGroups: [example.org], resources: [gadgets], verbs: [get, list, watch, create, update, patch, delete]}"},
		"to be read alone": {objects: []runtime.Object{openedTo("get", "list", "watch"), lentDefinitions()}, rules: []tenancyv1.KindRule{widgets}, reason: reasonNotOpened},
		"one object of it": {objects: []runtime.Object{named, lentDefinitions()}, rules: []tenancyv1.KindRule{widgets}, reason: reasonNotOpened},
		"no binding":       {objects: []runtime.Object{openedTo(verbs...)}, rules: []tenancyv1.KindRule{widgets}, reason: reasonNotLent, message: tenancyv1.RoleHostDefinitions},
		"no rule any more": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, status: []string{"widgets.v1.example.org"},
			known: []string{"widgets.v1.example.org"}, clearable: []string{"widgets"}},
		"data of a kind without a rule": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, status: []string{"widgets.v1.example.org"}, data: []string{"widgets.v1.example.org"},
			known: []string{"widgets.v1.example.org"}, clearable: []string{"widgets"}, withData: []string{"widgets.v1.example.org"}, kept: true},
		"data of a kind with a rule": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, rules: []tenancyv1.KindRule{keeping("widgets")},
			allowed: []string{"widgets"}, known: []string{"widgets.v1.example.org"}, withData: []string{"widgets.v1.example.org"}, reason: reasonAllowed, lent: true},
		"data no longer": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, rules: []tenancyv1.KindRule{widgets}, status: []string{"widgets.v1.example.org"}, data: []string{"widgets.v1.example.org"},
			allowed: []string{"widgets"}, known: []string{"widgets.v1.example.org"}, reason: reasonAllowed, lent: true},
		"closed data": {objects: []runtime.Object{lentDefinitions()}, status: []string{"widgets.v1.example.org"}, data: []string{"widgets.v1.example.org"},
			known: []string{"widgets.v1.example.org"}, withData: []string{"widgets.v1.example.org"}, reason: reasonNotOpened, message: "cannot delete its objects", kept: true},
		"a rule that cannot be followed for now": {objects: []runtime.Object{openedTo(verbs...)}, rules: []tenancyv1.KindRule{widgets}, status: []string{"widgets.v1.example.org"},
			known: []string{"widgets.v1.example.org"}, reason: reasonNotLent},
		"another version": {objects: []runtime.Object{openedTo(verbs...), lentDefinitions()}, rules: []tenancyv1.KindRule{widgets}, status: []string{"widgets.v1beta1.example.org"},
			allowed: []string{"widgets"}, known: []string{"widgets.v1.example.org", "widgets.v1beta1.example.org"}, reason: reasonAllowed, lent: true},
		"closed while objects are there": {objects: []runtime.Object{lentDefinitions()}, rules: []tenancyv1.KindRule{widgets}, status: []string{"widgets.v1.example.org"},
			known: []string{"widgets.v1.example.org"}, reason: reasonNotOpened, message: "widgets.example.org is not open"},
		"closed, and no rule any more": {objects: []runtime.Object{lentDefinitions()}, status: []string{"widgets.v1.example.org"},
			known: []string{"widgets.v1.example.org"}, reason: reasonNotOpened, message: "cannot delete its objects"},
	} {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			vc.Spec.Syncer.ToHost.Custom, vc.Status.CustomKinds, vc.Status.CustomKindsWithData = test.rules, test.status, test.data
			c := deployer(t, true, test.objects...)
			got, err := c.customKinds(t.Context(), vc, &memory{})
			if err != nil {
				t.Fatal(err)
			}
			var allowed []string
			for _, rule := range got.allowed {
				allowed = append(allowed, rule.Resource)
			}
			var clearable []string
			for _, kind := range got.clearable() {
				clearable = append(clearable, kind.Resource)
			}
			if !slices.Equal(allowed, test.allowed) || !slices.Equal(got.known, test.known) || !slices.Equal(clearable, test.clearable) {
				t.Errorf("got %v allowed, %v known, %v to clear; want %v, %v, %v", allowed, got.known, clearable, test.allowed, test.known, test.clearable)
			}
			if !slices.Equal(got.withData, test.withData) || (got.kept != nil) != test.kept || slices.Contains(got.releaseArgs(), "--release-kind=widgets.v1.example.org") != test.kept {
				t.Errorf("got %v with data, the condition %v and the arguments %v; want %v, and both: %t", got.withData, got.kept, got.releaseArgs(), test.withData, test.kept)
			}
			switch {
			case (got.condition == nil) != (test.reason == ""):
				t.Errorf("condition: got %v, want the reason %q", got.condition, test.reason)
			case got.condition != nil && (got.condition.Reason != test.reason || !strings.Contains(got.condition.Message, test.message) ||
				(got.condition.Status == metav1.ConditionTrue) != (test.reason == reasonAllowed)):
				t.Errorf("condition: got %+v, want the reason %q with %q", got.condition, test.reason, test.message)
			}
			binding, err := c.Host.RbacV1().ClusterRoleBindings().Get(t.Context(), tenancyv1.RoleHostDefinitions, metav1.GetOptions{})
			if lent := err == nil && len(binding.Subjects) == 1 && binding.Subjects[0].Name == "vc-demo"; lent != test.lent {
				t.Errorf("the syncer may read definitions: got %t, want %t", lent, test.lent)
			}
			values, err := c.values(t.Context(), vc, &got)
			if err != nil {
				t.Fatal(err)
			}
			rules, err := tenancyv1.RulesByArgs(values.Syncer.ExtraArgs)
			if err != nil || len(rules) != len(test.allowed) {
				t.Errorf("the syncer gets %v and %v, want those of %v", rules, err, test.allowed)
			}
			for _, resource := range []string{"widgets", "gadgets"} {
				granted := slices.ContainsFunc(values.RBAC.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, resource) })
				if granted != slices.Contains(test.allowed, resource) {
					t.Errorf("the Role has %s: %t, want it for %v alone", resource, granted, test.allowed)
				}
			}
		})
	}
}

// TestKindsAreRecordedFirst wants a kind in the status before the syncer has rights on it,
// and until its last object is gone.
func TestKindsAreRecordedFirst(t *testing.T) {
	widgets := ruleOf("widgets")
	args, err := tenancyv1.RuleArgs([]tenancyv1.KindRule{widgets})
	if err != nil {
		t.Fatal(err)
	}
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	host := metadatafake.NewSimpleMetadataClient(scheme, hosted("Widget", "twin", "a", ""), hosted("Widget", "copied-label", "", ""))
	running := func(args ...string) *corev1.Pod {
		return pod(func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{{Name: containerSyncer, Args: args}} })
	}
	vc, m := object(1), &memory{}
	vc.Status.ClusterID = "0123456789"
	c := withCaches(t, running(args...))
	c.Metadata, c.Tenancy = host, tenancyfake.NewClientset(vc)
	recorded := func() []string {
		found, err := c.Tenancy.TenancyV1().VirtualClusters(vc.Namespace).Get(t.Context(), vc.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found.Status.CustomKinds
	}
	if err := c.record(t.Context(), vc, m, []string{widgets.CustomKind()}, nil); err != nil || !slices.Equal(recorded(), []string{"widgets.v1.example.org"}) {
		t.Fatalf("recorded: got %v and %v", recorded(), err)
	}
	deleted := func() (names []string) {
		for _, action := range host.Actions() {
			if action, is := action.(clienttesting.DeleteActionImpl); is {
				names = append(names, action.Name)
			}
		}
		return names
	}
	// While there is the rule, the host is clear of what is off.
	vc.Spec.Syncer.ExtraArgs = []string{"--disable-sync-resources=persistentvolumeclaims"}
	args = append(args, vc.Spec.Syncer.ExtraArgs...)
	if err := c.watched.lookedAt[0].GetStore().Update(running(args...)); err != nil {
		t.Fatal(err)
	}
	ruled := &customKinds{allowed: []tenancyv1.KindRule{widgets}, known: m.knownKinds(vc)}
	if left, err := c.clearUnsynced(t.Context(), vc, m, ruled); left || err != nil || m.cleared == "" || len(deleted()) > 0 {
		t.Errorf("with the rule: got %t, %v, %q cleared, and %v deleted", left, err, m.cleared, deleted())
	}
	// The cache has an earlier status: what was written is remembered.
	dropped := &customKinds{known: m.knownKinds(vc)}
	if left, err := c.clearUnsynced(t.Context(), vc, m, dropped); left || err != nil || len(deleted()) > 0 {
		t.Errorf("while a syncer works by the rule: got %t, %v, and %v deleted", left, err, deleted())
	}
	if err := c.watched.lookedAt[0].GetStore().Update(running("--disable-sync-resources=persistentvolumeclaims")); err != nil {
		t.Fatal(err)
	}
	if left, err := c.clearUnsynced(t.Context(), vc, m, dropped); !left || err != nil || !slices.Equal(deleted(), []string{"twin"}) || len(recorded()) != 1 {
		t.Errorf("after the syncer: got %t, %v, %v deleted, and %v in the status", left, err, deleted(), recorded())
	}
	if left, err := c.clearUnsynced(t.Context(), vc, m, dropped); left || err != nil || len(recorded()) > 0 || len(m.knownKinds(vc)) > 0 {
		t.Errorf("at last: got %t, %v, and %v in the status", left, err, recorded())
	}
}

// TestKindsWithDataAreNotCleared has a rule go, and the virtual cluster after it: what holds data is
// marked, stays, and stays known.
func TestKindsWithDataAreNotCleared(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	host := metadatafake.NewSimpleMetadataClient(scheme, hosted("Widget", "twin", "a", ""), hosted("Widget", "copied-label", "", ""))
	vc, m := object(1), &memory{}
	vc.Status.ClusterID = "0123456789"
	vc.Status.CustomKinds, vc.Status.CustomKindsWithData = []string{"widgets.v1.example.org"}, []string{"widgets.v1.example.org"}
	c := withCaches(t, pod(func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{{Name: containerSyncer}} }))
	c.Metadata, c.Tenancy = host, tenancyfake.NewClientset(vc)
	widgets := host.Resource(schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "widgets"}).Namespace(vc.Namespace)
	marked := func(name string) bool {
		found, err := widgets.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("%s: %v, want it to stay", name, err)
		}
		return found.Labels[tenancyv1.LabelOrphan] != ""
	}
	dropped := &customKinds{known: vc.Status.CustomKinds, withData: vc.Status.CustomKindsWithData}
	if left, err := c.clearUnsynced(t.Context(), vc, m, dropped); left || err != nil || !marked("twin") || marked("copied-label") {
		t.Errorf("without a rule: got %t, %v, marked %t and %t", left, err, marked("twin"), marked("copied-label"))
	}
	if found, err := c.Tenancy.TenancyV1().VirtualClusters(vc.Namespace).Get(t.Context(), vc.Name, metav1.GetOptions{}); err != nil || len(found.Status.CustomKindsWithData) != 1 {
		t.Errorf("got %v with data and %v, want the kind to stay known", found.Status.CustomKindsWithData, err)
	}
	vc.Spec.ControlPlane.Storage.WhenDeleted = tenancyv1.RetentionRetain
	var left leftover
	if err := c.removeCustom(t.Context(), vc, m, &left); err != nil || len(left.what) > 0 || !marked("twin") {
		t.Errorf("retained: got %v and %v, want nothing on its way out", left.what, err)
	}
	vc.Spec.ControlPlane.Storage.WhenDeleted = tenancyv1.RetentionDelete
	if err := c.removeCustom(t.Context(), vc, m, &left); err != nil || len(left.what) != 1 {
		t.Errorf("deleted: got %v and %v, want what was kept on its way out", left.what, err)
	}
	m.cleared = ""
	dropped = &customKinds{known: vc.Status.CustomKinds, withData: vc.Status.CustomKindsWithData}
	if left, err := c.clearUnsynced(t.Context(), vc, m, dropped); left || err != nil || len(m.kindsHoldingData)+len(m.kinds) > 0 {
		t.Errorf("with nothing left: got %t, %v, and %v known", left, err, m.kinds)
	}
}

// TestTeardownOfCustomKinds deletes what is there, and says who can help where it may not.
func TestTeardownOfCustomKinds(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	host := metadatafake.NewSimpleMetadataClient(scheme, hosted("Widget", "twin", "a", ""))
	vc, m := object(1), &memory{}
	vc.Status.ClusterID, vc.Status.CustomKinds = "0123456789", []string{"gone.v1.example.org", "widgets.v1.example.org"}
	c := withCaches(t)
	c.Metadata = host
	var left leftover
	if err := c.removeCustom(t.Context(), vc, m, &left); err != nil || !slices.Equal(left.what, []string{"1 synced widget"}) {
		t.Errorf("got %v and %v, want a widget on its way out", left.what, err)
	}
	host.PrependReactor("list", "widgets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, forbidden("widgets")
	})
	if err := c.removeCustom(t.Context(), vc, m, &leftover{}); err == nil || !strings.Contains(err.Error(), tenancyv1.LabelAggregateToCustomKinds) {
		t.Errorf("without the right: got %v, want who can help", err)
	}
	status := vc.Status.DeepCopy()
	kinds := customKinds{condition: &metav1.Condition{Type: tenancyv1.ConditionCustomKindsAllowed, Status: metav1.ConditionFalse, Reason: "R", Message: strings.Repeat("ä", maxMessage)}}
	kinds.report(status, metav1.Now())
	if condition := meta.FindStatusCondition(status.Conditions, tenancyv1.ConditionCustomKindsAllowed); len(condition.Message) > maxMessage {
		t.Errorf("a message of %d bytes", len(condition.Message))
	}
	kinds.condition = nil
	kinds.report(status, metav1.Now())
	if meta.FindStatusCondition(status.Conditions, tenancyv1.ConditionCustomKindsAllowed) != nil {
		t.Error("a condition about no rule stays")
	}
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: "example.org", Resource: resource}, "", nil)
}
