// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/isolation"
)

func TestImageRules(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	rules := podRules{tenancyv1.PodRules{Images: []tenancyv1.ImageRule{
		{From: "docker.io", To: "mirror.example.org/hub"}, {From: "docker.io/library", To: "mirror.example.org:5000/official"}, {From: "registry:5000/a", To: "registry:5000/b"},
	}}}
	for image, want := range map[string]string{
		"nginx":                                "mirror.example.org:5000/official/nginx",
		"nginx:1.27":                           "mirror.example.org:5000/official/nginx:1.27",
		"library/nginx" + digest:               "mirror.example.org:5000/official/nginx" + digest,
		"docker.io/library/nginx:1" + digest:   "mirror.example.org:5000/official/nginx:1" + digest,
		"index.docker.io/library/nginx":        "mirror.example.org:5000/official/nginx",
		"team/app:2":                           "mirror.example.org/hub/team/app:2",
		"libraryx/app":                         "mirror.example.org/hub/libraryx/app",
		"quay.io/team/app:2":                   "quay.io/team/app:2",
		"docker.io.example.org/library/x":      "docker.io.example.org/library/x",
		"registry:5000/a/app":                  "registry:5000/b/app",
		"registry:5000/a:1":                    "registry:5000/b:1",
		"registry:5000/ab":                     "registry:5000/ab",
		"Not a name":                           "Not a name",
		"mirror.example.org/hub/docker.io/app": "mirror.example.org/hub/docker.io/app",
	} {
		if got := rules.image(image); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

// TestRulesForAllPods wants a host pod to have what the rules say, and what the pod asks for besides.
func TestRulesForAllPods(t *testing.T) {
	rules := podRules{tenancyv1.PodRules{
		Images: []tenancyv1.ImageRule{{From: "docker.io", To: "mirror.example.org"}}, NodeSelector: map[string]string{"pool": "gold"},
		Tolerations: []corev1.Toleration{{Key: "pool", Operator: corev1.TolerationOpExists}}, RuntimeClassName: "sandboxed",
	}}
	translator := testTranslator()
	p := podTranslator{translator, scheduling{translator, nil}, HostsFile{Image: "syncer:1"}, isolation.Exceptions{}, rules}
	pod := func(change func(*corev1.PodSpec)) *corev1.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-0"}, Spec: corev1.PodSpec{
			Hostname: "db-0", Subdomain: "db", RuntimeClassName: ptr.To("fast"), NodeSelector: map[string]string{"disk": "ssd"},
			Containers:          []corev1.Container{{Name: "app", Image: "nginx"}},
			InitContainers:      []corev1.Container{{Name: "first", Image: "busybox"}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox:1"}}},
			Volumes:             []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "team/data"}}}},
		}}
		change(&pod.Spec)
		return pod
	}
	virtual := pod(func(*corev1.PodSpec) {})
	host, err := p.spec(virtual, podInputs{nodes: nodeRules{selector: rules.NodeSelector, tolerations: rules.Tolerations}})
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	forEachLasting(host, func(container *corev1.Container) { images = append(images, container.Image) })
	images = append(images, host.Volumes[0].Image.Reference, p.ephemeralContainer(virtual, &virtual.Spec.EphemeralContainers[0], environmentNames{}).Image)
	slices.Sort(images)
	if want := []string{"mirror.example.org/library/busybox", "mirror.example.org/library/busybox:1", "mirror.example.org/library/nginx", "mirror.example.org/team/data", "syncer:1"}; !slices.Equal(images, want) {
		t.Errorf("images: got %q, want %q, the syncer's own from where it was", images, want)
	}
	if host.NodeSelector["pool"] != "gold" || host.NodeSelector["disk"] != "ssd" || len(host.Tolerations) != 1 || *host.RuntimeClassName != "sandboxed" {
		t.Errorf("got selector %v, tolerations %v, class %q, want those of the rules, and the pod's own disk", host.NodeSelector, host.Tolerations, *host.RuntimeClassName)
	}

	elsewhere := pod(func(spec *corev1.PodSpec) { spec.NodeSelector["pool"] = "silver" })
	_, err = p.spec(elsewhere, podInputs{nodes: nodeRules{selector: rules.NodeSelector}})
	if err == nil || !strings.Contains(err.Error(), "spec.nodeSelector[pool]") {
		t.Errorf("a pod that asks for other nodes: got %v, want a refusal", err)
	}
	// A label that a tenant gives to a node inside does not lead out of the pool.
	labelled := nodeRules{labels: map[string]map[string]string{"n1": {"pool": "silver"}}, selector: rules.NodeSelector}
	host, err = p.spec(elsewhere, podInputs{nodes: labelled})
	if err != nil || host.NodeSelector["pool"] != "gold" {
		t.Errorf("with a label of the tenant's own: got selector %v, %v, want that of the rules", host.NodeSelector, err)
	}
	if labelled.hash() == (nodeRules{labels: labelled.labels}).hash() {
		t.Error("pods that wait are not made again when a rule comes")
	}
}

// TestMetadataOfAllPods has labels and annotations of rules stand before the tenant's.
func TestMetadataOfAllPods(t *testing.T) {
	marker := Marker{Translator: testTranslator(), Metadata: isolation.Metadata{AllowedLabels: []string{"example.org/*"}, AllowedAnnotations: []string{"example.org/*"}},
		rules: podRules{tenancyv1.PodRules{Labels: map[string]string{"example.org/account": "host"}, Annotations: map[string]string{"example.org/account": "host", "example.org/note": "$(POD_IP)"}}}}
	said := map[string]string{"example.org/account": "tenant", "example.org/other": "tenant"}
	virtual := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Labels: said, Annotations: said}}
	host := &corev1.Pod{}
	marker.mark(tenancyv1.ResourcePods, virtual, host, nil)
	for what, values := range map[string]map[string]string{"labels": host.Labels, "annotations": host.Annotations} {
		if values["example.org/account"] != "host" || values["example.org/other"] != "tenant" {
			t.Errorf("%s: got %v, want the account of the rules, and the tenant's other one", what, values)
		}
	}
	if host.Annotations["example.org/note"] != "$(POD_IP)" || said["example.org/account"] != "tenant" {
		t.Errorf("got note %q and %v inside", host.Annotations["example.org/note"], said)
	}
	marker.rules = podRules{}
	virtual.Labels, virtual.Annotations = nil, nil
	marker.mark(tenancyv1.ResourcePods, virtual, host, nil)
	if host.Labels["example.org/account"] != "" || host.Annotations["example.org/account"] != "" {
		t.Errorf("without rules: got %v, %v, want them gone", host.Labels, host.Annotations)
	}
	service := &corev1.Service{}
	marker.rules.Labels = map[string]string{"example.org/account": "host"}
	marker.mark(tenancyv1.ResourceServices, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}, service, nil)
	if service.Labels["example.org/account"] != "" {
		t.Error("a service has a label that is for pods")
	}
}

func TestPriorityRules(t *testing.T) {
	p := &pods{spec: podTranslator{rules: podRules{tenancyv1.PodRules{PriorityClasses: []tenancyv1.PriorityClassRule{{Name: "high", Host: "tenants-high"}, {Name: "system-cluster-critical", Host: "tenants-high"}}}}}}
	if got := p.priorityClass("shown"); got != "" {
		t.Errorf("a class without a rule: got %q on the host, want none", got)
	}
	p.hostPriority = func(name string) bool { return name == "shown" || name == "high" }
	for inside, want := range map[string]string{"high": "tenants-high", "system-cluster-critical": "tenants-high", "shown": "shown", "own": "", "": ""} {
		if got := p.priorityClass(inside); got != want {
			t.Errorf("%q: got %q on the host, want %q", inside, got, want)
		}
	}
}
