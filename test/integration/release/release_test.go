// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/retry"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/pkg/release"
	"garret.dev/garret/pkg/release/sealed"
	"garret.dev/garret/test/framework"
)

const releaseName = "vc-demo"

func newClient(t testing.TB) *release.Client {
	t.Helper()
	loaded, err := chart.Load("v0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	return release.New(shared.config, shared.kube, objects(t), sealKey(), loaded)
}

func objects(t testing.TB) metadata.Interface {
	t.Helper()
	client, err := metadata.NewForConfig(shared.config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// sealKey is that of all releases here.
func sealKey() *sealed.Key {
	return sealed.NewKey(shared.kube.CoreV1().Secrets(metav1.NamespaceDefault))
}

// spec is a release as the controller asks for it.
func spec(t testing.TB, client *release.Client, namespace string, change func(*chart.Values)) release.Spec {
	t.Helper()
	values := chart.Values{
		Cluster:    chart.Cluster{Name: "demo", ID: "0123456789", UID: "u"},
		Kubernetes: chart.Kubernetes{Distro: "k3s", Version: "v1.37.2"},
		ControlPlane: chart.ControlPlane{Image: "docker.io/rancher/k3s:v1.37.2-k3s1",
			Storage: chart.Storage{Persistent: true, Size: "1Gi"}},
		Syncer: chart.Syncer{Image: "garret.dev/garret/syncer:v0.1.0"},
		RBAC:   chart.RBAC{Rules: tenancyv1.SyncerRules(map[string]bool{tenancyv1.ResourcePods: true})},
		Host:   chart.Host{ServiceCIDR: framework.ServiceCIDR, ClusterDomain: "cluster.local", ClientCA: "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"},
	}
	if change != nil {
		change(&values)
	}
	made := release.Spec{Namespace: namespace, Name: releaseName}
	var err error
	if made.Values, err = chart.Merge(values, nil); err != nil {
		t.Fatal(err)
	}
	if values.Service.ClusterIP, err = client.EnsureService(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if made.Values, err = chart.Merge(values, nil); err != nil {
		t.Fatal(err)
	}
	return made
}

func ensure(t testing.TB, client *release.Client, spec release.Spec, wantRevision int) {
	t.Helper()
	got, err := client.Ensure(t.Context(), spec)
	if err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	if got.Revision != wantRevision || !got.Deployed || got.ChartVersion != "0.1.0" {
		t.Fatalf("got %+v, want revision %d deployed", got, wantRevision)
	}
}

// records are those of a release, as garret-controller reads and writes them.
func records(t testing.TB, namespace string) *storage.Storage {
	return storage.Init(driver.NewSecrets(sealed.New(shared.kube.CoreV1().Secrets(namespace), objects(t), namespace, sealKey())))
}

// unsealed are the same, as Helm and whoever may write Secrets reads and writes them.
func unsealed(namespace string) *storage.Storage {
	return storage.Init(driver.NewSecrets(shared.kube.CoreV1().Secrets(namespace)))
}

func TestInstallUpgradeRepairUninstall(t *testing.T) {
	t.Parallel()
	ns, client := namespace(t), newClient(t)
	first := spec(t, client, ns, nil)
	if _, err := client.Status(t.Context(), ns, releaseName); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("status before: got %v, want not found", err)
	}
	start := time.Now()
	ensure(t, client, first, 1)
	t.Logf("install took %s", time.Since(start).Round(time.Millisecond))
	service, err := shared.kube.CoreV1().Services(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil || service.Spec.ClusterIP != first.Values["service"].(map[string]any)["clusterIP"] {
		t.Errorf("the Service made first was not adopted: %v %v", service, err)
	}
	start = time.Now()
	ensure(t, client, first, 1)
	t.Logf("comparison took %s", time.Since(start).Round(time.Millisecond))

	for i := range 4 {
		changed := spec(t, client, ns, func(v *chart.Values) {
			v.Syncer.ExtraArgs = []string{"--v=" + string(rune('1'+i))}
		})
		ensure(t, client, changed, i+2)
		first = changed
	}
	history, err := unsealed(ns).History(releaseName)
	if err != nil || len(history) > 3 {
		t.Errorf("history holds %d revisions (%v), want 3 at most", len(history), err)
	}

	// What somebody changes or removes comes back, without a revision.
	role, err := shared.kube.RbacV1().Roles(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rules := len(role.Rules)
	role.Rules = role.Rules[:1]
	if _, err := shared.kube.RbacV1().Roles(ns).Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := shared.kube.AppsV1().StatefulSets(ns).Delete(t.Context(), releaseName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ensure(t, client, first, 5)
	if role, err = shared.kube.RbacV1().Roles(ns).Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil || len(role.Rules) != rules {
		t.Errorf("role has %d rules (%v), want %d again", len(role.Rules), err, rules)
	}
	if _, err := shared.kube.AppsV1().StatefulSets(ns).Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil {
		t.Errorf("the StatefulSet was not made again: %v", err)
	}

	for range 2 {
		if err := client.Uninstall(t.Context(), ns, releaseName); err != nil {
			t.Fatalf("Uninstall: %v", err)
		}
	}
	expectNothing(t, ns)
}

// expectNothing fails when any object of the release, or its records, are left.
func expectNothing(t *testing.T, ns string) {
	t.Helper()
	_, set := shared.kube.AppsV1().StatefulSets(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	_, service := shared.kube.CoreV1().Services(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	_, account := shared.kube.CoreV1().ServiceAccounts(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	_, role := shared.kube.RbacV1().Roles(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	_, binding := shared.kube.RbacV1().RoleBindings(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	for kind, err := range map[string]error{"StatefulSet": set, "Service": service, "ServiceAccount": account, "Role": role, "RoleBinding": binding} {
		if !apierrors.IsNotFound(err) {
			t.Errorf("%s: got %v, want not found", kind, err)
		}
	}
	secrets, err := shared.kube.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil || len(secrets.Items) > 0 {
		t.Errorf("%d records are left (%v)", len(secrets.Items), err)
	}
}

// A process may be killed at any point of an installation or upgrade.
func TestInterrupted(t *testing.T) {
	tests := []struct {
		name         string
		status       helm.Status
		change       func(*chart.Values)
		wantRevision int
	}{
		{"installation, same values", helm.StatusPendingInstall, nil, 1},
		{"installation, other values", helm.StatusPendingInstall, func(v *chart.Values) { v.Syncer.ExtraArgs = []string{"--v=2"} }, 2},
		{"upgrade, same values", helm.StatusPendingUpgrade, nil, 1},
		{"failed, same values", helm.StatusFailed, nil, 1},
		{"failed, other values", helm.StatusFailed, func(v *chart.Values) { v.Syncer.ExtraArgs = []string{"--v=2"} }, 2},
		{"uninstallation", helm.StatusUninstalling, nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ns, client := namespace(t), newClient(t)
			ensure(t, client, spec(t, client, ns, nil), 1)
			store := records(t, ns)
			record, err := store.Last(releaseName)
			if err != nil {
				t.Fatal(err)
			}
			record.Info.Status = test.status
			if err := store.Update(record); err != nil {
				t.Fatal(err)
			}
			if err := shared.kube.AppsV1().StatefulSets(ns).Delete(t.Context(), releaseName, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			ensure(t, client, spec(t, client, ns, test.change), test.wantRevision)
			if _, err := shared.kube.AppsV1().StatefulSets(ns).Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil {
				t.Errorf("the StatefulSet is missing: %v", err)
			}
		})
	}
}

// What is not the release's own is neither taken over nor deleted.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	ns, client := namespace(t), newClient(t)
	foreign := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: releaseName, Namespace: ns}}
	if _, err := shared.kube.CoreV1().ServiceAccounts(ns).Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wanted := spec(t, client, ns, nil)
	if _, err := client.Ensure(t.Context(), wanted); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := client.Uninstall(t.Context(), ns, releaseName); err != nil {
		t.Errorf("Uninstall: %v", err)
	}
	if _, err := shared.kube.CoreV1().ServiceAccounts(ns).Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil {
		t.Errorf("somebody else's ServiceAccount: %v", err)
	}

	other := namespace(t)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: releaseName}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}}
	if _, err := shared.kube.CoreV1().Services(other).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.EnsureService(t.Context(), release.Spec{Namespace: other, Name: releaseName, Values: wanted.Values}); !errors.Is(err, release.ErrForeign) {
		t.Errorf("got %v, want %v", err, release.ErrForeign)
	}
}

// A record that a user of the namespace forged must not make Garret delete or
// change what that user cannot.
func TestForgedRecord(t *testing.T) {
	t.Parallel()
	victims, ns, client := namespace(t), namespace(t), newClient(t)
	for _, name := range []string{"prey", releaseName} {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: victims,
			Labels:      map[string]string{"app.kubernetes.io/managed-by": "Helm"},
			Annotations: map[string]string{"meta.helm.sh/release-name": releaseName, "meta.helm.sh/release-namespace": ns}}}
		if _, err := shared.kube.CoreV1().ServiceAccounts(victims).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	manifest := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: NAME, namespace: " + victims + "}\n"
	for name, text := range map[string]string{
		"another namespace":       strings.ReplaceAll(manifest, "NAME", releaseName),
		"another name":            strings.ReplaceAll(manifest, "NAME", "prey"),
		"the whole namespace":     "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + victims + "}\n",
		"what is not a manifest":  "{{",
		"a record without sense":  "",
		"another kind, same name": "apiVersion: v1\nkind: Secret\nmetadata: {name: " + releaseName + "}\n",
	} {
		t.Run(name, func(t *testing.T) {
			forged := &helm.Release{Name: releaseName, Namespace: ns, Version: 1, Manifest: text, Info: &helm.Info{Status: helm.StatusDeployed},
				Hooks: []*helm.Hook{{Name: "prey", Kind: "ServiceAccount", Manifest: manifest, Events: []helm.HookEvent{helm.HookPreDelete, helm.HookPreUpgrade},
					DeletePolicies: []helm.HookDeletePolicy{helm.HookBeforeHookCreation}}}}
			if err := unsealed(ns).Create(forged); err != nil {
				t.Fatal(err)
			}
			wanted := spec(t, client, ns, nil)
			if _, err := client.Ensure(t.Context(), wanted); err != nil {
				t.Errorf("Ensure: %v", err)
			}
			if _, err := shared.kube.AppsV1().StatefulSets(ns).Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil {
				t.Errorf("the StatefulSet: %v", err)
			}
			if err := client.Uninstall(t.Context(), ns, releaseName); err != nil {
				t.Errorf("Uninstall: %v", err)
			}
			for _, name := range []string{"prey", releaseName} {
				got, err := shared.kube.CoreV1().ServiceAccounts(victims).Get(t.Context(), name, metav1.GetOptions{})
				if err != nil || got.DeletionTimestamp != nil {
					t.Errorf("%s in another namespace: %v %v", name, got.DeletionTimestamp, err)
				}
			}
			expectNothing(t, ns)
		})
	}
}

// TestOwnManifestIsChecked has a record that bears a valid seal hold another manifest
// than its values give: one that was taken from an earlier release of the name, say. What
// it holds would be put in place with the controller's rights.
func TestOwnManifestIsChecked(t *testing.T) {
	t.Parallel()
	ns, client := namespace(t), newClient(t)
	wanted := spec(t, client, ns, nil)
	ensure(t, client, wanted, 1)
	before, err := shared.kube.RbacV1().Roles(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	store := records(t, ns)
	record, err := store.Last(releaseName)
	if err != nil {
		t.Fatal(err)
	}
	const honest, forged = "- pods/log\n", "- pods/log\n    - statefulsets\n"
	if record.Manifest = strings.Replace(record.Manifest, honest, forged, 1); !strings.Contains(record.Manifest, forged) {
		t.Fatalf("the Role of the chart has no %q any more: find something else to forge", honest)
	}
	if err := store.Update(record); err != nil {
		t.Fatal(err)
	}
	// Made anew, which is a revision, and from then on as it was.
	ensure(t, client, wanted, 2)
	ensure(t, client, wanted, 2)
	after, err := shared.kube.RbacV1().Roles(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil || !equality.Semantic.DeepEqual(after.Rules, before.Rules) {
		t.Errorf("the syncer's Role: got %v, %v; want %v", after.Rules, err, before.Rules)
	}
	if record, err = store.Last(releaseName); err != nil || strings.Contains(record.Manifest, forged) {
		t.Errorf("the record has the forged manifest still (%v)", err)
	}
}

// TestTakenUpFromUnsealedRecords upgrades a release of a Garret that did not seal its
// records, and whose chart had what this one has not.
func TestTakenUpFromUnsealedRecords(t *testing.T) {
	t.Parallel()
	ns, client := namespace(t), newClient(t)
	wanted := spec(t, client, ns, nil)
	ensure(t, client, wanted, 1)
	sets := shared.kube.AppsV1().StatefulSets(ns)
	var before *appsv1.StatefulSet
	// The host's controller writes its status at the same time.
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if before, err = sets.Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil {
			return err
		}
		older := before.DeepCopy()
		pod := &older.Spec.Template.Spec
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "of-old"})
		pod.Containers[0].Env = append(pod.Containers[0].Env, corev1.EnvVar{Name: "OF_OLD", Value: "1"})
		pod.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
		_, err = sets.Update(t.Context(), older, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	last, err := unsealed(ns).Last(releaseName)
	if err != nil {
		t.Fatal(err)
	}
	// As another writer leaves it, and two revisions more.
	for ; last.Version <= 3; last.Version++ {
		write := unsealed(ns).Create
		if last.Version == 1 {
			write = unsealed(ns).Update
		}
		if err := write(last); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.Ensure(t.Context(), wanted)
	if err != nil || got.Revision != 1 || !got.Deployed || got.Foreign != 3 {
		t.Fatalf("got %+v, %v; want revision 1 deployed, in place of three foreign records", got, err)
	}
	after, err := sets.Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil || after.UID != before.UID || !equality.Semantic.DeepEqual(after.Spec, before.Spec) {
		t.Errorf("the StatefulSet of UID %s is %+v (%v), want that of before, with this chart's spec", before.UID, after, err)
	}
	ensure(t, client, wanted, 1)
	if history, err := unsealed(ns).History(releaseName); err != nil || len(history) != 1 {
		t.Errorf("Helm's own client sees %d revisions (%v), want 1", len(history), err)
	}
}

// TestReplayedRecord puts back a record of an earlier life of the release, which says
// that it is being uninstalled, and wants that no more is done than its writer could.
func TestReplayedRecord(t *testing.T) {
	t.Parallel()
	ns, client := namespace(t), newClient(t)
	ensure(t, client, spec(t, client, ns, nil), 1)
	ensure(t, client, spec(t, client, ns, func(v *chart.Values) { v.Syncer.ExtraArgs = []string{"--v=2"} }), 2)
	store := records(t, ns)
	old, err := store.Last(releaseName)
	if err != nil {
		t.Fatal(err)
	}
	old.SetStatus(helm.StatusUninstalling, "")
	if err := store.Update(old); err != nil {
		t.Fatal(err)
	}
	secrets := shared.kube.CoreV1().Secrets(ns)
	stashed, err := secrets.Get(t.Context(), "sh.helm.release.v1."+releaseName+".v2", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Uninstall(t.Context(), ns, releaseName); err != nil {
		t.Fatal(err)
	}
	again := spec(t, client, ns, nil)
	ensure(t, client, again, 1)
	stashed.ResourceVersion, stashed.UID = "", ""
	if _, err := secrets.Create(t.Context(), stashed, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	again = spec(t, client, ns, nil)
	got, err := client.Ensure(t.Context(), again)
	if err != nil || !got.Deployed {
		t.Fatalf("got %+v, %v; want it deployed", got, err)
	}
	set, err := shared.kube.AppsV1().StatefulSets(ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil || set.DeletionTimestamp != nil {
		t.Errorf("the StatefulSet: %v", err)
	}
	again = spec(t, client, ns, nil)
	ensure(t, client, again, got.Revision)
}

// Records that cannot be read are deleted as well.
func TestBrokenRecord(t *testing.T) {
	t.Parallel()
	ns, client := namespace(t), newClient(t)
	ensure(t, client, spec(t, client, ns, nil), 1)
	secrets := shared.kube.CoreV1().Secrets(ns)
	record, err := secrets.Get(t.Context(), "sh.helm.release.v1."+releaseName+".v1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	record.Data["release"] = []byte(base64.StdEncoding.EncodeToString([]byte("no gzip")))
	if _, err := secrets.Update(t.Context(), record, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Uninstall(t.Context(), ns, releaseName); err != nil {
		t.Errorf("Uninstall: %v", err)
	}
	expectNothing(t, ns)
}
