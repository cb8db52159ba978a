// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/v1/syncedtest"
)

func translator(id string) *Translator {
	return New(Cluster{ID: id, Name: "demo", HostNamespace: "team", NamespaceUID: "namespace"})
}

func TestHostNameIsReadable(t *testing.T) {
	tests := []struct {
		name, namespace, object, prefix string
	}{
		{"short names stay whole", "default", "web-0", "web-0-default-"},
		{"dots become dashes", "default", "kube-root-ca.crt", "kube-root-ca-crt-default-"},
		{"cluster scope has no namespace", "", "node-1", "node-1-"},
		{"a long name leaves some of the namespace", strings.Repeat("n", 63), strings.Repeat("a", 253),
			strings.Repeat("a", 34) + "-" + strings.Repeat("n", 15) + "-"},
		{"a short name leaves all that there is to the namespace", strings.Repeat("n", 63), "a", "a-" + strings.Repeat("n", 48) + "-"},
		{"no dash is doubled where a name is cut", "default", strings.Repeat("a", 41) + "-" + strings.Repeat("b", 20),
			strings.Repeat("a", 41) + "-default-"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := translator("c1").HostName(test.namespace, test.object)
			if !strings.HasPrefix(got, test.prefix) || len(got) != len(test.prefix)+hashLength {
				t.Errorf("got %q, want %q and a hash", got, test.prefix)
			}
			if errs := validation.IsDNS1123Label(got); len(errs) > 0 {
				t.Errorf("got %q, want a DNS label: %v", got, errs)
			}
		})
	}
}

func TestHostNamesDiffer(t *testing.T) {
	one, two := translator("c1"), translator("c2")
	seen := map[string]string{}
	for what, name := range map[string]string{
		"x in a":                  one.HostName("a", "x"),
		"x in a of another":       two.HostName("a", "x"),
		"a with namespace b-x-c":  one.HostName("b-x-c", "a"),
		"a-x-b with namespace c":  one.HostName("c", "a-x-b"),
		"a-b in c":                one.HostName("c", "a-b"),
		"a in b-c":                one.HostName("b-c", "a"),
		"dot":                     one.HostName("c", "a.b"),
		"cluster scope":           one.HostName("", "a-b-c"),
		"derived":                 one.DerivedName("token", "a", "x"),
		"derived otherwise":       one.DerivedName("env", "a", "x"),
		"long, differs at end":    one.HostName("a", strings.Repeat("a", 200)),
		"long, differs at end by": one.HostName("a", strings.Repeat("a", 199)+"b"),
	} {
		if other, found := seen[name]; found {
			t.Errorf("%s and %s have the one name %q", what, other, name)
		}
		seen[name] = what
	}
}

// FuzzHostName checks that names are valid and injective over clusters, namespaces and names.
func FuzzHostName(f *testing.F) {
	f.Add("c1", "default", "web", "c1", "default", "web-0")
	f.Add("c1", "b-c", "a", "c1", "c", "a-b")
	f.Add("c1", "", "a", "c2", "", "a")
	f.Fuzz(func(t *testing.T, idA, nsA, nameA, idB, nsB, nameB string) {
		for _, s := range []string{idA, nsA, nameA, idB, nsB, nameB} {
			if strings.ContainsRune(s, 0) {
				t.Skip("no name of Kubernetes holds a NUL")
			}
		}
		a, b := translator(idA).HostName(nsA, nameA), translator(idB).HostName(nsB, nameB)
		if errs := validation.IsDNS1123Label(a); len(errs) > 0 {
			t.Errorf("HostName(%q, %q) = %q: %v", nsA, nameA, a, errs)
		}
		same := idA == idB && nsA == nsB && nameA == nameB
		if (a == b) != same {
			t.Errorf("(%q,%q,%q) gives %q, (%q,%q,%q) gives %q", idA, nsA, nameA, a, idB, nsB, nameB, b)
		}
	})
}

func TestKey(t *testing.T) {
	long := strings.Repeat(strings.Repeat("d", 59)+".", 4) + "org"
	tests := []struct{ key, want string }{
		{"app", "tenant.garret.dev/app"},
		{"app.kubernetes.io/name", "app.kubernetes.io.tenant.garret.dev/name"},
		{"garret.dev/cluster", "garret.dev.tenant.garret.dev/cluster"},
		{"tenant.garret.dev/app", "tenant.garret.dev.tenant.garret.dev/app"},
		{long + "/app", digest(long) + ".long.garret.dev/app"},
	}
	seen := map[string]string{}
	for _, test := range tests {
		got := Key(test.key)
		if got != test.want {
			t.Errorf("Key(%q) = %q, want %q", test.key, got, test.want)
		}
		if errs := validation.IsQualifiedName(got); len(errs) > 0 {
			t.Errorf("Key(%q) = %q: %v", test.key, got, errs)
		}
		if !tenancyv1.IsOwnKey(got) {
			t.Errorf("Key(%q) = %q is not in the syncer's domains", test.key, got)
		}
		if other, found := seen[got]; found {
			t.Errorf("%q and %q have the one key %q", test.key, other, got)
		}
		seen[got] = test.key
	}
}

func TestHostLabelsMatchNoHostSelector(t *testing.T) {
	got := translator("c1").HostLabels("shop", map[string]string{
		"app": "web", tenancyv1.LabelCluster: "c2", tenancyv1.LabelVirtualNamespace: "other"})
	want := map[string]string{
		"tenant.garret.dev/app":                          "web",
		"garret.dev.tenant.garret.dev/cluster":           "c2",
		"garret.dev.tenant.garret.dev/virtual-namespace": "other",
		tenancyv1.LabelCluster:                           "c1",
		tenancyv1.LabelVirtualNamespace:                  "shop",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHostLabelSelector(t *testing.T) {
	expression := func(key string, operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
	}
	app := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	tests := []struct {
		name       string
		selector   *metav1.LabelSelector
		namespaces []string
		cluster    string
		namespace  string
		labels     map[string]string
		want       bool
	}{
		{"same namespace", app, []string{"a"}, "c1", "a", map[string]string{"app": "web"}, true},
		{"other value", app, []string{"a"}, "c1", "a", map[string]string{"app": "db"}, false},
		{"other namespace", app, []string{"a"}, "c1", "b", map[string]string{"app": "web"}, false},
		{"other cluster", app, []string{"a"}, "c2", "a", map[string]string{"app": "web"}, false},
		{"one of two namespaces", app, []string{"a", "b"}, "c1", "b", map[string]string{"app": "web"}, true},
		{"none of two namespaces", app, []string{"a", "b"}, "c1", "c", map[string]string{"app": "web"}, false},
		{"all namespaces", app, nil, "c1", "c", map[string]string{"app": "web"}, true},
		{"all namespaces, other cluster", app, nil, "c2", "c", map[string]string{"app": "web"}, false},
		{"no namespace", app, []string{}, "c1", "a", map[string]string{"app": "web"}, false},
		{"nil matches nothing", nil, nil, "c1", "a", nil, false},
		{"empty matches everything", &metav1.LabelSelector{}, []string{"a"}, "c1", "a", nil, true},
		{"empty stays in its cluster", &metav1.LabelSelector{}, []string{"a"}, "c2", "a", nil, false},
		{"not in", expression("app", metav1.LabelSelectorOpNotIn, "db"), []string{"a"}, "c1", "a", map[string]string{"app": "web"}, true},
		{"does not exist", expression("app", metav1.LabelSelectorOpDoesNotExist), []string{"a"}, "c1", "a", map[string]string{"app": "web"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			selector, err := metav1.LabelSelectorAsSelector(translator("c1").HostLabelSelector(test.selector, test.namespaces))
			if err != nil {
				t.Fatal(err)
			}
			host := translator(test.cluster).HostLabels(test.namespace, test.labels)
			if got := selector.Matches(labels.Set(host)); got != test.want {
				t.Errorf("%v matches %v: got %v, want %v", selector, host, got, test.want)
			}
		})
	}
}

func TestMark(t *testing.T) {
	tr := translator("c1")
	virtual := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", UID: "u1"}}
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Labels:      map[string]string{"by-host": "kept", Key("gone"): "x"},
		Annotations: map[string]string{"example.org/by-host": "kept", Key("gone"): "x", tenancyv1.AnnotationVirtualUID: "u0"},
	}}
	// As an earlier syncer left it.
	host.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: "vc-demo", UID: "service"}}
	tr.Mark(host, IdentityFor(virtual), map[string]string{"app": "web"}, map[string]string{Key("note"): "n"})

	if host.Namespace != "team" || host.Name != tr.HostName("a", "web") {
		t.Errorf("got %s/%s, want team/%s", host.Namespace, host.Name, tr.HostName("a", "web"))
	}
	wantLabels := map[string]string{"by-host": "kept", Key("app"): "web", tenancyv1.LabelCluster: "c1", tenancyv1.LabelVirtualNamespace: "a"}
	if fmt.Sprint(host.Labels) != fmt.Sprint(wantLabels) {
		t.Errorf("labels: got %v, want %v", host.Labels, wantLabels)
	}
	wantAnnotations := map[string]string{"example.org/by-host": "kept", Key("note"): "n",
		tenancyv1.AnnotationVirtualName: "web", tenancyv1.AnnotationVirtualNamespace: "a", tenancyv1.AnnotationVirtualUID: "u1"}
	if fmt.Sprint(host.Annotations) != fmt.Sprint(wantAnnotations) {
		t.Errorf("annotations: got %v, want %v", host.Annotations, wantAnnotations)
	}
	if len(host.OwnerReferences) > 0 {
		t.Errorf("owners: got %v, want none that the object could be collected with", host.OwnerReferences)
	}
	identity, ours := tr.IdentityOf(host)
	if want := IdentityFor(virtual); !ours || identity != want {
		t.Errorf("identity: got %v (%v), want %v", identity, ours, want)
	}
	for what, stranger := range map[string]*Translator{
		"another cluster":   translator("c2"),
		"another namespace": New(Cluster{ID: "c1", HostNamespace: "elsewhere"}),
	} {
		if stranger.IsOurs(host) {
			t.Errorf("%s takes the object for its own", what)
		}
	}
}

// TestPass wants what is passed to come and go by itself, and what the host added to stay.
func TestPass(t *testing.T) {
	tr := translator("c1")
	virtual := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", UID: "u1"}}
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"by-host": "kept"}, Annotations: map[string]string{"by-host": "kept"}}}
	for _, test := range []struct{ labels, annotations, want map[string]string }{
		{map[string]string{"example.org/team": "a"}, map[string]string{"example.org/size": "1", "example.org/old": "x"}, map[string]string{"example.org/size": "1", "example.org/old": "x"}},
		{nil, map[string]string{"example.org/size": "2", tenancyv1.AnnotationVirtualUID: "forged"}, map[string]string{"example.org/size": "2"}},
		{nil, nil, nil},
	} {
		Pass(host, test.labels, test.annotations)
		tr.Mark(host, IdentityFor(virtual), nil, nil)
		got := maps.Clone(host.Annotations)
		maps.DeleteFunc(got, func(key, _ string) bool { return tenancyv1.IsOwnKey(key) || key == "by-host" })
		if !maps.Equal(got, test.want) || host.Annotations["by-host"] != "kept" || host.Labels["by-host"] != "kept" || host.Labels["example.org/team"] != test.labels["example.org/team"] {
			t.Errorf("annotations: got %v, want %v; labels: got %v, want %v", host.Annotations, test.want, host.Labels, test.labels)
		}
		if identity, _ := tr.IdentityOf(host); identity.UID != "u1" {
			t.Errorf("got the identity %v, want the object's own", identity)
		}
	}
}

// TestIsOurs judges by the table that the controller's teardown is held to, too.
func TestIsOurs(t *testing.T) {
	tr := New(Cluster{ID: syncedtest.ID, HostNamespace: syncedtest.Namespace})
	for _, row := range syncedtest.Table() {
		_, identified := tr.IdentityOf(&row.Object)
		if got := tr.IsOurs(&row.Object); got != row.Ours || identified != row.Ours {
			t.Errorf("%s: ours %t, identified %t, want %t", row.What, got, identified, row.Ours)
		}
	}
}

func TestControl(t *testing.T) {
	tr := translator("c1")
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Other", Name: "other", UID: "other"}}}}
	for range 2 {
		tr.Control(host)
	}
	owner := metav1.GetControllerOf(host)
	if len(host.OwnerReferences) != 2 || owner == nil || owner.Kind != "Namespace" || owner.Name != "team" || owner.UID != "namespace" {
		t.Errorf("owners: got %v, want the other and, once, the namespace as controller", host.OwnerReferences)
	}
}

// TestControlledAlready wants the object to keep the controller that it has on the host:
// with two, the host would refuse every further change.
func TestControlledAlready(t *testing.T) {
	yes := true
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Other", Name: "other", UID: "other", Controller: &yes}}}}
	translator("c1").Control(host)
	if len(host.OwnerReferences) != 1 {
		t.Errorf("owners: got %v, want the one that was there", host.OwnerReferences)
	}
}

func TestReadable(t *testing.T) {
	tr := translator("c1")
	web, settings := tr.HostName("shop", "web"), tr.HostName("shop", "settings")
	said := `pods "` + web + `" is forbidden: team/` + settings + " and " + web + "_team are too many"
	want := `pods "web" is forbidden: shop/settings and web_shop are too many`
	if got := tr.Readable("shop", "web", "", "settings").Replace(said); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTenantLabels wants to get back what Key translated, and nothing else.
func TestTenantLabels(t *testing.T) {
	labels := map[string]string{"app": "web", "example.org/tier": "front", "garret.dev/cluster": "mine"}
	translator := New(Cluster{ID: "c"})
	host := translator.HostLabels("shop", labels)
	host["added.on.the/host"] = "x"
	if got := TenantLabels(host); !maps.Equal(got, labels) {
		t.Errorf("got %v, want %v", got, labels)
	}
}
