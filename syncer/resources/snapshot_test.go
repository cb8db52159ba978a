// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// snapshotsWithClaims knows the claims data, which the host holds, old, of which the host holds
// the data of an earlier one, and new, of which it has nothing. The class fast is shown.
func snapshotsWithClaims(t *testing.T) *snapshots {
	t.Helper()
	rule := tenancyv1.SnapshotRule()
	built, err := newFieldTree(rule.Fields)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{Config: Config{Translator: testTranslator(), Selection: Selection{tenancyv1.ResourceClaims: true},
		Virtual: NewVirtual(fake.NewClientset()), Host: NewHost(fake.NewClientset(), testTranslator().Cluster(), ShownNodes{})}}
	for name, uid := range map[string]types.UID{"data": "u-data", "old": "u-earlier", "new": ""} {
		inside := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("u-" + name)}}
		add(t, b.Virtual.Claims, inside)
		if uid == "" {
			continue
		}
		of, host := inside.DeepCopy(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: b.Translator.HostName("shop", name)}}
		of.UID = uid
		Marker{Translator: b.Translator}.mark(tenancyv1.ResourceClaims, of, host, nil)
		add(t, b.Host.Claims, host)
	}
	b.snapshotsOf = dynamicStore(tenancyv1.ResourceSnapshotClasses)
	add(t, b.snapshotsOf, &unstructured.Unstructured{Object: tree{"metadata": tree{"name": "fast"}}})
	b.snapshotsInside = dynamicStore(tenancyv1.ResourceSnapshotClasses)
	class := func(name, driver, policy string, parameters, annotations tree) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: tree{"metadata": tree{"name": name, "annotations": annotations}, "driver": driver, "deletionPolicy": policy, "parameters": parameters}}
	}
	for _, each := range []*unstructured.Unstructured{
		class("disks-b", "disks.example.org", "Delete", nil, nil), class("disks-a", "disks.example.org", "Delete", nil, nil), class("kept", "disks.example.org", "Retain", nil, nil),
		class("files-a", "files.example.org", "Delete", nil, nil), class("files-z", "files.example.org", "Delete", nil, tree{defaultSnapshotClass: "true"}),
	} {
		add(t, b.snapshotsOf, each)
	}
	for _, each := range []*unstructured.Unstructured{
		class("own", "disks.example.org", "Delete", nil, nil), class("own-kept", "disks.example.org", "Retain", nil, nil), class("own-files", "files.example.org", "Delete", nil, nil),
		class("own-secret", "disks.example.org", "Delete", tree{"csi.storage.k8s.io/snapshotter-secret-name": "theirs"}, nil), class("own-other", "other.example.org", "Delete", nil, nil),
	} {
		add(t, b.snapshotsInside, each)
	}
	return &snapshots{&ruled{RuledKind: RuledKind{KindRule: rule}, b: b, tree: built}, true}
}

func dynamicStore(resource string) *engine.Store[*unstructured.Unstructured] {
	at := schema.GroupVersionResource{Group: tenancyv1.SnapshotGroup, Version: "v1", Resource: resource}
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{at: "AnyList"})
	return engine.NewDynamicStore(engine.NewInformers(client), at, "Any", client, engine.StoreOptions{})
}

func add[T engine.Object](t *testing.T, store *engine.Store[T], object T) {
	t.Helper()
	if err := store.Informer().GetStore().Add(object); err != nil {
		t.Fatal(err)
	}
}

func snapshotOf(spec tree) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: tree{"metadata": tree{"name": "one", "namespace": "shop", "uid": "u-inside"}, "spec": spec}}
}

func contentOnHost(name string) tree {
	return tree{"volumeSnapshotContentName": testTranslator().HostName("", name)}
}

// carriesContents gives the tenant contents that name the snapshot shop/one, and some that are not for it.
func carriesContents(s *snapshots) {
	b := s.b
	b.Exceptions.Storage = tenancyv1.AllowedStorage{CSI: []tenancyv1.AllowedCSI{{Driver: "disks.example.org", SnapshotHandles: []string{"team-a-*"}}}}
	o := &ownContents{builder: b, virtual: dynamicStore(tenancyv1.ResourceSnapshotContents), host: dynamicStore(tenancyv1.ResourceSnapshotContents)}
	b.ownContents = o
	store := func(in *engine.Store[*unstructured.Unstructured], object *unstructured.Unstructured) {
		if err := in.Informer().GetStore().Add(object); err != nil {
			panic(err)
		}
	}
	for _, each := range []struct{ name, handle, policy, namespace, snapshot, uid string }{
		{"own", "team-a-1", "Retain", "shop", "one", ""},
		{"other", "team-a-1", "Retain", "shop", "two", ""},
		{"elsewhere", "team-a-1", "Retain", "bank", "one", ""},
		{"earlier", "team-a-1", "Retain", "shop", "one", "u-earlier"},
		{"foreign", "team-b-1", "Retain", "shop", "one", ""},
		{"deleted", "team-a-1", "Delete", "shop", "one", ""},
		{"held", "team-a-1", "Retain", "shop", "one", "u-inside"},
	} {
		ref := tree{"namespace": each.namespace, "name": each.snapshot}
		if each.uid != "" {
			ref["uid"] = each.uid
		}
		store(o.virtual, &unstructured.Unstructured{Object: tree{"metadata": tree{"name": each.name, "uid": "u-" + each.name}, "spec": tree{
			"driver": "disks.example.org", "deletionPolicy": each.policy, "source": tree{"snapshotHandle": each.handle}, "volumeSnapshotRef": ref}}})
	}
	of := &unstructured.Unstructured{Object: tree{"metadata": tree{"name": "held", "uid": "u-before"}}}
	held := &unstructured.Unstructured{Object: tree{"metadata": tree{"name": b.Translator.HostName("", "held")}}}
	Marker{Translator: b.Translator}.mark(tenancyv1.ResourceSnapshotContents, of, held, nil)
	store(o.host, held)
}

// TestSnapshots says what of a volume snapshot goes to the host, and what an attacker tries in vain.
func TestSnapshots(t *testing.T) {
	own := func(name string) tree {
		return tree{"persistentVolumeClaimName": testTranslator().HostName("shop", name)}
	}
	of := func(claim string) tree { return tree{"persistentVolumeClaimName": claim} }
	for name, test := range map[string]struct {
		spec tree
		// there is the spec on the host before; nil for a snapshot that is new there.
		there tree
		want  tree
		// told is a part of the error where it does not go there, which is a refusal unless it waits.
		told   string
		waits  bool
		change func(*snapshots)
	}{
		"of a claim":               {spec: tree{"source": of("data")}, want: tree{"source": own("data")}},
		"by a class that is shown": {spec: tree{"source": of("data"), "volumeSnapshotClassName": "fast"}, want: tree{"source": own("data"), "volumeSnapshotClassName": "fast"}},
		"whose class the host chose": {spec: tree{"source": of("data")}, there: tree{"source": own("data"), "volumeSnapshotClassName": "default"},
			want: tree{"source": own("data"), "volumeSnapshotClassName": "default"}},
		"whose claim is gone": {spec: tree{"source": of("gone")}, there: tree{"source": own("gone")}, want: tree{"source": own("gone")}},
		"whose class is shown no more": {spec: tree{"source": of("data"), "volumeSnapshotClassName": "before"}, there: tree{"source": own("data"), "volumeSnapshotClassName": "before"},
			want: tree{"source": own("data"), "volumeSnapshotClassName": "before"}},
		"a rule of another's decides about classes": {spec: tree{"source": of("data"), "volumeSnapshotClassName": "internal"},
			want: tree{"source": own("data"), "volumeSnapshotClassName": "internal"}, change: func(s *snapshots) { s.byGarret = false }},
		"a content of the host":       {spec: tree{"source": tree{"volumeSnapshotContentName": "snapcontent-theirs"}}, told: `spec.source.volumeSnapshotContentName is "snapcontent-theirs"`},
		"a content besides a claim":   {spec: tree{"source": tree{"volumeSnapshotContentName": "theirs", "persistentVolumeClaimName": "data"}}, told: "volumeSnapshotContentName"},
		"a content by another's rule": {spec: tree{"source": tree{"volumeSnapshotContentName": "theirs"}}, told: "volumeSnapshotContentName", change: func(s *snapshots) { s.byGarret = false }},
		"a content once it is there":  {spec: tree{"source": tree{"volumeSnapshotContentName": "theirs"}}, there: tree{"source": own("data")}, told: "volumeSnapshotContentName"},
		"the tenant's own content":    {spec: tree{"source": tree{"volumeSnapshotContentName": "own"}}, want: tree{"source": contentOnHost("own")}, change: carriesContents},
		"by another's rule that copies": {spec: tree{"source": tree{"volumeSnapshotContentName": "own"}}, want: tree{"source": contentOnHost("own")},
			change: func(s *snapshots) {
				carriesContents(s)
				s.byGarret, s.tree.within["spec"].within["source"].rule = false, &tenancyv1.FieldRule{Path: "spec.source"}
				s.tree.within["spec"].within["source"].within = nil
			}},
		"such a one that is there":       {spec: tree{"source": tree{"volumeSnapshotContentName": "gone"}}, there: tree{"source": contentOnHost("gone")}, want: tree{"source": contentOnHost("gone")}, change: carriesContents},
		"another one, once it is there":  {spec: tree{"source": tree{"volumeSnapshotContentName": "own"}}, there: tree{"source": contentOnHost("gone")}, told: "cannot be changed", change: carriesContents},
		"a claim, once it is there":      {spec: tree{"source": tree{"volumeSnapshotContentName": "own"}}, there: tree{"source": own("data")}, told: "cannot be changed", change: carriesContents},
		"a content that nobody created":  {spec: tree{"source": tree{"volumeSnapshotContentName": "snapcontent-theirs"}}, told: "it is no content that was created inside", change: carriesContents},
		"the host's name of a content":   {spec: tree{"source": contentOnHost("own")}, told: "it is no content that was created inside", change: carriesContents},
		"a content of another snapshot":  {spec: tree{"source": tree{"volumeSnapshotContentName": "other"}}, told: "names another snapshot", change: carriesContents},
		"a content of another namespace": {spec: tree{"source": tree{"volumeSnapshotContentName": "elsewhere"}}, told: "names another snapshot", change: carriesContents},
		"a content of an earlier one":    {spec: tree{"source": tree{"volumeSnapshotContentName": "earlier"}}, told: "names another snapshot", change: carriesContents},
		"a handle that is not allowed":   {spec: tree{"source": tree{"volumeSnapshotContentName": "foreign"}}, told: `spec.source.snapshotHandle "team-b-1"`, change: carriesContents},
		"a content to be deleted":        {spec: tree{"source": tree{"volumeSnapshotContentName": "deleted"}}, told: `spec.deletionPolicy "Delete"`, change: carriesContents},
		"an own content besides a claim": {spec: tree{"source": tree{"volumeSnapshotContentName": "own", "persistentVolumeClaimName": "data"}}, told: "one source", change: carriesContents},
		"data of an earlier content":     {spec: tree{"source": tree{"volumeSnapshotContentName": "held"}}, told: "belongs to another content", change: carriesContents},
		"data of an earlier claim":       {spec: tree{"source": of("old")}, told: "that belong to another"},
		"a claim that is on its way":     {spec: tree{"source": of("new")}, told: "does not exist yet", waits: true},
		"a claim of the host's name":     {spec: tree{"source": of(testTranslator().HostName("shop", "data"))}, told: "does not exist yet", waits: true},
		"claims that stay inside":        {spec: tree{"source": of("data")}, told: "spec.syncer.toHost.persistentVolumeClaims", change: func(s *snapshots) { s.b.Selection = Selection{} }},
		"a class that is not shown":      {spec: tree{"source": of("data"), "volumeSnapshotClassName": "internal"}, told: `spec.volumeSnapshotClassName is "internal"`},
		"such a class for one there":     {spec: tree{"source": of("data"), "volumeSnapshotClassName": "internal"}, there: tree{"source": own("data")}, told: "volumeSnapshotClassName"},
		"an own class, like the host's":  {spec: tree{"source": of("data"), "volumeSnapshotClassName": "own"}, want: tree{"source": own("data"), "volumeSnapshotClassName": "disks-a"}},
		"an own class that keeps":        {spec: tree{"source": of("data"), "volumeSnapshotClassName": "own-kept"}, want: tree{"source": own("data"), "volumeSnapshotClassName": "kept"}},
		"an own class, like a default":   {spec: tree{"source": of("data"), "volumeSnapshotClassName": "own-files"}, want: tree{"source": own("data"), "volumeSnapshotClassName": "files-z"}},
		"an own class with parameters":   {spec: tree{"source": of("data"), "volumeSnapshotClassName": "own-secret"}, told: "it may have no parameters"},
		"an own class of another driver": {spec: tree{"source": of("data"), "volumeSnapshotClassName": "own-other"}, told: "has its driver"},
		"any class where none is shown": {spec: tree{"source": of("data"), "volumeSnapshotClassName": "fast"}, told: "volumeSnapshotClassName",
			change: func(s *snapshots) { s.b.snapshotsOf = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshotsWithClaims(t)
			if test.change != nil {
				test.change(s)
			}
			host := &unstructured.Unstructured{Object: tree{}}
			if test.there != nil {
				host = &unstructured.Unstructured{Object: tree{"metadata": tree{"uid": "u-host"}, "spec": test.there}}
			}
			err := s.apply(snapshotOf(test.spec), host)
			switch {
			case test.told != "" && (err == nil || !strings.Contains(err.Error(), test.told) || engine.IsRefusal(err) == test.waits):
				t.Errorf("got %v, want an error with %q", err, test.told)
			case test.told == "" && (err != nil || !reflect.DeepEqual(host.Object["spec"], test.want)):
				t.Errorf("got %v, %v, want %v", host.Object["spec"], err, test.want)
			}
		})
	}
}

// TestContentIsHidden wants the syncer to show no name of a content of the host inside, where none is shown.
func TestContentIsHidden(t *testing.T) {
	host := &unstructured.Unstructured{Object: tree{"metadata": tree{"uid": "u-host"}, "status": tree{"boundVolumeSnapshotContentName": "snapcontent-u-host"}}}
	s := snapshotsWithClaims(t)
	if name, err := s.b.contents.boundName(t.Context(), snapshotOf(tree{}), host); name != "" || err != nil {
		t.Errorf("bound: got %q, %v, want no name", name, err)
	}
	got := s.renameContent(snapshotOf(tree{}), host, "snapshot content snapcontent-u-host cannot be made")
	if want := "snapshot content snapcontent-u-inside cannot be made"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, path := range tenancyv1.SnapshotRule().Status {
		if strings.HasPrefix("status.boundVolumeSnapshotContentName", path) {
			t.Errorf("%s tells the name of the content", path)
		}
	}
}

// TestClaimSources says of what a volume on the host can be a copy.
func TestClaimSources(t *testing.T) {
	s := snapshotsWithClaims(t)
	s.virtual, s.host = dynamicStore(tenancyv1.ResourceSnapshots), dynamicStore(tenancyv1.ResourceSnapshots)
	translator := testTranslator()
	for name, uid := range map[string]string{"taken": "u-taken", "old": "u-earlier", "theirs": "u-theirs"} {
		inside := &unstructured.Unstructured{Object: tree{"metadata": tree{"namespace": "shop", "name": name, "uid": "u-" + name}}}
		add(t, s.virtual, inside)
		of, host := inside.DeepCopy(), &unstructured.Unstructured{Object: tree{"metadata": tree{"namespace": "team", "name": translator.HostName("shop", name)}}}
		of.SetUID(types.UID(uid))
		Marker{Translator: translator}.mark(tenancyv1.ResourceSnapshots, of, host, nil)
		if name == "theirs" {
			// Another virtual cluster's, under the name that this one's would have.
			host.SetLabels(map[string]string{tenancyv1.LabelCluster: "c2"})
		}
		add(t, s.host, host)
	}
	with := &claims{translator: translator, virtual: s.b.Virtual, host: s.b.Host, snapshots: s.ruled}
	without := &claims{translator: translator, virtual: s.b.Virtual, host: s.b.Host}
	group := ptr.To(tenancyv1.SnapshotGroup)
	for name, test := range map[string]struct {
		source corev1.TypedObjectReference
		by     *claims
		told   string
		waits  bool
	}{
		"a claim":                     {source: corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "data"}, by: with},
		"a snapshot":                  {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: "taken"}, by: with},
		"its own namespace named":     {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: "taken", Namespace: ptr.To("shop")}, by: with},
		"a snapshot of before":        {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: "old"}, by: with, told: "that belong to another"},
		"another virtual cluster's":   {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: "theirs"}, by: with, told: "that belong to another"},
		"one of the host by its name": {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: translator.HostName("shop", "taken")}, by: with, told: "does not exist yet", waits: true},
		"a snapshot of a namespace":   {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: "taken", Namespace: ptr.To("other")}, by: with, told: `spec.dataSourceRef.namespace is "other"`},
		"a claim of a namespace":      {source: corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "data", Namespace: ptr.To("other")}, by: with, told: `spec.dataSourceRef.namespace is "other"`},
		"snapshots that stay inside":  {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshot", Name: "taken"}, by: without, told: "spec.syncer.toHost.volumeSnapshots"},
		"something else":              {source: corev1.TypedObjectReference{APIGroup: ptr.To("example.org"), Kind: "Backup", Name: "taken"}, by: with, told: "data source Backup taken cannot go to the host cluster"},
		"a snapshot of no such group": {source: corev1.TypedObjectReference{Kind: "VolumeSnapshot", Name: "taken"}, by: with, told: "cannot go to the host cluster"},
		"the content of the snapshot": {source: corev1.TypedObjectReference{APIGroup: group, Kind: "VolumeSnapshotContent", Name: "taken"}, by: with, told: "cannot go to the host cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			virtual := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "restored"}, Spec: corev1.PersistentVolumeClaimSpec{DataSourceRef: &test.source}}
			host := &corev1.PersistentVolumeClaim{Spec: *virtual.Spec.DeepCopy()}
			err := test.by.source(virtual, host)
			if test.told != "" {
				if err == nil || !strings.Contains(err.Error(), test.told) || engine.IsRefusal(err) == test.waits {
					t.Errorf("got %v, want an error with %q", err, test.told)
				}
				return
			}
			if got := host.Spec.DataSourceRef; err != nil || got.Namespace != nil || got.Name != translator.HostName("shop", test.source.Name) {
				t.Errorf("got %+v, %v, want the one on the host", got, err)
			}
		})
	}
}

// TestClassOfATakenSnapshot leaves a snapshot its class on the host, whatever became of the one inside:
// it says nothing any more once the snapshot is taken.
func TestClassOfATakenSnapshot(t *testing.T) {
	s := snapshotsWithClaims(t)
	spec := tree{"source": tree{"persistentVolumeClaimName": "data"}, "volumeSnapshotClassName": "own-gone"}
	for name, test := range map[string]struct {
		status tree
		want   string
	}{
		"taken":     {tree{boundContentName: "snapcontent-1"}, "kept"},
		"not taken": {tree{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			host := &unstructured.Unstructured{Object: tree{"metadata": tree{"uid": "u-host"}, "status": test.status,
				"spec": tree{"source": tree{"persistentVolumeClaimName": testTranslator().HostName("shop", "data")}, "volumeSnapshotClassName": "kept"}}}
			err := s.apply(snapshotOf(spec), host)
			if (err == nil) != (test.want != "") || err == nil && classNameOf(host) != test.want {
				t.Errorf("got %v and the class %q, want %q", err, classNameOf(host), test.want)
			}
		})
	}
}
