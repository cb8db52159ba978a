// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/definitions"
	"garret.dev/garret/syncer/quota"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// widgets are the kind of a CustomResourceDefinition of the host.
var widgets = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "widgets"}

// widgetRule has widgets go to the host.
func widgetRule() tenancyv1.KindRule {
	return tenancyv1.KindRule{APIVersion: "example.org/v1", Resource: "widgets",
		Fields: []tenancyv1.FieldRule{
			{Path: "spec.size"},
			{Path: "spec.mode", OneOf: []string{"plain"}},
			{Path: "spec.secretName", As: tenancyv1.FieldName, Of: tenancyv1.ResourceSecrets},
			{Path: "spec.parts[].name"},
			{Path: "spec.parts[].widget", As: tenancyv1.FieldName, Of: "widgets.example.org"},
			{Path: "spec.parts[].namespace", As: tenancyv1.FieldNamespace},
			{Path: "spec.selector", As: tenancyv1.FieldLabels},
			{Path: "spec.command", As: tenancyv1.FieldRefused},
		},
		Status: []string{"status.phase", "status.message"}}
}

func widgetDefinition() *apiextensionsv1.CustomResourceDefinition {
	text := apiextensionsv1.JSONSchemaProps{Type: "string"}
	object := func(properties map[string]apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}
	}
	part := object(map[string]apiextensionsv1.JSONSchemaProps{"name": text, "widget": text, "namespace": text, "note": text})
	spec := object(map[string]apiextensionsv1.JSONSchemaProps{
		"size": {Type: "integer"}, "mode": text, "secretName": text, "command": text, "secret": text,
		"parts":    {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &part}},
		"selector": {Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &text}},
	})
	status := object(map[string]apiextensionsv1.JSONSchemaProps{"phase": text, "message": text, "hidden": text})
	status.Required = []string{"phase"}
	whole := object(map[string]apiextensionsv1.JSONSchemaProps{"spec": spec, "status": status})
	return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.org"}, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.org", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
			Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &whole},
			Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}}},
	}}
}

// serveWidgets makes the definition on the host. The syncer makes the one inside.
func serveWidgets(ctx context.Context, host *framework.ControlPlane) error {
	client, err := apiextensions.NewForConfig(host.Config)
	if err != nil {
		return err
	}
	_, err = client.CustomResourceDefinitions().Create(ctx, widgetDefinition(), metav1.CreateOptions{})
	return err
}

// kindRules has both sides serve the kinds with a rule, as a syncer does.
func (s *side) kindRules(ctx context.Context) resources.Rules {
	s.t.Helper()
	if s.released {
		return resources.Rules{Virtual: s.virtualObjects, Released: []schema.GroupVersionResource{widgets}}
	}
	if s.unruled {
		return resources.Rules{}
	}
	rule := widgetRule()
	rule.KeepsData = s.keepsData
	account := rest.CopyConfig(s.plane.Config)
	account.Impersonate = rest.ImpersonationConfig{UserName: s.accountName()}
	host, err := apiextensions.NewForConfig(account)
	s.must(err)
	virtual, err := apiextensions.NewForConfig(s.virtualConfig)
	s.must(err)
	installer := &definitions.Installer{Host: host.CustomResourceDefinitions(), Virtual: virtual.CustomResourceDefinitions(),
		ClusterID: s.translator.Cluster().ID, Clock: clock.RealClock{}, Shown: map[string]bool{"widgets.example.org": s.shown != nil},
		Wide: map[string]bool{snapshotClasses.GroupResource().String(): true, snapshotContents.GroupResource().String(): true}}
	hidden, err := installer.Hidden(ctx)
	s.must(err)
	asked := []tenancyv1.KindRule{rule}
	if s.snapshots {
		asked = append(asked, tenancyv1.SnapshotRule(), tenancyv1.KindRule{APIVersion: snapshotClasses.GroupVersion().String(), Resource: snapshotClasses.Resource},
			tenancyv1.KindRule{APIVersion: snapshotContents.GroupVersion().String(), Resource: snapshotContents.Resource})
	}
	outcome := installer.Install(ctx, asked)
	if len(outcome.Missing) > 0 {
		s.t.Fatalf("definitions: got %v", outcome.Missing)
	}
	objects, err := dynamic.NewForConfig(account)
	s.must(err)
	rules := resources.Rules{Virtual: s.virtualObjects, Host: objects, Kinds: outcome.Kinds, Hidden: hidden}
	if s.snapshots {
		rules.Kinds, rules.Classes = outcome.Kinds[:2], outcome.Kinds[2:]
	}
	if s.shown != nil {
		rules.Shown = []resources.ShownKind{{Kind: "Widget", Status: outcome.Kinds[0].HasStatus,
			KindFromHost: tenancyv1.KindFromHost{APIVersion: "example.org/v1", Resource: "widgets", Mappings: s.shown}}}
	}
	return rules
}

func widgetOf(name string, spec fields) *unstructured.Unstructured {
	widget := &unstructured.Unstructured{Object: fields{"apiVersion": "example.org/v1", "kind": "Widget", "spec": spec}}
	widget.SetName(name)
	return widget
}

// TestCustomKind has a kind of the host go there by a rule, and attacks it.
func TestCustomKind(t *testing.T) {
	s := setUp(t)
	k := &kind{GroupVersionResource: widgets, kind: "Widget"}
	make := func(t *testing.T, name string, spec fields) (*subject, *unstructured.Unstructured) {
		each := newSubject(t, s, k)
		made, err := each.inside.Create(t.Context(), widgetOf(name, spec), metav1.CreateOptions{})
		each.must(err)
		return each, made
	}
	t.Run("names are the tenant's own", func(t *testing.T) {
		t.Parallel()
		// Somebody else's Secret, of the name that the tenant says.
		_, err := s.host.CoreV1().Secrets(s.hostNamespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.CreateOptions{})
		s.must(err)
		_, err = s.virtual.CoreV1().Secrets(s.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, StringData: map[string]string{"key": "own"}}, metav1.CreateOptions{})
		s.must(err)
		each, _ := make(t, "named", fields{"size": int64(1), "mode": "plain", "secretName": "theirs", "secret": "stays", "selector": fields{"app": "web"},
			"parts": []any{fields{"name": "a", "widget": "other", "namespace": s.namespace, "note": "stays"}}})
		host := each.awaitHost("named", "is on the host", func(*unstructured.Unstructured) bool { return true })
		own := each.hostName("theirs")
		spec := host.Object["spec"].(fields)
		selector := spec["selector"].(fields)
		delete(spec, "selector")
		want := fields{"size": int64(1), "mode": "plain", "secretName": own, "parts": []any{fields{"name": "a", "widget": each.hostName("other")}}}
		if !reflect.DeepEqual(spec, want) || selector[tenancyv1.LabelCluster] != s.translator.Cluster().ID || selector[tenancyv1.LabelVirtualNamespace] != s.namespace {
			t.Errorf("got %v, selecting %v; want %v, within the virtual cluster", spec, selector, want)
		}
		framework.Eventually(t, "the Secret that it names is on the host", func(ctx context.Context) (bool, error) {
			found, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, own, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil && string(found.Data["key"]) == "own", err
		})
		each.remove("named")
		framework.Eventually(t, "the Secret goes with it", func(ctx context.Context) (bool, error) {
			_, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, own, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
		if _, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil {
			t.Errorf("somebody else's Secret: %v", err)
		}
	})
	t.Run("status", func(t *testing.T) {
		t.Parallel()
		each, _ := make(t, "reporting", fields{"size": int64(1), "secretName": "keys"})
		host := each.awaitHost("reporting", "is on the host", func(*unstructured.Unstructured) bool { return true })
		host.Object["status"] = fields{"phase": "Failed", "message": "no secret " + each.hostName("keys"), "hidden": "stays"}
		_, err := each.onHost.UpdateStatus(t.Context(), host, metav1.UpdateOptions{})
		s.must(err)
		var status any
		framework.Eventually(t, "the status is inside", func(ctx context.Context) (bool, error) {
			found, err := each.inside.Get(ctx, "reporting", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			status = found.Object["status"]
			return status != nil, nil
		})
		if want := (fields{"phase": "Failed", "message": "no secret keys"}); !reflect.DeepEqual(status, want) {
			t.Errorf("got %v, want %v", status, want)
		}
		// The host's object begins anew, without what somebody said about the earlier one.
		s.must(each.onHost.Delete(t.Context(), host.GetName(), metav1.DeleteOptions{}))
		framework.Eventually(t, "the status inside is gone", func(ctx context.Context) (bool, error) {
			found, err := each.inside.Get(ctx, "reporting", metav1.GetOptions{})
			return err == nil && found.Object["status"] == nil, err
		})
	})
	for name, attack := range map[string]struct {
		spec fields
		told string
	}{
		"another namespace":   {fields{"parts": []any{fields{"widget": "theirs", "namespace": "kube-system"}}}, "spec.parts[0].namespace"},
		"a value not allowed": {fields{"mode": "root"}, "spec.mode"},
		"a field not allowed": {fields{"size": int64(1), "command": "rm"}, "spec.command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := "attack-" + strings.ReplaceAll(name, " ", "-")
			each, made := make(t, object, attack.spec)
			if message := each.awaitEvent(made.GetUID(), "Untranslatable"); !strings.Contains(message, attack.told) {
				t.Errorf("event: got %q, want %s in it", message, attack.told)
			}
			if _, err := each.onHost.Get(t.Context(), each.hostName(object), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("got %v, want nothing on the host", err)
			}
		})
	}
	t.Run("the definition inside is the host's", func(t *testing.T) {
		client, err := apiextensions.NewForConfig(s.virtualConfig)
		s.must(err)
		found, err := client.CustomResourceDefinitions().Get(t.Context(), "widgets.example.org", metav1.GetOptions{})
		if err != nil || !reflect.DeepEqual(found.Spec.Versions[0].Schema, widgetDefinition().Spec.Versions[0].Schema) || found.Labels[tenancyv1.LabelCluster] == "" {
			t.Errorf("got %v and %v, want the host's schema and a mark", found, err)
		}
	})
	t.Run("over the quota", func(t *testing.T) {
		s.ledger.Set(quota.Bounds{Hard: corev1.ResourceList{tenancyv1.CountName(widgets.GroupResource()): resource.MustParse("0")}})
		each, made := make(t, "many", fields{"size": int64(1)})
		s.within(t).exceeds(made.GetUID(), "requested count/widgets.example.org=1, used count/widgets.example.org=")
		if _, err := each.onHost.Get(t.Context(), each.hostName("many"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("got %v, want nothing on the host", err)
		}
		s.ledger.Set(quota.Bounds{})
		each.awaitHost("many", "is on the host", func(*unstructured.Unstructured) bool { return true })
	})
	t.Run("the account writes its own alone", func(t *testing.T) { attackByAccount(t, s) })
}

// attackByAccount has somebody who borrowed the syncer's account write widgets of others.
func attackByAccount(t *testing.T, s *side) {
	config := rest.CopyConfig(s.plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: s.accountName()}
	objects, err := dynamic.NewForConfig(config)
	s.must(err)
	borrowed, owner := objects.Resource(widgets).Namespace(s.hostNamespace), s.hostObjects.Resource(widgets).Namespace(s.hostNamespace)
	marked := func(name, id string) *unstructured.Unstructured {
		widget := widgetOf(name, fields{"size": int64(1)})
		if id != "" {
			widget.SetLabels(map[string]string{tenancyv1.LabelCluster: id})
		}
		return widget
	}
	own := s.translator.Cluster().ID
	for name, id := range map[string]string{"plain": "", "foreign": "abcdef0123"} {
		_, err := owner.Create(t.Context(), marked(name, id), metav1.CreateOptions{})
		s.must(err)
		forbidden := func(what string, err error) {
			t.Helper()
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "of its own virtual cluster only") {
				t.Errorf("%s a widget that is %s: got %v, want Forbidden by the policy", what, name, err)
			}
		}
		_, err = borrowed.Create(t.Context(), marked("new-"+name, id), metav1.CreateOptions{})
		forbidden("create", err)
		current, err := owner.Get(t.Context(), name, metav1.GetOptions{})
		s.must(err)
		current.SetLabels(map[string]string{tenancyv1.LabelCluster: own})
		_, err = borrowed.Update(t.Context(), current, metav1.UpdateOptions{})
		forbidden("take over", err)
		forbidden("delete", borrowed.Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	_, err = borrowed.Create(t.Context(), marked("own", own), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Errorf("create a widget of its own: %v", err)
	}
}
