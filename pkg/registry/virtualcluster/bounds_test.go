// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// TestBounds fills the host's quota in where nobody set one, and refuses more.
func TestBounds(t *testing.T) {
	list := func(pairs ...string) corev1.ResourceList {
		if len(pairs) == 0 {
			return nil
		}
		hard := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			hard[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return hard
	}
	none := corev1.ResourceList(nil)
	for name, test := range map[string]struct {
		most, old, asked, want corev1.ResourceList
		isNew                  bool
		refused                []string
	}{
		"no bounds":                {none, none, list("pods", "900"), list("pods", "900"), true, nil},
		"nothing set":              {list("pods", "10", "secrets", "5"), none, none, list("pods", "10", "secrets", "5"), true, nil},
		"another name set":         {list("pods", "10"), none, list("services", "3"), list("pods", "10", "services", "3"), true, nil},
		"less":                     {list("pods", "10"), none, list("pods", "3"), list("pods", "3"), true, nil},
		"as much, in other words":  {list("requests.cpu", "1"), none, list("requests.cpu", "1000m"), list("requests.cpu", "1"), true, nil},
		"more":                     {list("pods", "10", "secrets", "5"), none, list("pods", "11", "secrets", "6"), list("pods", "11", "secrets", "6"), true, []string{"pods", "secrets"}},
		"more than nothing":        {list("services.nodeports", "0"), none, list("services.nodeports", "1"), list("services.nodeports", "1"), true, []string{"services.nodeports"}},
		"stored ones stay":         {list("pods", "10"), list("pods", "50"), list("pods", "50"), list("pods", "50"), false, nil},
		"stored without stays":     {list("pods", "10"), none, list("secrets", "9"), list("secrets", "9"), false, nil},
		"raised":                   {list("pods", "10"), list("pods", "5"), list("pods", "11"), list("pods", "11"), false, []string{"pods"}},
		"lowered, still too much":  {list("pods", "10"), list("pods", "50"), list("pods", "40"), list("pods", "40"), false, []string{"pods"}},
		"lowered":                  {list("pods", "10"), list("pods", "50"), list("pods", "10"), list("pods", "10"), false, nil},
		"taken away":               {list("pods", "10"), list("pods", "5"), none, list("pods", "10"), false, nil},
		"zero set where there was": {list("pods", "10"), none, list("pods", "0"), list("pods", "0"), false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{}
			host.Name, host.Spec.Isolation.Quota.Hard = "local", test.most
			var spec tenancy.VirtualClusterSpec
			spec.Isolation.Quota.Hard = test.asked.DeepCopy()
			var old *tenancy.VirtualClusterSpec
			if !test.isNew {
				old = &tenancy.VirtualClusterSpec{}
				old.Isolation.Quota.Hard = test.old
			}
			var refused []string
			for _, err := range bound(&spec, old, host) {
				refused = append(refused, strings.TrimSuffix(strings.TrimPrefix(err.Field, "spec.isolation.quota.hard["), "]"))
				if !strings.Contains(err.Detail, "have spec.isolation.quota of the HostCluster raised") {
					t.Errorf("no remedy in %q", err.Detail)
				}
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %q, want %q", refused, test.refused)
			}
			got, want := spec.Isolation.Quota.Hard, test.want
			same := len(got) == len(want)
			for name := range want {
				a, b := got[name], want[name]
				same = same && a.Cmp(b) == 0
			}
			if !same {
				t.Errorf("got %v, want %v", fmt.Sprint(got), fmt.Sprint(want))
			}
		})
	}
	if errs := bound(&tenancy.VirtualClusterSpec{}, nil, nil); errs != nil {
		t.Errorf("without a host cluster: got %v", errs)
	}
}

// TestBoundSleep has what nobody uses sleep no later, and go no sooner, than the host's administrator says.
func TestBoundSleep(t *testing.T) {
	hours := func(n int) *metav1.Duration {
		if n == 0 {
			return nil
		}
		return &metav1.Duration{Duration: time.Duration(n) * time.Hour}
	}
	const asleep, gone = "spec.sleep.afterInactivity", "spec.sleep.deleteAfterInactivity"
	for name, test := range map[string]struct {
		most, least, old, after, deleteAfter, want int
		isNew, memory                              bool
		refused                                    []string
	}{
		"no bounds":                     {0, 0, 0, 900, 1, 900, true, false, nil},
		"nothing set":                   {8, 24, 0, 0, 0, 8, true, false, nil},
		"sooner asleep, later gone":     {8, 24, 0, 1, 48, 1, true, false, nil},
		"later asleep, sooner gone":     {8, 24, 0, 9, 23, 9, true, false, []string{asleep, gone}},
		"stored ones stay":              {8, 24, 9, 9, 9, 9, false, false, nil},
		"stored ones are changed":       {8, 24, 9, 10, 23, 10, false, false, []string{asleep, gone}},
		"taken away":                    {8, 0, 9, 0, 0, 8, false, false, nil},
		"never, as stored":              {8, 0, 0, 0, 0, 0, false, false, nil},
		"what cannot sleep need not":    {8, 0, 0, 0, 0, 0, true, true, nil},
		"what cannot sleep may be gone": {8, 24, 0, 0, 1, 0, true, true, []string{gone}},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{}
			host.Name = "local"
			host.Spec.Sleep = tenancy.HostSleep{MaxAfterInactivity: hours(test.most), MinDeleteAfterInactivity: hours(test.least)}
			spec := tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{AfterInactivity: hours(test.after), DeleteAfterInactivity: hours(test.deleteAfter)}}
			if test.memory {
				spec.ControlPlane.Storage.Persistent = new(bool)
			}
			var old *tenancy.VirtualClusterSpec
			if !test.isNew {
				old = &tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{AfterInactivity: hours(test.old), DeleteAfterInactivity: hours(test.old)}}
			}
			var refused []string
			for _, err := range bound(&spec, old, host) {
				refused = append(refused, err.Field)
				if !strings.Contains(err.Detail, "have spec.sleep.m") {
					t.Errorf("no remedy in %q", err.Detail)
				}
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %q, want %q", refused, test.refused)
			}
			if got, want := spec.Sleep.AfterInactivity, hours(test.want); (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestBoundTraffic refuses to have connections wake what the host's administrator does not let them.
func TestBoundTraffic(t *testing.T) {
	with := func(on bool) *tenancy.VirtualClusterSpec {
		return &tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{WakeOnTraffic: on}}
	}
	for name, test := range map[string]struct {
		denied    bool
		spec, old *tenancy.VirtualClusterSpec
		refused   bool
	}{
		"allowed":           {false, with(true), nil, false},
		"denied":            {true, with(true), nil, true},
		"denied, added":     {true, with(true), with(false), true},
		"denied since":      {true, with(true), with(true), false},
		"denied, taken off": {true, with(false), with(true), false},
		"not asked for":     {true, with(false), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{Spec: tenancy.HostClusterSpec{Sleep: tenancy.HostSleep{DenyWakeOnTraffic: test.denied}}}
			errs := bound(test.spec, test.old, host)
			if (len(errs) > 0) != test.refused || test.refused && (errs[0].Field != "spec.sleep.wakeOnTraffic" || !strings.Contains(errs[0].Detail, "have spec.sleep.denyWakeOnTraffic of the HostCluster removed")) {
				t.Errorf("got %v, want refused: %v", errs, test.refused)
			}
		})
	}
}

// TestBoundPodRules refuses labels, annotations and priority classes for pods that the host's
// administrator does not allow, and leaves alone what was there before.
func TestBoundPodRules(t *testing.T) {
	rules := func(label, annotation, class string) tenancy.PodRules {
		return tenancy.PodRules{
			Images: []tenancy.ImageRule{{From: "docker.io", To: "mirror.example.org"}}, NodeSelector: map[string]string{"pool": "a"}, RuntimeClassName: "x",
			Labels: map[string]string{"example.org/account": label}, Annotations: map[string]string{"example.org/note": annotation},
			PriorityClasses: []tenancy.PriorityClassRule{{Name: "high", Host: class}},
		}
	}
	all := []string{"spec.syncer.pods.labels[example.org/account]", "spec.syncer.pods.annotations[example.org/note]", "spec.syncer.pods.priorityClasses[0].host"}
	open := tenancy.AllowedPodRules{Labels: []string{"example.org/account"}, Annotations: []string{"example.org/*"}, PriorityClasses: []string{"low"}}
	for name, test := range map[string]struct {
		allowed  tenancy.AllowedPodRules
		old, now tenancy.PodRules
		refused  []string
	}{
		"nothing is allowed":         {tenancy.AllowedPodRules{}, tenancy.PodRules{}, rules("a", "b", "low"), all},
		"all is allowed":             {open, tenancy.PodRules{}, rules("a", "b", "low"), nil},
		"another class":              {open, tenancy.PodRules{}, rules("a", "b", "high"), all[2:]},
		"labels are no annotations":  {tenancy.AllowedPodRules{Labels: []string{"example.org/*"}}, tenancy.PodRules{}, rules("a", "b", "low"), all[1:]},
		"stored ones stay":           {tenancy.AllowedPodRules{}, rules("a", "b", "low"), rules("a", "b", "low"), nil},
		"stored ones are changed":    {tenancy.AllowedPodRules{}, rules("a", "b", "low"), rules("c", "d", "high"), all},
		"what lends nothing is free": {tenancy.AllowedPodRules{}, tenancy.PodRules{}, tenancy.PodRules{NodeSelector: map[string]string{"pool": "a"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{}
			host.Name, host.Spec.Isolation.AllowedPodRules = "local", test.allowed
			var spec, old tenancy.VirtualClusterSpec
			spec.Syncer.Pods, old.Syncer.Pods = test.now, test.old
			var refused []string
			for _, err := range bound(&spec, &old, host) {
				refused = append(refused, err.Field)
				if !strings.Contains(err.Detail, "have it added to spec.isolation.allowedPodRules.") {
					t.Errorf("no remedy in %q", err.Detail)
				}
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %q, want %q", refused, test.refused)
			}
		})
	}
}

// TestBoundStorage wants kinds of storage to be switched on only where something of them is allowed to
// the namespace.
func TestBoundStorage(t *testing.T) {
	on := tenancy.VirtualClusterSpec{}
	on.Syncer.ToHost.PersistentVolumes.Enabled, on.Syncer.ToHost.StorageClasses.Enabled = ptr.To(true), ptr.To(true)
	on.Syncer.ToHost.VolumeSnapshotContents.Enabled = ptr.To(true)
	host := &tenancy.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "local"}}
	host.Spec.Isolation.AllowedStorage = tenancy.AllowedStorage{NFS: []tenancy.AllowedNFS{{Server: "192.0.2.7", Paths: []string{"/a"}, Namespaces: []string{"team-a"}}},
		CSI: []tenancy.AllowedCSI{{Driver: "a", SnapshotHandles: []string{"a"}, Namespaces: []string{"team-c"}}}}
	const volumes, classes, contents = "spec.syncer.toHost.persistentVolumes.enabled", "spec.syncer.toHost.storageClasses.enabled", "spec.syncer.toHost.volumeSnapshotContents.enabled"
	for name, test := range map[string]struct {
		spec, old *tenancy.VirtualClusterSpec
		namespace string
		host      *tenancy.HostCluster
		want      []string
	}{
		"off":               {&tenancy.VirtualClusterSpec{}, nil, "team-b", host, nil},
		"no classes":        {&on, nil, "team-a", host, []string{classes, contents}},
		"snapshots alone":   {&on, nil, "team-c", host, []string{volumes, classes}},
		"nothing":           {&on, nil, "team-b", host, []string{volumes, classes, contents}},
		"on already":        {&on, &on, "team-b", host, nil},
		"no host to ask of": {&on, nil, "team-b", nil, nil},
	} {
		var got []string
		for _, err := range boundStorage(test.spec, test.old, test.namespace, test.host) {
			got = append(got, err.Field)
			if !strings.Contains(err.Detail, "spec.isolation.allowedStorage") {
				t.Errorf("%s: got %v, want the remedy", name, err)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

// TestPodSecurityWarnings tells what the labels of the namespace on the host mean for a spec.
func TestPodSecurityWarnings(t *testing.T) {
	const none = "enforces no level of Pod Security on the host"
	for name, test := range map[string]struct {
		label, asked, before, want string
	}{
		"nothing enforced":            {"", "baseline", "", none + ": only the syncer enforces the level baseline; set the label pod-security.kubernetes.io/enforce=baseline on the namespace"},
		"privileged enforced":         {"privileged", "restricted", "", "set the label pod-security.kubernetes.io/enforce=restricted on the namespace"},
		"the same enforced":           {"baseline", "baseline", "", ""},
		"less enforced":               {"baseline", "restricted", "", ""},
		"more enforced":               {"restricted", "baseline", "", "the namespace team enforces restricted on the host, which refuses pods that only baseline allows"},
		"privileged where it is open": {"", "privileged", "", "whoever creates pods in the virtual cluster controls the host's nodes"},
		"privileged where it is not":  {"baseline", "privileged", "", "enforces baseline on the host, which refuses"},
		"an update of it":             {"", "restricted", "baseline", none},
		"an update of something else": {"", "baseline", "baseline", ""},
		"an unknown namespace":        {"-", "baseline", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
			namespace := &corev1.Namespace{}
			namespace.Name = "team"
			if test.label != "" {
				namespace.Labels = map[string]string{v1.LabelEnforce: test.label}
			}
			if test.label != "-" {
				if err := indexer.Add(namespace); err != nil {
					t.Fatal(err)
				}
			}
			s := testStrategy()
			s.namespaces = corelisters.NewNamespaceLister(indexer)
			vc, old := existing(), existing()
			vc.Spec.Isolation.PodSecurity, old.Spec.Isolation.PodSecurity = tenancy.PodSecurityLevel(test.asked), tenancy.PodSecurityLevel(test.before)
			got := s.WarningsOnUpdate(t.Context(), vc, old)
			if test.before == "" {
				got = s.WarningsOnCreate(t.Context(), vc)
			}
			if (test.want == "") != (len(got) == 0) || len(got) > 0 && !strings.Contains(got[0], test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
