// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/v1/syncedtest"
)

const year = 365 * 24 * time.Hour

// TestGrace asks, at times after the deletion of the virtual cluster, what pods are deleted with.
func TestGrace(t *testing.T) {
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	e := ending{since: start, graceful: start.Add(5 * time.Minute), forced: start.Add(5*time.Minute + killTime)}
	leaving := func(asked, period time.Duration) *metav1.PartialObjectMetadata {
		at := metav1.NewTime(start.Add(asked).Add(period))
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &at, DeletionGracePeriodSeconds: ptr.To(int64(period / time.Second))}}
	}
	staying := &metav1.PartialObjectMetadata{}
	for what, test := range map[string]struct {
		after time.Duration
		pod   *metav1.PartialObjectMetadata
		grace *int64
		due   bool
	}{
		"it stays, and is given its own":            {0, staying, nil, true},
		"it stays, and its time is over":            {5 * time.Minute, staying, ptr.To[int64](1), true},
		"it stays still":                            {6 * time.Minute, staying, ptr.To[int64](0), true},
		"it leaves in time":                         {time.Second, leaving(0, time.Minute), nil, false},
		"it leaves just in time":                    {time.Second, leaving(0, 5*time.Minute), nil, false},
		"it leaves in a year":                       {time.Second, leaving(0, year), ptr.To[int64](299), true},
		"it was deleted before, by somebody":        {time.Second, leaving(-time.Hour, year), ptr.To[int64](299), true},
		"it leaves in a year, and the time is over": {5 * time.Minute, leaving(0, year), ptr.To[int64](1), true},
		"it had a second, and gets no more":         {5*time.Minute + 2*time.Second, leaving(5*time.Minute, time.Second), nil, false},
		"it should have left":                       {5*time.Minute + killTime, leaving(0, time.Minute), ptr.To[int64](0), true},
	} {
		e.now = start.Add(test.after)
		grace, due := e.grace(test.pod)
		if due != test.due || !ptr.Equal(grace, test.grace) {
			t.Errorf("%s: got %v, %t; want %v, %t", what, ptr.Deref(grace, -1), due, ptr.Deref(test.grace, -1), test.due)
		}
	}
}

// TestLooksAgain wants a wait that lasts to cost little, and no moment missed at which
// something is due.
func TestLooksAgain(t *testing.T) {
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	e := ending{since: start, graceful: start.Add(5 * time.Minute), forced: start.Add(5*time.Minute + killTime)}
	for after, want := range map[time.Duration]time.Duration{
		0: leavesAgain, time.Second: leavesAgain, 20 * time.Second: 2 * time.Second, 2 * time.Minute: leavesLast,
		4*time.Minute + 58*time.Second: 2 * time.Second, 5 * time.Minute: leavesLast, 5*time.Minute + 25*time.Second: 5 * time.Second, year: leavesLast,
	} {
		e.now = start.Add(after)
		if got := e.again(); got != want {
			t.Errorf("after %s: got %s, want %s", after, got, want)
		}
	}
}

// TestRemoveHeedsBothMarks has the table of marks on the host, as pods and as Secrets, and
// wants teardown to delete what the syncer would call its own.
func TestRemoveHeedsBothMarks(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	add := func(kind string, meta metav1.ObjectMeta) {
		objects = append(objects, &metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{APIVersion: schema.GroupVersion{Version: "v1"}.String(), Kind: kind}, ObjectMeta: meta})
	}
	var want []string
	for _, row := range syncedtest.Table() {
		if row.Object.Namespace == "" {
			continue // the controller's host has none of cluster scope
		}
		for _, kind := range []string{"Pod", "Secret"} {
			add(kind, row.Object)
			if row.Ours {
				want = append(want, row.Object.Name)
			}
		}
	}
	own := map[string]string{tenancyv1.LabelVirtualCluster: "demo"}
	for _, name := range []string{"vc-demo-0", "somebodys", "data-vc-demo-0", "somebodys-data"} {
		kind := "Pod"
		if strings.Contains(name, "data") {
			kind = "PersistentVolumeClaim"
		}
		add(kind, metav1.ObjectMeta{Namespace: "team", Name: name, Labels: own})
	}
	add("ConfigMap", metav1.ObjectMeta{Namespace: "team", Name: "vc-demo-lineage", Labels: map[string]string{tenancyv1.LabelCluster: syncedtest.ID}})
	want = append(want, "vc-demo-0", "data-vc-demo-0", "vc-demo-lineage")
	c := withCaches(t)
	host := metadatafake.NewSimpleMetadataClient(scheme, objects...)
	c.Metadata = host
	c.options.TeardownGrace = time.Minute
	vc := object(1)
	vc.Status.ClusterID = syncedtest.ID
	vc.DeletionTimestamp = ptr.To(metav1.NewTime(c.Clock.Now()))
	if _, err := c.remove(t.Context(), vc, &memory{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, action := range host.Actions() {
		if deletion, ok := action.(clienttesting.DeleteActionImpl); ok {
			got = append(got, deletion.Name)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("teardown deletes %v, want %v", got, want)
	}
}

// TestListsInPages has a host that answers in parts, with metadata that somebody has filled.
func TestListsInPages(t *testing.T) {
	c := withCaches(t)
	host := metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme())
	asked := 0
	host.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		list := &metav1.List{ListMeta: metav1.ListMeta{Continue: map[int]string{1: "more", 2: "more"}[asked]}}
		list.Items = []runtime.RawExtension{{Object: &metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: strconv.Itoa(asked), Annotations: map[string]string{"example.com/x": strings.Repeat("x", 1<<16)},
				Labels: map[string]string{tenancyv1.LabelCluster: syncedtest.ID}}}}}
		return true, list, nil
	})
	c.Metadata = host
	got, err := c.list(t.Context(), object(1), corev1.SchemeGroupVersion.WithResource("secrets"), tenancyv1.LabelCluster)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %d objects, %v; want 3", len(got), err)
	}
	if len(got[0].Annotations) > 0 || got[0].Labels[tenancyv1.LabelCluster] != syncedtest.ID {
		t.Errorf("got %d annotations and labels %v, want what is read alone", len(got[0].Annotations), got[0].Labels)
	}
}
