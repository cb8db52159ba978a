// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

func read[T any](t *testing.T, text string) *T {
	t.Helper()
	object := new(T)
	if err := json.Unmarshal([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// pods are a Look of a pod: inside, asked for, and on the host.
func pods(t *testing.T, inside, asked, host string) *engine.Look {
	same := func(message string) string { return message }
	look := &engine.Look{Resource: corev1.SchemeGroupVersion.WithResource("pods"), Virtual: read[corev1.Pod](t, inside), Readable: same,
		HostKey: types.NamespacedName{Namespace: "team", Name: "web-shop-0"}}
	if asked != "" {
		look.Asked = read[corev1.Pod](t, asked)
	}
	if host != "" {
		look.Host, look.Next = read[corev1.Pod](t, host), read[corev1.Pod](t, host)
	}
	return look
}

// verdicts are the fields in short, as "verdict inside → host".
func verdicts(explanation *v1alpha1.Explanation) map[string]string {
	all := map[string]string{}
	for _, field := range explanation.Fields {
		path := field.Field
		if field.HostField != "" {
			path += " = " + field.HostField
		}
		all[path] = strings.TrimSpace(string(field.Verdict) + " " + field.Inside + " → " + field.Host)
	}
	return all
}

func TestVerdicts(t *testing.T) {
	one := `{"spec":{"containers":[{"name":"app","image":"busybox:1"}]}}`
	for _, test := range []struct {
		name                string
		inside, asked, host string
		change              func(*engine.Look)
		want                map[string]string
		state               v1alpha1.State
	}{
		{name: "copied", inside: one, asked: one, host: one, state: v1alpha1.OnHost, want: map[string]string{
			"spec.containers[app].name": "Copied app → app", "spec.containers[app].image": "Copied busybox:1 → busybox:1"}},
		{name: "translated, added, dropped and reported",
			inside: `{"metadata":{"name":"web","labels":{"app":"web"},"annotations":{"note":"x"}},"spec":{"serviceAccountName":"web","priorityClassName":"high","nodeName":"n1"}}`,
			asked:  `{"metadata":{"name":"web-shop-0","labels":{"` + translate.Key("app") + `":"web"},"annotations":{"garret.dev/virtual-name":"web"}},"spec":{"serviceAccountName":"vc-demo"}}`,
			host:   `{"metadata":{"name":"web-shop-0","labels":{"` + translate.Key("app") + `":"web"},"annotations":{"garret.dev/virtual-name":"web"}},"spec":{"serviceAccountName":"vc-demo","nodeName":"n1"}}`,
			state:  v1alpha1.OnHost,
			want: map[string]string{
				"metadata.name": "Translated web → web-shop-0",
				"metadata.labels[app] = metadata.labels[" + translate.Key("app") + "]": "Translated web → web",
				"metadata.annotations[note]":                    "Dropped x →",
				"metadata.annotations[garret.dev/virtual-name]": "Added  → web",
				"spec.serviceAccountName":                       "Translated web → vc-demo",
				"spec.priorityClassName":                        "Dropped high →",
				"spec.nodeName":                                 "Reported n1 → n1",
			}},
		{name: "what only the host wrote is hidden, but for numbers, switches and quantities",
			inside: one, asked: one,
			host: `{"metadata":{"annotations":{"mesh.other-tenant.example/token":"s3cret"}},"spec":{"schedulerName":"other-tenant","hostNetwork":true,"containers":[{"name":"app","image":"busybox:1",
				"imagePullPolicy":"Never","resources":{"limits":{"cpu":"2"}},"env":[{"name":"OTHER_TENANT","value":"s3cret"}]},{"name":"injected-other-tenant","image":"other-tenant/secret"}]}}`,
			state: v1alpha1.OnHost,
			want: map[string]string{
				"spec.containers[app].name": "Copied app → app", "spec.containers[app].image": "Copied busybox:1 → busybox:1",
				"metadata.annotations": "ChangedByHost  → 1 more", "spec.schedulerName": "ChangedByHost  → (hidden)", "spec.hostNetwork": "ChangedByHost  → true",
				"spec.containers[app].imagePullPolicy": "ChangedByHost  → (hidden)", "spec.containers[app].resources.limits": "ChangedByHost  → 1 more",
				"spec.containers[app].env": "ChangedByHost  → 1 more", "spec.containers": "ChangedByHost  → 1 more",
			}},
		{name: "a quantity that the host changed",
			inside: `{"spec":{"containers":[{"name":"app","resources":{"limits":{"cpu":"1"}}}]}}`, asked: `{"spec":{"containers":[{"name":"app","resources":{"limits":{"cpu":"1"}}}]}}`,
			host: `{"spec":{"containers":[{"name":"app","resources":{"limits":{"cpu":"2"}}}]}}`, state: v1alpha1.OnHost,
			want: map[string]string{"spec.containers[app].name": "Copied app → app", "spec.containers[app].resources.limits[cpu]": "ChangedByHost 1 → 2"}},
		{name: "an answer of the host's admission stays", inside: one, asked: one,
			host: `{"spec":{"containers":[{"name":"app","image":"mirror.example/busybox:1"}]}}`, state: v1alpha1.OnHost,
			change: func(look *engine.Look) {
				look.Next, look.Answered = look.Asked, []string{"spec.containers"}
			},
			want: map[string]string{"spec.containers[app].name": "Copied app → app", "spec.containers[app].image": "ChangedByHost busybox:1 → (hidden)"}},
		{name: "a change that is yet to come", inside: `{"spec":{"activeDeadlineSeconds":5}}`, asked: `{"spec":{"activeDeadlineSeconds":5}}`, host: `{"spec":{"activeDeadlineSeconds":9}}`,
			change: func(look *engine.Look) { look.Next = look.Asked }, state: v1alpha1.Differs,
			want: map[string]string{"spec.activeDeadlineSeconds": "NotCarried 5 → 9"}},
		{name: "a change that the host refuses", inside: one, asked: one, host: one, state: v1alpha1.Differs,
			change: func(look *engine.Look) {
				look.Told = []engine.Told{{Reason: "HostRefused", Message: "no"}}
			},
			want: map[string]string{"spec.containers[app].name": "Copied app → app", "spec.containers[app].image": "Copied busybox:1 → busybox:1"}},
		{name: "what would be asked for is not known", inside: one, host: `{"spec":{"containers":[{"name":"app","image":"other"}]}}`, state: v1alpha1.Differs,
			change: func(look *engine.Look) { look.Told = []engine.Told{{Reason: "Waiting"}} },
			want:   map[string]string{"spec.containers[app].name": "Reported app → app", "spec.containers[app].image": "Unknown busybox:1 → (hidden)"}},
		{name: "refused", inside: one, state: v1alpha1.Refused,
			change: func(look *engine.Look) {
				look.Told = []engine.Told{{Reason: "Forbidden", Message: "no", Fields: []engine.RefusedField{{Path: "spec.resourceClaims", Why: "no"}}}}
			},
			want: map[string]string{"spec.resourceClaims": "Refused  →"}},
		{name: "waits", inside: one, asked: one, state: v1alpha1.Pending, change: func(look *engine.Look) { look.Told = []engine.Told{{Reason: engine.ReasonWaiting}} }, want: map[string]string{}},
		{name: "stays inside", inside: one, state: v1alpha1.Inside, change: func(look *engine.Look) { look.Unwanted = "it does" }, want: map[string]string{}},
		{name: "sources of an environment, before which the syncer puts its own",
			inside: `{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"mine"}}]}]}}`,
			asked:  `{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"env"}},{"configMapRef":{"name":"mine-0"}}]}]}}`,
			host:   `{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"env"}},{"configMapRef":{"name":"mine-0"}}]}]}}`, state: v1alpha1.OnHost,
			want: map[string]string{"spec.containers[app].name": "Copied app → app", "spec.containers[app].envFrom[0].configMapRef.name": "Added  → env",
				"spec.containers[app].envFrom[0].configMapRef.name = spec.containers[app].envFrom[1].configMapRef.name": "Translated mine → mine-0"}},
		{name: "an empty volume is one", inside: `{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}`, asked: `{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}`, host: `{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}`,
			state: v1alpha1.OnHost, want: map[string]string{"spec.volumes[v].name": "Copied v → v", "spec.volumes[v].emptyDir": "Copied {} → {}"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			look := pods(t, test.inside, test.asked, test.host)
			if test.change != nil {
				test.change(look)
			}
			explanation, err := Of(look)
			if err != nil {
				t.Fatal(err)
			}
			if got := verdicts(explanation); !maps.Equal(got, test.want) {
				t.Errorf("got %v\nwant %v", got, test.want)
			}
			if explanation.State != test.state {
				t.Errorf("state: got %s, want %s", explanation.State, test.state)
			}
			told, err := json.Marshal(explanation)
			if err != nil || strings.Contains(string(told), "s3cret") || strings.Contains(string(told), "other-tenant") {
				t.Errorf("got %s, %v: it names what only the host wrote", told, err)
			}
		})
	}
}

// TestWhy wants the reason of the tables of isolation, for what they decide.
func TestWhy(t *testing.T) {
	explanation, err := Of(pods(t, `{"spec":{"priorityClassName":"high","serviceAccountName":"web"}}`, `{"spec":{"serviceAccountName":"vc-demo"}}`, `{"spec":{"serviceAccountName":"vc-demo"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range explanation.Fields {
		want := map[string]string{"spec.priorityClassName": "priorities inside order the pods inside", "spec.serviceAccountName": "the release's ServiceAccount"}[field.Field]
		if want == "" || !strings.HasPrefix(field.Why, want) {
			t.Errorf("%s: got %q, want %q", field.Field, field.Why, want)
		}
	}
}

// TestSecretsAreHidden wants no data and no annotation of a Secret to be told.
func TestSecretsAreHidden(t *testing.T) {
	inside := read[corev1.Secret](t, `{"metadata":{"name":"db","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"s3cret"}},"data":{"password":"czNjcmV0","empty":""},"type":"Opaque"}`)
	host := inside.DeepCopy()
	host.Name, host.Annotations = "db-shop-0", map[string]string{"garret.dev/virtual-name": "s3cret"}
	explanation, err := Of(&engine.Look{Resource: corev1.SchemeGroupVersion.WithResource("secrets"), Virtual: inside, Asked: host, Next: host, Host: host,
		HostKey: types.NamespacedName{Name: host.Name}, Readable: func(message string) string { return message }})
	if err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(explanation)
	if err != nil || strings.Contains(string(told), "s3cret") || strings.Contains(string(told), "czNjcmV0") {
		t.Errorf("got %s, %v: it tells a secret", told, err)
	}
	if got := verdicts(explanation); got["data[password]"] != "Copied (hidden) → (hidden)" || got["type"] != "Copied Opaque → Opaque" {
		t.Errorf("got %v, want the keys and the verdicts", got)
	}
}

// TestFromHost wants the verdicts of what is shown of the host.
func TestFromHost(t *testing.T) {
	class := func(text string) *storagev1.StorageClass { return read[storagev1.StorageClass](t, text) }
	inside := class(`{"metadata":{"name":"fast","labels":{"garret.dev/cluster":"one","mine":"yes"}},"provisioner":"csi"}`)
	explanation, err := Of(&engine.Look{
		Resource: storagev1.SchemeGroupVersion.WithResource("storageclasses"), FromHost: true, Virtual: inside, Next: inside.DeepCopy(), HostKey: types.NamespacedName{Name: "fast"},
		Asked: class(`{"metadata":{"name":"fast","labels":{"garret.dev/cluster":"one"}},"provisioner":"csi"}`),
		Host:  class(`{"metadata":{"name":"fast","labels":{"other-tenant":"x"}},"provisioner":"csi","parameters":{"secretName":"other-tenant"},"volumeBindingMode":"other-tenant"}`),
		Told:  nil, Readable: func(message string) string { return message },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"metadata.name": "Copied fast → fast", "provisioner": "Copied csi → csi", "volumeBindingMode": "Dropped  → (hidden)", "parameters": "Dropped  → 1 more",
		"metadata.labels": "Dropped  → 1 more", "metadata.labels[garret.dev/cluster]": "Added one →", "metadata.labels[mine]": "Kept yes →",
	}
	if got := verdicts(explanation); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if explanation.State != v1alpha1.OnHost || explanation.Direction != v1alpha1.FromHost {
		t.Errorf("got %s %s, want it shown of the host", explanation.State, explanation.Direction)
	}
}

// TestConditions wants those of both sides, the host's in the tenant's words.
func TestConditions(t *testing.T) {
	look := pods(t, `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, `{}`, `{"status":{"conditions":[{"type":"Ready","status":"True","message":"web-shop-0 runs"}]}}`)
	look.Readable = func(message string) string { return strings.ReplaceAll(message, "web-shop-0", "web") }
	explanation, err := Of(look)
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.Condition{{Side: v1alpha1.SideInside, Type: "Ready", Status: "False"}, {Side: v1alpha1.SideHost, Type: "Ready", Status: "True", Message: "web runs"}}
	if !slices.Equal(explanation.Conditions, want) {
		t.Errorf("got %v, want %v", explanation.Conditions, want)
	}
}
