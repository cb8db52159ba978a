// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// hosted is the metadata of a host object of the test's virtual cluster. Without
// a virtual name it is none of the syncer's twins.
func hosted(kind, name, virtualName, virtualKind string) runtime.Object {
	version := schema.GroupVersion{Version: "v1"}
	switch kind {
	case "EndpointSlice":
		version.Group = "discovery.k8s.io"
	case "PodDisruptionBudget":
		version.Group = "policy"
	case "Widget":
		version.Group = "example.org"
	}
	object := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: version.String(), Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: "u", Labels: map[string]string{tenancyv1.LabelCluster: "0123456789"},
			Annotations: map[string]string{}},
	}
	if virtualName != "" {
		object.Annotations[tenancyv1.AnnotationVirtualName] = virtualName
	}
	if virtualKind != "" {
		object.Annotations[tenancyv1.AnnotationVirtualKind] = virtualKind
	}
	return object
}

// hosting is a controller over a host with one object of each sort.
func hosting(t *testing.T, podArgs ...string) (*Controller, *metadatafake.FakeMetadataClient) {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	host := metadatafake.NewSimpleMetadataClient(scheme,
		hosted("Pod", "pod", "a", ""), hosted("Service", "service", "a", ""), hosted("EndpointSlice", "slice", "a", ""),
		hosted("EndpointSlice", "hosts-own", "", ""), hosted("PersistentVolumeClaim", "claim", "a", ""), hosted("Secret", "secret", "a", ""),
		hosted("Secret", "token", "a", "Pod"), hosted("ConfigMap", "configmap", "a", ""), hosted("ConfigMap", "variables", "a", "Namespace"),
		hosted("ConfigMap", "record", "", ""), hosted("PodDisruptionBudget", "budget", "a", ""))
	c := withCaches(t, pod(func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Name: containerControlPlane}, {Name: containerSyncer, Args: podArgs}}
	}))
	c.Metadata = host
	return c, host
}

func TestClearUnsynced(t *testing.T) {
	tests := []struct {
		name      string
		spec, pod []string
		// gone are deleted, marked get the label of an orphan.
		gone, marked []string
	}{
		{"by default", nil, nil, []string{"budget"}, nil},
		{"budgets are synced", []string{"--sync-resources=poddisruptionbudgets"}, []string{"--v=1", "--sync-resources=poddisruptionbudgets"}, nil, nil},
		{"the syncer of before runs", []string{"--disable-sync-resources=secrets"}, nil, nil, nil},
		{"no secrets", []string{"--disable-sync-resources=secrets"}, []string{"--disable-sync-resources=secrets"}, []string{"budget", "secret"}, nil},
		{"no configmaps", []string{"--disable-sync-resources=configmaps"}, []string{"--disable-sync-resources=configmaps"}, []string{"budget", "configmap"}, nil},
		{"no services", []string{"--disable-sync-resources=services"}, []string{"--disable-sync-resources=services"}, []string{"budget", "service", "slice"}, nil},
		{"no pods", []string{"--disable-sync-resources=pods"}, []string{"--disable-sync-resources=pods"}, []string{"budget", "pod", "token", "variables"}, nil},
		{"no claims", []string{"--disable-sync-resources=persistentvolumeclaims"}, []string{"--disable-sync-resources=persistentvolumeclaims"}, []string{"budget"}, []string{"claim"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, host := hosting(t, test.pod...)
			vc := object(1)
			vc.Status.ClusterID, vc.Spec.Syncer.ExtraArgs = "0123456789", test.spec
			m := &memory{}
			left, err := c.clearUnsynced(t.Context(), vc, m, &customKinds{})
			if err != nil || left != (len(test.gone) > 0) {
				t.Errorf("got %t, %v; want something left: %t", left, err, len(test.gone) > 0)
			}
			var gone, marked []string
			for _, action := range host.Actions() {
				switch action := action.(type) {
				case clienttesting.DeleteActionImpl:
					gone = append(gone, action.Name)
				case clienttesting.PatchActionImpl:
					marked = append(marked, action.Name)
				}
			}
			slices.Sort(gone)
			if !slices.Equal(gone, test.gone) || !slices.Equal(marked, test.marked) {
				t.Errorf("deleted %v and marked %v, want %v and %v", gone, marked, test.gone, test.marked)
			}
		})
	}
}

// TestClearedOnce has the host asked again only after something changed.
func TestClearedOnce(t *testing.T) {
	c, host := hosting(t, "--disable-sync-resources=persistentvolumeclaims")
	vc, m := object(1), &memory{}
	vc.Status.ClusterID, vc.Spec.Syncer.ExtraArgs = "0123456789", []string{"--disable-sync-resources=persistentvolumeclaims"}
	pass := func() string {
		host.ClearActions()
		left, err := c.clearUnsynced(t.Context(), vc, m, &customKinds{})
		return fmt.Sprint(len(host.Actions()), left, err)
	}
	// Eight lists, a deletion and a label; eight lists; nothing.
	for i, want := range []string{"10 true <nil>", "8 false <nil>", "0 false <nil>", "0 false <nil>"} {
		if got := pass(); got != want {
			t.Errorf("pass %d: got requests, left, error %s; want %s", i+1, got, want)
		}
	}
	// Switched on and off again before the pod changed: the syncer of between is waited for, and its objects are looked for.
	vc.Spec.Syncer.ExtraArgs = nil
	if got := pass(); got != "0 false <nil>" {
		t.Errorf("while the pod is of before: got %s", got)
	}
	vc.Spec.Syncer.ExtraArgs = []string{"--disable-sync-resources=persistentvolumeclaims"}
	if got := pass(); got != "8 false <nil>" {
		t.Errorf("switched off again: got %s, want the host looked at", got)
	}
}
