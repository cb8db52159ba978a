// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// bodies are, for each kind that has twins on the host, what an object has besides metadata.
func bodies() map[string]string {
	return map[string]string{
		tenancyv1.ResourcePods:            `{"kind":"Pod","spec":{"schedulerName":"nobody","containers":[{"name":"c","image":"i"}]}}`,
		tenancyv1.ResourceServices:        `{"kind":"Service","spec":{"selector":{"a":"b"},"ports":[{"port":80}]}}`,
		tenancyv1.ResourceEndpointSlices:  `{"kind":"EndpointSlice","addressType":"IPv4","endpoints":[]}`,
		tenancyv1.ResourceIngresses:       `{"kind":"Ingress","spec":{"rules":[{"host":"shop.example"}]}}`,
		tenancyv1.ResourceClaims:          `{"kind":"PersistentVolumeClaim","spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`,
		tenancyv1.ResourceSecrets:         `{"kind":"Secret"}`,
		tenancyv1.ResourceVolumes:         `{"kind":"PersistentVolume","spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"csi":{"driver":"disks.example.org","volumeHandle":"a"}}}`,
		tenancyv1.OwnStorageClasses:       `{"kind":"StorageClass","provisioner":"disks.example.org"}`,
		tenancyv1.OwnSnapshotContents:     `{"kind":"VolumeSnapshotContent","spec":{"driver":"disks.example.org","source":{"snapshotHandle":"a"}}}`,
		tenancyv1.ResourceServiceAccounts: `{"kind":"ServiceAccount"}`,
		tenancyv1.ResourceConfigMaps:      `{"kind":"ConfigMap"}`,
		tenancyv1.ResourcePolicies:        `{"kind":"NetworkPolicy","spec":{"podSelector":{"matchLabels":{"a":"b"}}}}`,
		tenancyv1.ResourceDeviceClaims:    `{"kind":"ResourceClaim","spec":{"devices":{}}}`,
		tenancyv1.ResourceBudgets:         `{"kind":"PodDisruptionBudget","spec":{"minAvailable":1,"selector":{"matchLabels":{"a":"b"}}}}`,
	}
}

// made puts an object of a kind on the host as a syncer would; without a virtual
// name it only carries the label, and with an empty id it is anybody's.
func (v tenant) made(kind tenancyv1.SyncedKind, name, id, virtualName, virtualKind string) {
	v.t.Helper()
	body, known := bodies()[kind.Name()]
	if !known {
		v.t.Fatalf("%s has twins on the host: this test needs an object of that kind", kind.Resource)
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(body), &object.Object); err != nil {
		v.t.Fatal(err)
	}
	object.SetAPIVersion(kind.GroupVersionResource().GroupVersion().String())
	if kind.Namespaced {
		object.SetNamespace(v.ns)
	}
	object.SetName(v.nameOf(kind, name))
	if id != "" {
		object.SetLabels(map[string]string{tenancyv1.LabelCluster: id})
	}
	annotations := map[string]string{}
	if virtualName != "" {
		annotations[tenancyv1.AnnotationVirtualName] = virtualName
	}
	if virtualKind != "" {
		annotations[tenancyv1.AnnotationVirtualKind] = virtualKind
	}
	object.SetAnnotations(annotations)
	if _, err := v.objects(kind).Create(v.t.Context(), object, metav1.CreateOptions{}); err != nil {
		v.t.Fatalf("%s %s: %v", kind.Resource, name, err)
	}
}

// issued puts a Secret on the host as cert-manager makes one for the ingress of a virtual cluster.
func (v tenant) issued(name, id string) {
	v.t.Helper()
	v.labelled(name, map[string]string{tenancyv1.LabelIssuedFor: id})
}

// labelled puts a Secret on the host that stands for nothing inside.
func (v tenant) labelled(name string, labels map[string]string) {
	v.t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret"}}
	object.SetName(name)
	object.SetLabels(labels)
	if _, err := v.objects(row(v.t, tenancyv1.ResourceSecrets)).Create(v.t.Context(), object, metav1.CreateOptions{}); err != nil {
		v.t.Fatal(err)
	}
}

func (v tenant) objects(kind tenancyv1.SyncedKind) dynamic.ResourceInterface {
	v.t.Helper()
	client, err := dynamic.NewForConfig(shared.config)
	if err != nil {
		v.t.Fatal(err)
	}
	if !kind.Namespaced {
		return client.Resource(kind.GroupVersionResource())
	}
	return client.Resource(kind.GroupVersionResource()).Namespace(v.ns)
}

// nameOf is the name of a test's object: those of cluster scope are named apart from other tests'.
func (v tenant) nameOf(kind tenancyv1.SyncedKind, name string) string {
	if kind.Namespaced {
		return name
	}
	return v.ns + "-" + name
}

// there tells whether an object is on the host, and whether it is marked as an orphan.
func (v tenant) there(ctx context.Context, kind tenancyv1.SyncedKind, name string) (is, orphan bool, err error) {
	found, err := v.objects(kind).Get(ctx, v.nameOf(kind, name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	return true, found.GetLabels()[tenancyv1.LabelOrphan] == "true", nil
}

// withTwins are the rows of the catalogue that have any.
func withTwins() []tenancyv1.SyncedKind {
	return slices.DeleteFunc(tenancyv1.Catalogue(), func(k tenancyv1.SyncedKind) bool { return k.Direction != tenancyv1.ToHost })
}

func row(t *testing.T, resource string) tenancyv1.SyncedKind {
	t.Helper()
	kind, known := tenancyv1.CataloguedKind(resource)
	if !known {
		t.Fatalf("no kind %s", resource)
	}
	return kind
}

func TestDeletionLeavesNothing(t *testing.T) {
	for _, retention := range []tenancyv1.StorageRetention{tenancyv1.RetentionDelete, tenancyv1.RetentionRetain} {
		t.Run(string(retention), func(t *testing.T) {
			t.Parallel()
			v := newTenant(t)
			v.create(func(vc *tenancyv1.VirtualCluster) { vc.Spec.ControlPlane.Storage.WhenDeleted = retention })
			vc := v.makeReady()
			for _, kind := range withTwins() {
				v.made(kind, "synced", vc.Status.ClusterID, "inside", "")
				v.made(kind, "of-another", "ffffffffff", "inside", "")
				v.made(kind, "half-marked", vc.Status.ClusterID, "", "")
				v.made(kind, "plain", "", "inside", "")
			}
			v.issued("issued", vc.Status.ClusterID)
			v.issued("issued-for-another", "ffffffffff")
			v.labelled("kubeconfig", map[string]string{tenancyv1.LabelCluster: vc.Status.ClusterID, tenancyv1.LabelKubeconfigOf: vc.Status.ClusterID})
			v.labelled("kubeconfig-of-another", map[string]string{tenancyv1.LabelCluster: "ffffffffff", tenancyv1.LabelKubeconfigOf: vc.Status.ClusterID})
			v.delete()
			retained := retention == tenancyv1.RetentionRetain
			for _, kind := range withTwins() {
				// The workloads' data are worth no less than the control plane's.
				want := retained && kind.HoldsData
				if is, orphan, err := v.there(t.Context(), kind, "synced"); err != nil || is != want || orphan != want {
					t.Errorf("%s: kept %t, marked %t, %v; want %t", kind.Resource, is, orphan, err, want)
				}
				for _, name := range []string{"of-another", "half-marked", "plain"} {
					if is, orphan, err := v.there(t.Context(), kind, name); err != nil || !is || orphan {
						t.Errorf("%s %s: there %t, marked %t, %v; want it left alone", kind.Resource, name, is, orphan, err)
					}
				}
			}
			secrets := row(t, tenancyv1.ResourceSecrets)
			if is, _, err := v.there(t.Context(), secrets, "issued"); err != nil || is != retained {
				t.Errorf("a certificate of the virtual cluster is kept: %t (%v), want %t", is, err, retained)
			}
			for name, want := range map[string]bool{"kubeconfig": false, "kubeconfig-of-another": true} {
				if is, _, err := v.there(t.Context(), secrets, name); err != nil || is != want {
					t.Errorf("Secret %s is there: %t (%v), want %t", name, is, err, want)
				}
			}
			if is, _, err := v.there(t.Context(), secrets, "issued-for-another"); err != nil || !is {
				t.Errorf("a certificate of another virtual cluster is kept: %t, %v; want it left alone", is, err)
			}
			if is, _, err := v.there(t.Context(), row(t, tenancyv1.ResourceClaims), "data-vc-demo-0"); err != nil || is != retained {
				t.Errorf("the control plane's claim is kept: %t (%v), want %t", is, err, retained)
			}
		})
	}
}

// TestSwitchedOffLeavesNothing switches kinds off while they have objects on the host.
func TestSwitchedOffLeavesNothing(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(func(vc *tenancyv1.VirtualCluster) {
		vc.Spec.Syncer.ExtraArgs = []string{"--sync-resources=" + tenancyv1.ResourceBudgets + "," + tenancyv1.ResourcePolicies}
	})
	vc := v.makeReady()
	id := vc.Status.ClusterID
	for _, kind := range withTwins() {
		v.made(kind, "twin", id, "a", "")
		v.made(kind, "of-another", "ffffffffff", "a", "")
		v.made(kind, "no-twin", id, "", "")
	}
	secrets, configMaps := row(t, tenancyv1.ResourceSecrets), row(t, tenancyv1.ResourceConfigMaps)
	v.made(secrets, "tokens", id, "a", tenancyv1.VirtualKindPod)
	v.made(configMaps, "variables", id, "a", tenancyv1.VirtualKindNamespace)

	// First all but pods, whose tokens and variables stay.
	off := "--disable-sync-resources=services,endpointslices,persistentvolumeclaims,secrets,configmaps,events"
	v.switchTo(off)
	for _, kind := range withTwins() {
		v.twinBecomes(kind, kind.Resource == tenancyv1.ResourcePods || kind.HoldsData, kind.HoldsData)
	}
	for name, kind := range map[string]tenancyv1.SyncedKind{"tokens": secrets, "variables": configMaps} {
		if is, _, err := v.there(t.Context(), kind, name); err != nil || !is {
			t.Errorf("%s %s: there %t, %v; it belongs to pods that are synced", kind.Resource, name, is, err)
		}
	}
	role, err := shared.kube.RbacV1().Roles(v.ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range role.Rules {
		if slices.Contains(rule.Resources, tenancyv1.ResourceServices) || slices.Contains(rule.Resources, tenancyv1.ResourceBudgets) {
			t.Errorf("the syncer may still %v %v", rule.Verbs, rule.Resources)
		}
	}

	// Then pods.
	v.switchTo(off, "--disable-sync-resources=pods")
	v.twinBecomes(row(t, tenancyv1.ResourcePods), false, false)
	for name, kind := range map[string]tenancyv1.SyncedKind{"tokens": secrets, "variables": configMaps} {
		framework.Eventually(t, name+" go with the pods", func(ctx context.Context) (bool, error) {
			is, _, err := v.there(ctx, kind, name)
			return !is, err
		})
	}
	for _, kind := range withTwins() {
		for _, name := range []string{"of-another", "no-twin"} {
			if is, orphan, err := v.there(t.Context(), kind, name); err != nil || !is || orphan {
				t.Errorf("%s %s: there %t, marked %t, %v; want it left alone", kind.Resource, name, is, orphan, err)
			}
		}
	}
	v.delete()
}

// switchTo gives the syncer other arguments, and plays the kubelet for its new pod.
func (v tenant) switchTo(args ...string) {
	v.t.Helper()
	framework.Succeeds(v.t, "the syncer gets arguments", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err != nil {
			return err
		}
		vc.Spec.Syncer.ExtraArgs = args
		_, err = v.clusters().Update(ctx, vc, metav1.UpdateOptions{})
		return err
	})
	framework.Succeeds(v.t, "the StatefulSet makes another pod", func(ctx context.Context) error {
		pod, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "vc-demo-0", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, container := range pod.Spec.Containers {
			if container.Name == "syncer" && !slices.Equal(container.Args[len(container.Args)-len(args):], args) {
				return fmt.Errorf("the syncer runs with %v", container.Args)
			}
		}
		return nil
	})
	v.pod(containersReady(true))
	v.await(tenancyv1.PhaseReady, "Ready")
}

func (v tenant) twinBecomes(kind tenancyv1.SyncedKind, want, marked bool) {
	v.t.Helper()
	framework.Succeeds(v.t, fmt.Sprintf("the twin of %s stays: %t", kind.Resource, want), func(ctx context.Context) error {
		is, orphan, err := v.there(ctx, kind, "twin")
		if err != nil || is != want || orphan != marked {
			return fmt.Errorf("there %t, marked %t, %w", is, orphan, err)
		}
		return nil
	})
}
