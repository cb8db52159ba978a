// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
)

const small = `{"versions":[
	{"version":"1.0.0","defaults":{"kubernetes":{"version":"v1.36.3"}}},
	{"version":"1.1.0",
	 "parameters":[{"name":"size","type":"quantity","default":"2Gi","maximum":"8Gi"},{"name":"level","type":"integer","default":"2"}],
	 "defaults":{"kubernetes":{"version":"v1.36.3"},"controlPlane":{"storage":{"size":"$(size)"}},"syncer":{"extraArgs":["--v=$(level)"]}},
	 "forced":{"kubernetes":{"distro":"k8s"},"access":[]}},
	{"version":"2.0.0-rc.1","defaults":{}}]}`

func ref(name string, parameters ...v1.TemplateParameterValue) *v1.TemplateReference {
	return &v1.TemplateReference{Name: name, Parameters: parameters}
}

func TestTemplateIsApplied(t *testing.T) {
	made := template(t, "small", small)
	in := clusters(t)
	got := create(t, in, "demo", v1.VirtualClusterSpec{
		TemplateRef: ref("small", v1.TemplateParameterValue{Name: "size", Value: "3Gi"}),
		Syncer:      v1.SyncerSpec{ExtraArgs: []string{"--v=4"}},
	})
	if got.Spec.Kubernetes.Version != "v1.36.3" || got.Spec.Kubernetes.Distro != v1.DistroK8s ||
		got.Spec.ControlPlane.Storage.Size.String() != "3Gi" || got.Spec.Syncer.ExtraArgs[0] != "--v=4" ||
		got.Spec.ControlPlane.Storage.WhenDeleted != v1.RetentionDelete || got.Generation != 1 {
		t.Errorf("spec: got %+v, want the template's, with the own arguments and our defaults", got.Spec)
	}
	applied := got.Status.Template
	if applied == nil || applied.Name != "small" || applied.Version != "1.1.0" || applied.Generation != made.Generation ||
		len(applied.Parameters) != 2 || applied.Parameters[0].Value != "3Gi" || applied.Parameters[1].Value != "2" {
		t.Errorf("status.template: got %+v, want version 1.1.0 with all parameters", applied)
	}
	condition := meta.FindStatusCondition(got.Status.Conditions, v1.ConditionTemplateApplied)
	if condition == nil || condition.Status != metav1.ConditionTrue || !strings.Contains(condition.Message, "small, version 1.1.0") {
		t.Errorf("got %+v, want TemplateApplied with template and version", condition)
	}
	shared.host.Kubectl().Do(t, "wait", "vc/demo", "-n", got.Namespace, "--for=condition=TemplateApplied", "--timeout=60s")

	// A later version changes nothing, nor does the end of the template.
	setTemplate(t, "small", `{"versions":[{"version":"9.0.0","defaults":{"syncer":{"extraArgs":["--v=7"]}}}]}`)
	if err := templates().Delete(t.Context(), "small", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got = patched(t, in, "demo", `{"spec":{"syncer":{"extraArgs":null}}}`)
	if got.Spec.Syncer.ExtraArgs[0] != "--v=2" || got.Status.Template.Version != "1.1.0" {
		t.Errorf("got %v and %s, want the recorded default of version 1.1.0", got.Spec.Syncer.ExtraArgs, got.Status.Template.Version)
	}
}

func TestForcedCannotBeOverridden(t *testing.T) {
	template(t, "small", small)
	in := clusters(t)
	_, err := in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: v1.VirtualClusterSpec{
		TemplateRef: ref("small"), Kubernetes: v1.KubernetesSpec{Distro: v1.DistroK3s},
		Access: []v1.AccessRule{{Users: []string{"alice"}, ClusterRole: "view"}},
	}}, metav1.CreateOptions{})
	invalid(t, err, [2]string{"spec.access", `template "small" forces it to be left out`},
		[2]string{"spec.kubernetes.distro", `Forbidden: template "small" forces "k8s"`})

	made := create(t, in, "demo", v1.VirtualClusterSpec{TemplateRef: ref("small")})
	made.Spec.Access = []v1.AccessRule{{Users: []string{"alice"}, ClusterRole: "cluster-admin"}}
	_, err = in.Update(t.Context(), made, metav1.UpdateOptions{})
	invalid(t, err, [2]string{"spec.access", `template "small" forces it to be left out`})
	_, err = in.Apply(t.Context(), applyv1.VirtualCluster("demo", made.Namespace).WithSpec(applyv1.VirtualClusterSpec().
		WithAccess(applyv1.AccessRule().WithUsers("alice").WithClusterRole("view"))), metav1.ApplyOptions{FieldManager: "alice"})
	invalid(t, err, [2]string{"spec.access", "forces it to be left out"})

	// Neither can it be lifted through the status.
	status := create(t, in, "other", v1.VirtualClusterSpec{TemplateRef: ref("small")})
	status.Status.Template = nil
	if status, err = in.UpdateStatus(t.Context(), status, metav1.UpdateOptions{}); err != nil || status.Status.Template == nil {
		t.Errorf("status without a template: got %+v, %v; want it kept", status.Status.Template, err)
	}
}

func TestWhichTemplate(t *testing.T) {
	in := clusters(t)
	none := create(t, in, "none", v1.VirtualClusterSpec{})
	if none.Spec.TemplateRef != nil || none.Status.Template != nil || len(none.Status.Conditions) > 0 {
		t.Errorf("without templates: got %+v", none.Spec.TemplateRef)
	}
	_, err := in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "missing"},
		Spec: v1.VirtualClusterSpec{TemplateRef: ref("gone")}}, metav1.CreateOptions{})
	invalid(t, err, [2]string{"spec.templateRef.name", "there is no VirtualClusterTemplate of this name"})

	template(t, "small", small)
	template(t, "standard", `{"default":true,"versions":[{"version":"1.0.0"}]}`)
	shared.host.Kubectl().Input(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualClusterTemplate","metadata":{"name":"third"},"spec":{"default":true,"versions":[{"version":"1.0.0"}]}}`).
		Refused(t, "the template standard is the default already", "create", "-f", "-")
	chosen := func(name, want, version string, spec v1.VirtualClusterSpec) {
		t.Helper()
		got := create(t, in, name, spec)
		if got.Spec.TemplateRef == nil || got.Spec.TemplateRef.Name != want || got.Spec.TemplateRef.Version != version {
			t.Errorf("%s: got %+v, want template %q, version %q", name, got.Spec.TemplateRef, want, version)
		}
		if (got.Status.Template != nil) != (want != "") {
			t.Errorf("%s: got status %+v", name, got.Status.Template)
		}
	}
	chosen("marked", "standard", "", v1.VirtualClusterSpec{})
	chosen("named", "small", "", v1.VirtualClusterSpec{TemplateRef: ref("small")})
	chosen("declined", "", "", v1.VirtualClusterSpec{TemplateRef: ref("")})
	setHost(t, `{"defaultTemplateRef":{"name":"small","version":"1.0.0"}}`)
	chosen("of-host", "small", "1.0.0", v1.VirtualClusterSpec{})

	// What was made without a template stays without.
	if got := patched(t, in, "none", `{"spec":{"syncer":{"extraArgs":["--v=3"]}}}`); got.Spec.TemplateRef != nil {
		t.Errorf("an update brought in %+v", got.Spec.TemplateRef)
	}
	listed, err := in.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.templateRef=small"})
	if err != nil || len(listed.Items) != 2 {
		t.Errorf("selected by template: got %d, %v; want named and of-host", len(listed.Items), err)
	}
}

func TestParametersAreChecked(t *testing.T) {
	template(t, "small", small)
	in := clusters(t)
	try := func(parameters ...v1.TemplateParameterValue) error {
		_, err := in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"},
			Spec: v1.VirtualClusterSpec{TemplateRef: ref("small", parameters...)}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	invalid(t, try(v1.TemplateParameterValue{Name: "colour", Value: "red"}, v1.TemplateParameterValue{Name: "size", Value: "9Gi"}),
		[2]string{"spec.templateRef.parameters[0].name", "but size, level"}, [2]string{"spec.templateRef.parameters[1].value", "at most 8Gi"})
	if err := try(v1.TemplateParameterValue{Name: "level", Value: "7"}); err != nil {
		t.Errorf("dry run: got %v, want it accepted", err)
	}
	if _, err := in.Get(t.Context(), "demo", metav1.GetOptions{}); err == nil {
		t.Error("the dry run made an object")
	}
}

// TestApplyOwnsWhatItSays: nobody owns the fields that a template filled in.
func TestApplyOwnsWhatItSays(t *testing.T) {
	template(t, "small", small)
	in := clusters(t)
	namespace := create(t, in, "other", v1.VirtualClusterSpec{}).Namespace
	manifest := func() *applyv1.VirtualClusterApplyConfiguration {
		return applyv1.VirtualCluster("demo", namespace).WithSpec(applyv1.VirtualClusterSpec().
			WithTemplateRef(applyv1.TemplateReference().WithName("small")))
	}
	got, err := in.Apply(t.Context(), manifest(), metav1.ApplyOptions{FieldManager: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Spec.Kubernetes.Distro != v1.DistroK8s || got.Spec.Syncer.ExtraArgs[0] != "--v=2" {
		t.Errorf("got %+v, want the template's", got.Spec)
	}
	for _, entry := range got.ManagedFields {
		if strings.Contains(string(entry.FieldsV1.Raw), "f:kubernetes") || strings.Contains(string(entry.FieldsV1.Raw), "f:syncer") {
			t.Errorf("%s owns %s, want nobody to own what the template says", entry.Manager, entry.FieldsV1.Raw)
		}
	}
	// So another can set them without a conflict, and when it gives up, the template's value is back.
	other := applyv1.VirtualCluster("demo", namespace).WithSpec(applyv1.VirtualClusterSpec().WithSyncer(applyv1.SyncerSpec().WithExtraArgs("--v=6")))
	if got, err = in.Apply(t.Context(), other, metav1.ApplyOptions{FieldManager: "other"}); err != nil || got.Spec.Syncer.ExtraArgs[0] != "--v=6" {
		t.Fatalf("got %v, %v; want --v=6", got.Spec.Syncer.ExtraArgs, err)
	}
	none := applyv1.VirtualCluster("demo", namespace)
	if got, err = in.Apply(t.Context(), none, metav1.ApplyOptions{FieldManager: "other"}); err != nil || got.Spec.Syncer.ExtraArgs[0] != "--v=2" {
		t.Errorf("given up: got %v, %v; want --v=2 again", got.Spec.Syncer.ExtraArgs, err)
	}
	if got, err = in.Apply(t.Context(), manifest(), metav1.ApplyOptions{FieldManager: "owner"}); err != nil || got.Generation != 3 {
		t.Errorf("applied again: got generation %d, %v; want 3 and no change", got.Generation, err)
	}
}

// TestReplaceWithSmallManifest neither fails on what cannot be changed, nor raises the version.
func TestReplaceWithSmallManifest(t *testing.T) {
	in := clusters(t)
	made := create(t, in, "demo", v1.VirtualClusterSpec{
		Kubernetes:   v1.KubernetesSpec{Version: "v1.36.3", Distro: v1.DistroK8s},
		ControlPlane: v1.ControlPlaneSpec{Storage: v1.StorageSpec{Persistent: ptr.To(false)}},
	})
	manifest := `{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"demo","namespace":"` + made.Namespace + `"},"spec":{"syncer":{"extraArgs":["--v=2"]}}}`
	shared.host.Kubectl().Input(manifest).Do(t, "replace", "-f", "-")
	got, err := in.Get(t.Context(), "demo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Spec.Kubernetes.Version != "v1.36.3" || got.Spec.Kubernetes.Distro != v1.DistroK8s || *got.Spec.ControlPlane.Storage.Persistent || got.Spec.Syncer.ExtraArgs[0] != "--v=2" {
		t.Errorf("got %+v, want what was there and the arguments", got.Spec)
	}
}

func TestSync(t *testing.T) {
	template(t, "small", small)
	in := clusters(t)
	create(t, in, "demo", v1.VirtualClusterSpec{TemplateRef: ref("small"), ControlPlane: v1.ControlPlaneSpec{Storage: v1.StorageSpec{WhenDeleted: v1.RetentionRetain}}})
	version := func(args, forced string) {
		t.Helper()
		setTemplate(t, "small", `{"versions":[{"version":"1.2.0","defaults":{"controlPlane":{"storage":{"size":"2Gi","whenDeleted":"Delete"}},"syncer":{"extraArgs":["`+args+`"]}},"forced":`+forced+`}]}`)
	}
	expect := func(got *v1.VirtualCluster, args, version string) {
		t.Helper()
		if got.Spec.Syncer.ExtraArgs[0] != args || got.Status.Template.Version != version || got.Spec.ControlPlane.Storage.WhenDeleted != v1.RetentionRetain {
			t.Errorf("got %v of version %s and %s, want %s of %s and Retain", got.Spec.Syncer.ExtraArgs, got.Status.Template.Version,
				got.Spec.ControlPlane.Storage.WhenDeleted, args, version)
		}
	}
	version("--v=5", `{"kubernetes":{"distro":"k8s"}}`)
	expect(patched(t, in, "demo", `{}`), "--v=2", "1.1.0")
	got := patched(t, in, "demo", `{"spec":{"templateRef":{"sync":true}}}`)
	expect(got, "--v=5", "1.2.0")
	if got.Spec.Kubernetes.Version != "v1.36.3" {
		t.Errorf("got %s, want the version kept that the template does not name any more", got.Spec.Kubernetes.Version)
	}
	version("--v=6", `{"kubernetes":{"distro":"k8s"}}`)
	// Writes leave the template as it was recorded; the controller's, which says nothing, brings it into step.
	expect(patched(t, in, "demo", `{"metadata":{"labels":{"a":"b"}}}`), "--v=5", "1.2.0")
	expect(patched(t, in, "demo", `{}`), "--v=5", "1.2.0")
	got = patched(t, in, "demo", `{"spec":{"access":[{"users":["alice"],"clusterRole":"view"}]}}`)
	expect(got, "--v=5", "1.2.0")
	if c := meta.FindStatusCondition(got.Status.Conditions, v1.ConditionTemplateApplied); c == nil || c.ObservedGeneration != got.Generation {
		t.Errorf("got %+v, want the condition to know generation %d", c, got.Generation)
	}
	got, err := arrive(t, in, "demo")
	if err != nil {
		t.Fatal(err)
	}
	expect(got, "--v=6", "1.2.0")
	// What cannot be applied is refused to the controller, and is in nobody else's way.
	version("--v=7", `{"kubernetes":{"distro":"k3s"}}`)
	_, err = arrive(t, in, "demo")
	invalid(t, err, [2]string{"spec.kubernetes.distro", "cannot be changed"})
	patched(t, in, "demo", `{"metadata":{"finalizers":["example.com/a"]}}`)
	patched(t, in, "demo", `{"metadata":{"finalizers":null}}`)
	expect(patched(t, in, "demo", `{"spec":{"access":null}}`), "--v=6", "1.2.0")
	// Neither is a version that is gone, unless it is asked for.
	setTemplate(t, "small", `{"versions":[{"version":"3.0.0","parameters":[{"name":"team"}]}]}`)
	_, err = arrive(t, in, "demo")
	invalid(t, err, [2]string{"spec.templateRef.parameters", "needs a value for the parameter team"})
	expect(patched(t, in, "demo", `{"spec":{"syncer":{"extraArgs":null}}}`), "--v=6", "1.2.0")
	_, err = in.Patch(t.Context(), "demo", "application/merge-patch+json", []byte(`{"spec":{"templateRef":{"version":"1.2.0"}}}`), metav1.PatchOptions{})
	invalid(t, err, [2]string{"spec.templateRef.version", "no such version, but 3.0.0"})
	if err := templates().Delete(t.Context(), "small", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(patched(t, in, "demo", `{"spec":{"syncer":{"extraArgs":null}}}`), "--v=6", "1.2.0")
	// Without the template nothing is forced.
	got = patched(t, in, "demo", `{"spec":{"templateRef":{"name":"","sync":false,"version":null,"parameters":null}}}`)
	if got.Status.Template != nil || meta.FindStatusCondition(got.Status.Conditions, v1.ConditionTemplateApplied) != nil || got.Spec.Syncer.ExtraArgs[0] != "--v=6" {
		t.Errorf("got %+v, want no template and the spec as it was", got.Status)
	}
}

// arrive makes the write by which the controller has later changes of a template applied.
func arrive(t *testing.T, in tenancyv1.VirtualClusterInterface, name string) (*v1.VirtualCluster, error) {
	t.Helper()
	return in.Patch(t.Context(), name, "application/merge-patch+json", []byte(`{}`), metav1.PatchOptions{FieldManager: v1.FieldManagerController})
}

// TestStaleWriters are told so, and not that the template forbids what it did not when they read.
func TestStaleWriters(t *testing.T) {
	template(t, "small", small)
	template(t, "strict", `{"versions":[{"version":"1.0.0","forced":{"syncer":{"extraArgs":["--v=1"]}}}]}`)
	in := clusters(t)
	stale := create(t, in, "demo", v1.VirtualClusterSpec{TemplateRef: ref("small")})
	patched(t, in, "demo", `{"spec":{"templateRef":{"name":"strict"},"kubernetes":{"distro":"k8s"}}}`)
	stale.Spec.TemplateRef, stale.Spec.Syncer.ExtraArgs = ref("strict"), []string{"--v=3"}
	if _, err := in.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
}

// TestBadTemplates are refused with the path of the fault.
func TestBadTemplates(t *testing.T) {
	for spec, cause := range map[string][2]string{
		`{"versions":[{"version":"1.0"}]}`:                                                             {"spec.versions[0].version", "semantic version"},
		`{"versions":[{"version":"1.0.0","defaults":{"kubernetes":{"versoin":"v1.36.3"}}}]}`:           {"spec.versions[0].defaults.kubernetes.versoin", "no field"},
		`{"versions":[{"version":"1.0.0","forced":{"syncer":{"extraArgs":["$(a)"]}}}]}`:                {"spec.versions[0].forced.syncer.extraArgs[0]", "no parameter a"},
		`{"versions":[{"version":"1.0.0","parameters":[{"name":"a","minimum":"1"}]}]}`:                 {"spec.versions[0].parameters[0].minimum", "only integers"},
		`{"versions":[{"version":"1.0.0","parameters":[{"name":"a","default":"x","options":["y"]}]}]}`: {"spec.versions[0].parameters[0].default", "supported values"},
	} {
		object := &v1.VirtualClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "bad"}}
		if err := json.Unmarshal([]byte(spec), &object.Spec); err != nil {
			t.Fatal(err)
		}
		_, err := templates().Create(context.Background(), object, metav1.CreateOptions{})
		invalid(t, err, cause)
	}
}
