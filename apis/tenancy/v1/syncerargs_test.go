// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestEveryKindHasAField wants each kind of the catalogue to have a field in the spec.
func TestEveryKindHasAField(t *testing.T) {
	var got []string
	for _, choice := range (&SyncerSpec{}).Choices() {
		got = append(got, choice.Resource)
	}
	slices.Sort(got)
	if want := CataloguedResources(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSyncerArgs(t *testing.T) {
	spec := SyncerSpec{ExtraArgs: []string{"--v=2"}}
	if got := spec.Args(); !slices.Equal(got, spec.ExtraArgs) {
		t.Errorf("got %v, want nothing but %v", got, spec.ExtraArgs)
	}
	spec.ToHost.Ingresses.Enabled, spec.ToHost.Secrets.Enabled = ptr.To(false), ptr.To(false)
	spec.ToHost.PodDisruptionBudgets.Enabled, spec.FromHost.Nodes.Enabled = ptr.To(true), ptr.To(true)
	spec.FromHost.StorageClasses = ClassSelection{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "fast"},
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "zone", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}}}}}
	spec.FromHost.IngressClasses.Selector = &metav1.LabelSelector{} // everything
	want := []string{"--disable-sync-resources=ingresses,secrets", "--select-from-host=storageclasses:tier=fast,zone in (a,b)",
		"--sync-nodes-from-host", "--sync-resources=poddisruptionbudgets", "--v=2"}
	got := spec.Args()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	selection, err := SelectByArgs(got)
	if err != nil || selection[ResourceIngresses] || selection[ResourceSecrets] || !selection[ResourceBudgets] || !selection[ResourceStorageClasses] {
		t.Errorf("got %v and %v, want what the fields say", selection, err)
	}
}

// TestSnapshotKindsFollowSnapshots wants the classes and the contents of snapshots to be shown where
// snapshots go to the host, unless something says otherwise.
func TestSnapshotKindsFollowSnapshots(t *testing.T) {
	for resource, chosen := range map[string]func(*FromHostSpec) **bool{
		ResourceSnapshotClasses:  func(s *FromHostSpec) **bool { return &s.VolumeSnapshotClasses.Enabled },
		ResourceSnapshotContents: func(s *FromHostSpec) **bool { return &s.VolumeSnapshotContents.Enabled },
	} {
		t.Run(resource, func(t *testing.T) { followsSnapshots(t, resource, chosen) })
	}
}

func followsSnapshots(t *testing.T, resource string, chosen func(*FromHostSpec) **bool) {
	off := "--disable-sync-resources=" + resource
	for name, test := range map[string]struct {
		snapshots, chosen *bool
		extra             []string
		want              bool
	}{
		"by default":           {},
		"with snapshots":       {snapshots: ptr.To(true), want: true},
		"without snapshots":    {snapshots: ptr.To(false)},
		"asked for alone":      {chosen: ptr.To(true), want: true},
		"switched off":         {snapshots: ptr.To(true), chosen: ptr.To(false)},
		"switched off by flag": {snapshots: ptr.To(true), extra: []string{off}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &SyncerSpec{ExtraArgs: test.extra}
			spec.ToHost.VolumeSnapshots.Enabled, *chosen(&spec.FromHost) = test.snapshots, test.chosen
			selection, err := SelectByArgs(spec.Args())
			defined := slices.ContainsFunc(DefinedKinds(selection), func(kind SyncedKind) bool { return kind.Name() == resource })
			if err != nil || selection[resource] != test.want || defined != test.want {
				t.Errorf("got %v, %v, want %t", selection, err, test.want)
			}
			asked := test.chosen != nil && *test.chosen
			if selection, err = SelectByArgs(spec.ArgsWithout(resource)); err != nil || selection[resource] != asked {
				t.Errorf("where the host lends no right: got %v, %v, want %t", selection, err, asked)
			}
		})
	}
}

// TestNodesFromHost wants the syncer to read out of its flags which nodes are shown, and what of them.
func TestNodesFromHost(t *testing.T) {
	nodes := NodesFromHost{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "gold"}},
		Labels: NodeLabels{Shown: []string{"zone", "example.org/*"}, Added: map[string]string{"tier": "x"}}, Taints: NodeTaintsHidden}
	spec := SyncerSpec{FromHost: FromHostSpec{Nodes: nodes}}
	if got := spec.Args(); len(got) > 0 {
		t.Errorf("not enabled: got %v", got)
	}
	spec.FromHost.Nodes.Enabled = ptr.To(true)
	got := spec.Args()
	rules, is := strings.CutPrefix(got[0], "--node-rules=")
	if len(got) != 3 || !is || got[1] != "--select-from-host=nodes:pool=gold" || got[2] != "--sync-nodes-from-host" {
		t.Errorf("got %v", got)
	}
	parsed, err := ParseNodeRules(rules)
	if nodes.Selector = nil; err != nil || !equality.Semantic.DeepEqual(parsed, nodes) {
		t.Errorf("got %+v, %v, want %+v", parsed, err, nodes)
	}
	for key, want := range map[string]bool{"zone": true, "zones": false, "example.org/a": true, "pool": false, "tier": false} {
		if got := nodes.Labels.Shows(key); got != want {
			t.Errorf("%s is shown: got %t", key, got)
		}
	}
	if all := (NodeLabels{Added: map[string]string{"tier": "x"}}); !all.Shows("anything") || all.Shows("tier") {
		t.Error("without a list, all are shown but those that are added")
	}
}

// TestHostMappings wants what the fields name to be what the syncer reads out of its flags.
func TestHostMappings(t *testing.T) {
	var spec SyncerSpec
	spec.ToHost.Secrets.All, spec.ToHost.ConfigMaps.All = ptr.To(true), ptr.To(false)
	for from, objects := range map[string]*ObjectsFromHost{"proxy": &spec.FromHost.ConfigMaps, "registry.example": &spec.FromHost.Secrets} {
		objects.Mappings = []ObjectMapping{{From: HostObjectName{Name: from}, To: InsideObjectName{Namespace: "shop", Name: "here"}}}
	}
	want := []string{"--map-from-host=configmaps:proxy=shop/here", "--map-from-host=secrets:registry.example=shop/here", "--sync-all=secrets"}
	got := spec.Args()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i, mapping := range spec.HostMappings() {
		parsed, err := ParseHostMapping(strings.TrimPrefix(want[i], "--map-from-host="))
		if err != nil || parsed != mapping {
			t.Errorf("got %v and %v, want %v", parsed, err, mapping)
		}
	}
	for _, value := range []string{"", "pods:a=b/c", "secrets:=b/c", "secrets:a=/c", "secrets:a=b/", "secrets:a"} {
		if parsed, err := ParseHostMapping(value); err == nil {
			t.Errorf("%q: got %v, want an error", value, parsed)
		}
	}
	rules := MappingRules(spec.HostMappings())
	if len(rules) != 2 || !slices.Equal(rules[1].ResourceNames, []string{"registry.example"}) || slices.Contains(rules[1].Verbs, "create") {
		t.Errorf("got %v, want each object to be read by its name", rules)
	}
}
