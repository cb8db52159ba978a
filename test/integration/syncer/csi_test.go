// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// labelled are the metadata of an object of the host that this test's syncer shows, if any selector matches it.
func (s *side) labelled(name string, shown bool) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{Name: name}
	if shown {
		meta.Labels = map[string]string{"test": s.namespace}
	}
	return meta
}

// TestCSIObjects shows drivers of storage, which of them nodes have, and how much room there is, as far as
// nodes, drivers and classes are shown. A tenant creates a node of its own to learn more.
func TestCSIObjects(t *testing.T) {
	s := setUp(t)
	s.stop()
	ctx, pool := t.Context(), "of-"+s.namespace
	all := map[string]bool{tenancyv1.ResourceCSINodes: true, tenancyv1.ResourceCSICapacities: true}
	s.account = s.lent("vc-demo", nil, append(tenancyv1.SyncerNodeRules(all), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list", "watch"}}))
	s.nodes = resources.ShownNodes{Read: true, Selector: "pool=" + pool, Labels: tenancyv1.NodeLabels{Shown: []string{"zone", "pool"}}}
	own := "test=" + s.namespace
	s.selectors = map[string]string{tenancyv1.ResourceCSIDrivers: own, tenancyv1.ResourceCSINodes: own, tenancyv1.ResourceCSICapacities: own, tenancyv1.ResourceStorageClasses: own}
	one, other := pool+"-1", pool+"-other"
	shown, hidden := "shown."+s.namespace, "hidden."+s.namespace
	storage := s.host.StorageV1()
	for _, driver := range []string{shown, hidden} {
		_, err := storage.CSIDrivers().Create(ctx, &storagev1.CSIDriver{ObjectMeta: s.labelled(driver, driver == shown), Spec: storagev1.CSIDriverSpec{
			AttachRequired: ptr.To(false), TokenRequests: []storagev1.TokenRequest{{Audience: "of-the-host"}}}}, metav1.CreateOptions{})
		s.must(err)
		_, err = storage.StorageClasses().Create(ctx, &storagev1.StorageClass{ObjectMeta: s.labelled(driver, driver == shown), Provisioner: driver}, metav1.CreateOptions{})
		s.must(err)
	}
	for name, labels := range map[string]map[string]string{one: {"pool": pool, "zone": "a", "rack": "r1"}, other: {"zone": "b"}} {
		_, err := s.host.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
		s.must(err)
		_, err = storage.CSINodes().Create(ctx, &storagev1.CSINode{ObjectMeta: s.labelled(name, true), Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: shown, NodeID: "of-the-host-1", TopologyKeys: []string{"zone", "rack"}, Allocatable: &storagev1.VolumeNodeResources{Count: ptr.To[int32](8)}},
			{Name: hidden, NodeID: "of-the-host-2"},
		}}}, metav1.CreateOptions{})
		s.must(err)
	}
	capacity := func(name, class string, topology *metav1.LabelSelector) {
		t.Helper()
		_, err := storage.CSIStorageCapacities(s.hostNamespace).Create(ctx, &storagev1.CSIStorageCapacity{ObjectMeta: s.labelled(name, true), StorageClassName: class,
			NodeTopology: topology, Capacity: ptr.To(resource.MustParse("7Gi"))}, metav1.CreateOptions{})
		s.must(err)
	}
	of := func(key, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	capacity("here", shown, of("zone", "a"))
	capacity("there", shown, of("zone", "b"))
	capacity("by-a-hidden-label", shown, of("rack", "r1"))
	capacity("of-a-hidden-class", hidden, of("zone", "a"))
	capacity("of-no-node", shown, nil)
	t.Cleanup(func() {
		ctx, none := context.Background(), metav1.DeleteOptions{}
		for _, name := range []string{one, other} {
			_ = s.host.CoreV1().Nodes().Delete(ctx, name, none)
			_ = s.virtual.CoreV1().Nodes().Delete(ctx, name, none)
			_ = storage.CSINodes().Delete(ctx, name, none)
		}
		for _, name := range []string{shown, hidden} {
			_ = storage.CSIDrivers().Delete(ctx, name, none)
			_ = storage.StorageClasses().Delete(ctx, name, none)
		}
	})
	// The tenant's own node has the name of one that is not shown, and claims to be the syncer's.
	_, err := s.virtual.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{tenancyv1.LabelCluster: s.translator.Cluster().ID, "zone": "b"}},
		Spec: corev1.NodeSpec{Unschedulable: true}}, metav1.CreateOptions{})
	s.must(err)
	s.start()

	inside := s.virtual.StorageV1()
	node := func(what string, is func(*storagev1.CSINode) bool) {
		t.Helper()
		framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
			found, err := inside.CSINodes().Get(ctx, one, metav1.GetOptions{})
			return err == nil && is(found), nil
		})
	}
	asShown := func(found *storagev1.CSINode) bool {
		return len(found.Spec.Drivers) == 1 && found.Spec.Drivers[0].Name == shown && found.Spec.Drivers[0].NodeID == one &&
			slices.Equal(found.Spec.Drivers[0].TopologyKeys, []string{"zone"}) && *found.Spec.Drivers[0].Allocatable.Count == 8
	}
	node("the node has the shown driver, without what is the host's", asShown)
	driver, err := inside.CSIDrivers().Get(ctx, shown, metav1.GetOptions{})
	s.must(err)
	if *driver.Spec.AttachRequired || len(driver.Spec.TokenRequests) > 0 {
		t.Errorf("driver: got %+v, want what tenants may see of it", driver.Spec)
	}
	capacities := func() []storagev1.CSIStorageCapacity {
		t.Helper()
		list, err := inside.CSIStorageCapacities("").List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelCluster + "=" + s.translator.Cluster().ID})
		s.must(err)
		return list.Items
	}
	framework.Eventually(t, "the capacity is inside", func(context.Context) (bool, error) { return len(capacities()) > 0, nil })
	s.shownExplained(storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceCSINodes), one)
	s.shownExplained(storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceCSIDrivers), shown)

	// What the tenant writes is put back, and what the host changes follows.
	s.must(inside.CSINodes().Delete(ctx, one, metav1.DeleteOptions{}))
	node("the node's drivers are there again", asShown)
	_, err = storage.CSIStorageCapacities(s.hostNamespace).Patch(ctx, "here", types.MergePatchType, []byte(`{"capacity":"5Gi"}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the capacity follows", func(context.Context) (bool, error) {
		found := capacities()
		return len(found) == 1 && found[0].Capacity.String() == "5Gi" && found[0].StorageClassName == shown && found[0].NodeTopology.MatchLabels["zone"] == "a", nil
	})
	// All of that took passes over what is not shown as well.
	if found := capacities(); len(found) != 1 || strings.Contains(found[0].Name, "here") {
		t.Errorf("got %d capacities, want one, under a name of its own", len(found))
	}
	for what, err := range map[string]error{
		"a node that is not shown":   get(inside.CSINodes().Get(ctx, other, metav1.GetOptions{})),
		"a driver that is not shown": get(inside.CSIDrivers().Get(ctx, hidden, metav1.GetOptions{})),
	} {
		if !apierrors.IsNotFound(err) {
			t.Errorf("%s: got %v, want that it is not inside", what, err)
		}
	}
	// A node that leaves the selection takes what tells of it along.
	_, err = s.host.CoreV1().Nodes().Patch(ctx, one, types.MergePatchType, []byte(`{"metadata":{"labels":{"pool":null}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "nothing tells of the node", func(ctx context.Context) (bool, error) {
		return apierrors.IsNotFound(get(inside.CSINodes().Get(ctx, one, metav1.GetOptions{}))) && len(capacities()) == 0, nil
	})
}

// get is the error alone.
func get[T any](_ T, err error) error { return err }

// TestVolumeAttributesClasses has claims name classes of volume attributes: one that is shown, and one
// that is not, at their creation and later.
func TestVolumeAttributesClasses(t *testing.T) {
	s := setUp(t)
	s.stop()
	ctx := t.Context()
	s.selectors = map[string]string{tenancyv1.ResourceAttributesClasses: "test=" + s.namespace}
	s.start()
	gold, silver, hidden := "gold-"+s.namespace, "silver-"+s.namespace, "hidden-"+s.namespace
	classes, inside := s.host.StorageV1().VolumeAttributesClasses(), s.virtual.StorageV1().VolumeAttributesClasses()
	for _, name := range []string{gold, silver, hidden} {
		_, err := classes.Create(ctx, &storagev1.VolumeAttributesClass{ObjectMeta: s.labelled(name, name != hidden), DriverName: "disks.example.org",
			Parameters: map[string]string{"account": "of-the-host"}}, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() { _ = classes.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	for _, name := range []string{gold, silver} {
		framework.Eventually(t, "class "+name+" is inside", func(ctx context.Context) (bool, error) {
			class, err := inside.Get(ctx, name, metav1.GetOptions{})
			if err == nil && (class.DriverName != "disks.example.org" || class.Parameters["account"] != "") {
				t.Errorf("got %+v, want it without its parameters", class)
			}
			return err == nil, nil
		})
	}
	s.shownExplained(storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceAttributesClasses), gold)
	// The tenant's own class of the name of one that is not shown opens nothing.
	_, err := inside.Create(ctx, &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: hidden}, DriverName: "disks.example.org", Parameters: map[string]string{"x": "y"}}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() { _ = inside.Delete(context.Background(), hidden, metav1.DeleteOptions{}) })

	claims := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace)
	claim := func(name, class string) *corev1.PersistentVolumeClaim {
		t.Helper()
		spec := claimSpec()
		spec.VolumeAttributesClassName = &class
		made, err := claims.Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		s.must(err)
		return made
	}
	has := func(class string) func(*corev1.PersistentVolumeClaim) bool {
		return func(host *corev1.PersistentVolumeClaim) bool {
			return ptr.Deref(host.Spec.VolumeAttributesClassName, "") == class
		}
	}
	refusal := `spec.volumeAttributesClassName "` + hidden + `" is refused: it is no class of volume attributes of the host that is shown inside`
	refused := claim("stolen", hidden)
	if message := s.awaitEvent(refused.UID, "Forbidden"); !strings.Contains(message, refusal) {
		t.Errorf("event: got %q, want %q in it", message, refusal)
	}
	if _, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "stolen"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the claim of a class that is not shown: got %v, want none on the host", err)
	}
	data := claim("data", gold)
	s.awaitHostClaim("data", has(gold))
	s.bindOnHost("data", "pvc-11111111-2222-3333-4444-555555555555")
	change := func(class string) {
		t.Helper()
		_, err := claims.Patch(ctx, "data", types.MergePatchType, []byte(`{"spec":{"volumeAttributesClassName":"`+class+`"}}`), metav1.PatchOptions{})
		s.must(err)
	}
	change(silver)
	s.awaitHostClaim("data", has(silver))
	change(hidden)
	if message := s.awaitEvent(data.UID, "Forbidden"); !strings.Contains(message, refusal) {
		t.Errorf("event: got %q, want %q in it", message, refusal)
	}
	s.awaitHostClaim("data", has(silver))
	// Once the administrator shows it, both have it.
	s.must(inside.Delete(ctx, hidden, metav1.DeleteOptions{}))
	_, err = classes.Patch(ctx, hidden, types.MergePatchType, []byte(`{"metadata":{"labels":{"test":"`+s.namespace+`"}}}`), metav1.PatchOptions{})
	s.must(err)
	s.awaitHostClaim("stolen", has(hidden))
	s.awaitHostClaim("data", has(hidden))
}
