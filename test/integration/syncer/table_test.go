// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/framework"
)

// labelRefused is the tenant's label that a policy of the host does not bear.
const labelRefused = "refused"

// checks are what holds for every kind while a syncer runs. Each has objects of its own.
var checks = []struct {
	name  string
	check func(s *subject, name string)
}{
	{"carried", checkCarried},
	{"renamed", checkRenamed},
	{"drift-put-back", checkDrift},
	{"foreign-untouched", checkForeign},
	{"removed", checkRemoved},
	{"name-used-again", checkNameUsedAgain},
	{"refusal", checkRefusal},
	{"selectors", checkSelectors},
	{"explained", checkExplained},
}

// TestKinds makes each check for each kind.
func TestKinds(t *testing.T) {
	everyKindHasARow(t)
	s := setUp(t)
	s.stop()
	s.accounts = true
	s.selectors = map[string]string{tenancyv1.ResourceDeviceClasses: "of=nobody"} // claims need that kind
	s.start()
	s.refuseOnHost()
	t.Run("syncing", func(t *testing.T) {
		for _, k := range kinds() {
			for _, check := range checks {
				t.Run(k.Resource+"/"+check.name, func(t *testing.T) {
					t.Parallel()
					check.check(newSubject(t, s, k), check.name)
				})
			}
		}
	})
	t.Run("while the syncer is down", func(t *testing.T) { checkDown(t, s) })
	for _, k := range kinds() {
		t.Run(k.Resource+"/switched off", func(t *testing.T) { checkOff(newSubject(t, s, k), s) })
	}
	t.Run("other data inside", func(t *testing.T) { checkOtherData(t, s) })
}

// everyKindHasARow wants a row for each kind that has twins on the host. Those of cluster scope are
// shared by all tests: TestOwnVolume and TestOwnStorageClass are about them.
func everyKindHasARow(t *testing.T) {
	var rows []string
	for _, k := range kinds() {
		rows = append(rows, k.Resource)
	}
	for _, kind := range tenancyv1.Catalogue() {
		if kind.Direction == tenancyv1.ToHost && kind.Namespaced && !slices.Contains(rows, kind.Resource) {
			t.Errorf("%s are synced, and have no row in kinds", kind.Resource)
		}
	}
}

// checkCarried wants a change of what is asked for to reach the host.
func checkCarried(s *subject, name string) {
	s.carried(name)
	s.change(name)
	s.awaitHost(name, "is changed", func(host *unstructured.Unstructured) bool { return s.holds(host, 1) })
}

// checkRenamed wants a name on the host that no other virtual cluster uses, and who it is.
func checkRenamed(s *subject, name string) {
	virtual, host := s.carried(name)
	if host.GetName() == name || host.GetNamespace() != s.hostNamespace {
		s.t.Errorf("got %s/%s, want a name of its own in %s", host.GetNamespace(), host.GetName(), s.hostNamespace)
	}
	identity, ours := s.translator.IdentityOf(host)
	if want := translate.IdentityFor(virtual); !ours || identity != want {
		s.t.Errorf("identity: got %v, ours %t, want %v", identity, ours, want)
	}
	if len(host.GetOwnerReferences()) > 0 {
		s.t.Errorf("owners: got %v, want none that a garbage collector could follow", host.GetOwnerReferences())
	}
}

// checkDrift wants what somebody on the host changes to be put back.
func checkDrift(s *subject, name string) {
	s.carried(name)
	s.drifts(name)
	s.awaitHost(name, "is put back", func(host *unstructured.Unstructured) bool { return s.holds(host, 0) })
}

// checkForeign wants an object of the host that has the name by chance to be left
// alone, from the creation of the one inside to its end.
func checkForeign(s *subject, name string) {
	theirs := s.valid(s.hostName(name))
	theirs.SetLabels(map[string]string{"theirs": "yes"})
	foreign, err := s.onHost.Create(s.t.Context(), theirs, metav1.CreateOptions{})
	s.must(err)
	virtual := s.create(name)
	if message := s.awaitEvent(virtual.GetUID(), "NameOccupied"); !strings.Contains(message, foreign.GetName()) {
		s.t.Errorf("event: got %q, want the name on the host", message)
	}
	s.remove(name)
	s.goneInside(name)
	found, err := s.onHost.Get(s.t.Context(), foreign.GetName(), metav1.GetOptions{})
	s.must(err)
	if got, want := written(found), written(foreign); !reflect.DeepEqual(got, want) {
		s.t.Errorf("an object that was not synced was changed: got %v, want %v", got, want)
	}
}

// checkRemoved wants the host object to go with the one inside.
func checkRemoved(s *subject, name string) {
	s.carried(name)
	s.remove(name)
	s.goneOnHost(name)
	s.goneInside(name)
}

// checkNameUsedAgain wants another host object for another object of the name.
func checkNameUsedAgain(s *subject, name string) {
	_, before := s.carried(name)
	s.remove(name)
	s.goneInside(name)
	virtual := s.createAgain(name)
	if host := s.awaitTwin(name, virtual.GetUID()); host.GetUID() == before.GetUID() {
		s.t.Error("got the host object of before")
	}
}

// checkRefusal wants the host's words on the object inside, with its name there,
// and the object on the host once it is not refused any more.
func checkRefusal(s *subject, name string) {
	virtual := s.create(name, func(object *unstructured.Unstructured) {
		labels := object.GetLabels()
		labels[labelRefused] = "yes"
		object.SetLabels(labels)
	})
	message := s.awaitEvent(virtual.GetUID(), "HostRefused")
	if !strings.Contains(message, "the policy does not bear "+name) || strings.Contains(message, s.hostName(name)) || strings.Contains(message, s.hostNamespace) {
		s.t.Errorf("event: got %q, want the policy's words, and the name inside", message)
	}
	s.patch(s.inside, name, nil, "metadata", "labels", labelRefused)
	s.awaitTwin(name, virtual.GetUID())
}

// checkSelectors wants no selector of the host to match a tenant's labels, and
// none of a tenant's to match what is not its own.
func checkSelectors(s *subject, name string) {
	_, host := s.carried(name)
	if _, found := host.GetLabels()[labelTier]; found || host.GetLabels()[translate.Key(labelTier)] != "one" {
		s.t.Errorf("labels: got %v, want the tenant's under keys of their own", host.GetLabels())
	}
	if s.selector == nil {
		return
	}
	selector, _, err := unstructured.NestedStringMap(host.Object, s.selector...)
	s.must(err)
	if selector[tenancyv1.LabelCluster] != s.translator.Cluster().ID || selector[tenancyv1.LabelVirtualNamespace] != s.namespace {
		s.t.Errorf("selector: got %v, want it to hold within cluster and namespace", selector)
	}
}

// checkDown has objects of all kinds be changed, deleted and made while no syncer
// runs, on both sides.
func checkDown(t *testing.T, s *side) {
	var subjects []*subject
	for _, k := range kinds() {
		subjects = append(subjects, newSubject(t, s, k))
	}
	for _, each := range subjects {
		for _, name := range []string{"changed-while-down", "drifted-while-down", "deleted-while-down"} {
			each.carried(name)
		}
	}
	s.stop()
	made := map[*subject]*unstructured.Unstructured{}
	for _, each := range subjects {
		each.change("changed-while-down")
		each.drifts("drifted-while-down")
		each.remove("deleted-while-down")
		made[each] = each.create("made-while-down")
	}
	s.start()
	for _, each := range subjects {
		t.Run(each.Resource, func(t *testing.T) {
			each := newSubject(t, s, each.kind)
			each.awaitHost("changed-while-down", "is changed", func(host *unstructured.Unstructured) bool { return each.holds(host, 1) })
			each.awaitHost("drifted-while-down", "is put back", func(host *unstructured.Unstructured) bool { return each.holds(host, 0) })
			each.goneOnHost("deleted-while-down")
			each.goneInside("deleted-while-down")
		})
	}
	for each, virtual := range made {
		each.awaitTwin("made-while-down", virtual.GetUID())
	}
}

// checkOtherData has the data inside go back in time under a running syncer, by
// an older checkpoint in them. What is missing then is no evidence for any kind.
func checkOtherData(t *testing.T, s *side) {
	namespaces := s.virtual.CoreV1().Namespaces()
	mark := func(checkpoint string) {
		t.Helper()
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"garret.dev/checkpoint":%q}}}`, checkpoint)
		_, err := namespaces.Patch(context.WithoutCancel(t.Context()), metav1.NamespaceSystem, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(err)
	}
	before := map[*subject]types.UID{}
	for _, k := range kinds() {
		row, _ := tenancyv1.CataloguedKind(k.Resource)
		if row.HoldsData || k.Resource == tenancyv1.ResourcePods {
			continue // what holds data never goes for missing, and a pod is seen ending
		}
		each := newSubject(t, s, k)
		_, host := each.carried("of-before")
		before[each] = host.GetUID()
	}
	system, err := namespaces.Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	s.must(err)
	t.Cleanup(func() { mark(system.Annotations["garret.dev/checkpoint"]) })
	mark("1-aaaaaaaaaa")
	for each := range before {
		each.remove("of-before")
		each.goneInside("of-before")
	}
	// The syncer has looked at what is missing by the time that it carries a pod.
	s.within(t).createPod("of-other-data", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	s.within(t).hostPod("of-other-data")
	for each, uid := range before {
		host, err := each.onHost.Get(t.Context(), each.hostName("of-before"), metav1.GetOptions{})
		if err != nil || host.GetUID() != uid || host.GetDeletionTimestamp() != nil {
			t.Errorf("%s on the host whose object is missing in other data: got %v, want it as it was", each.Resource, err)
		}
	}
	mark(system.Annotations["garret.dev/checkpoint"])
	for each := range before {
		each.goneOnHost("of-before")
	}
}

// checkOff switches the kind off, and wants nothing to be carried. What is not
// watched any more stands in the test of resources.
func checkOff(s *subject, running *side) {
	s.carried("before-off")
	running.stop()
	running.off, running.unruled = []string{s.Resource}, s.Resource == widgets.Resource
	running.start()
	defer func() {
		running.stop()
		running.off, running.unruled = nil, false
		running.start()
	}()
	s.change("before-off")
	s.create("made-while-off")
	s.marker()
	host, err := s.onHost.Get(s.t.Context(), s.hostName("before-off"), metav1.GetOptions{})
	s.must(err)
	if s.holds(host, 1) {
		s.t.Error("a change was carried")
	}
	if _, err := s.onHost.Get(s.t.Context(), s.hostName("made-while-off"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		s.t.Errorf("an object was carried: got %v, want none on the host", err)
	}
}

// marker waits until the syncer has carried an object of another kind.
func (s *subject) marker() {
	s.t.Helper()
	name := "marker-" + s.Resource
	if s.Resource != tenancyv1.ResourcePods {
		s.createPod(name, corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
		s.hostPod(name)
		return
	}
	_, err := s.virtual.CoreV1().Services(s.namespace).Create(s.t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(s.t, "the marker is on the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().Services(s.hostNamespace).Get(ctx, s.hostName(name), metav1.GetOptions{})
		return err == nil, nil
	})
}

// refuseOnHost has a policy of the host refuse what bears the label, whatever it is.
func (s *side) refuseOnHost() {
	s.t.Helper()
	ctx := s.t.Context()
	registration := s.host.AdmissionregistrationV1()
	name := "refuse-" + s.namespace
	every := []string{"*"}
	label := translate.Key(labelRefused)
	_, err := registration.ValidatingAdmissionPolicies().Create(ctx, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: every, APIVersions: every, Resources: every},
			}}}},
			Validations: []admissionv1.Validation{{
				Expression:        "!has(object.metadata.labels) || !('" + label + "' in object.metadata.labels)",
				MessageExpression: "'the policy does not bear ' + object.metadata.name",
			}},
		}}, metav1.CreateOptions{})
	s.must(err)
	_, err = registration.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}}}, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		_ = registration.ValidatingAdmissionPolicyBindings().Delete(context.Background(), name, metav1.DeleteOptions{})
		_ = registration.ValidatingAdmissionPolicies().Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	framework.Eventually(s.t, "the policy is in force", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "probe", Labels: map[string]string{label: "yes"}}},
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err) || apierrors.IsForbidden(err), nil
	})
}
