package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// seeded are the kinds that a seed holds.
var seeded = []schema.GroupVersionResource{
	{Version: "v1", Resource: "namespaces"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	{Group: "flowcontrol.apiserver.k8s.io", Version: "v1", Resource: "flowschemas"},
	{Group: "flowcontrol.apiserver.k8s.io", Version: "v1", Resource: "prioritylevelconfigurations"},
	{Group: "scheduling.k8s.io", Version: "v1", Resource: "priorityclasses"},
	{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"},
}

// bootstrapObjects returns the objects of a server by kind and name. It waits
// until controllers have made as many service accounts as are expected.
func bootstrapObjects(t *testing.T, p *process, accounts int) map[string]*unstructured.Unstructured {
	t.Helper()
	client, err := dynamic.NewForConfig(p.ready(t))
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	p.until(t, fmt.Sprintf("%d service accounts", accounts), func() error {
		clear(objects)
		for _, kind := range seeded {
			list, err := client.Resource(kind).List(background(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			if kind.Resource == "serviceaccounts" && len(list.Items) < accounts {
				return fmt.Errorf("%d so far", len(list.Items))
			}
			for _, item := range list.Items {
				objects[kind.Resource+"/"+item.GetNamespace()+"/"+item.GetName()] = &item
			}
		}
		admin := objects["clusterroles//admin"]
		if rules, _, _ := unstructured.NestedSlice(admin.Object, "rules"); len(rules) == 0 {
			return fmt.Errorf("the role admin is not aggregated yet")
		}
		return nil
	})
	return objects
}

// meaning is what an object says, without what is its own in each cluster.
func meaning(o *unstructured.Unstructured) map[string]any {
	c := o.DeepCopy()
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
		unstructured.RemoveNestedField(c.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(c.Object, "status")
	return c.Object
}

// TestSeedChangesNothing compares a cluster that wrote its own database with
// two that began with the seed.
func TestSeedChangesNothing(t *testing.T) {
	plain := start(t, shortDir(t), freePort(t))
	accounts := 30
	expected := bootstrapObjects(t, plain, accounts)
	installSeed(t)
	began := time.Now().Add(-time.Second)
	var clusters []map[string]*unstructured.Unstructured
	for range 2 {
		p := start(t, shortDir(t), freePort(t))
		clusters = append(clusters, bootstrapObjects(t, p, accounts))
		want(t, "seed used", containsPhase(p, "seed"), true)
	}
	// The plain one may have been looked at before its last account.
	expected = bootstrapObjects(t, plain, len(accountsOf(clusters[0])))

	if got, want := slices.Sorted(maps.Keys(clusters[0])), slices.Sorted(maps.Keys(expected)); !slices.Equal(got, want) {
		t.Errorf("objects differ:\ngot  %q\nwant %q", got, want)
	}
	for key, own := range expected {
		first, second := clusters[0][key], clusters[1][key]
		if first == nil || second == nil {
			continue
		}
		if !equality.Semantic.DeepEqual(meaning(first), meaning(own)) {
			t.Errorf("%s differs:\ngot  %v\nwant %v", key, meaning(first), meaning(own))
		}
		if first.GetUID() == second.GetUID() {
			t.Errorf("%s has UID %s in two clusters", key, first.GetUID())
		}
		if made := first.GetCreationTimestamp(); made.Time.Before(began.Truncate(time.Second)) {
			t.Errorf("%s is older than its cluster: %s", key, made)
		}
	}
}

func accountsOf(objects map[string]*unstructured.Unstructured) []string {
	var names []string
	for key, o := range objects {
		if o.GetKind() == "ServiceAccount" {
			names = append(names, key)
		}
	}
	return names
}

// TestSeedThatDoesNotFit is left aside, and the server starts all the same.
func TestSeedThatDoesNotFit(t *testing.T) {
	place := filepath.Join(filepath.Dir(os.Args[0]), "controlplane.db")
	if err := os.WriteFile(place, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(place) })
	p := start(t, shortDir(t), freePort(t))
	p.ready(t)
	want(t, "seed used", containsPhase(p, "seed"), false)
}
