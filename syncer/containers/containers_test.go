// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod has containers of those names, in lists that a bar parts: init, main, ephemeral.
// An ephemeral one may name its target after a colon.
func pod(names string) *corev1.Pod {
	lists := strings.Split(names, "|")
	pod := &corev1.Pod{}
	for _, name := range strings.Fields(lists[0]) {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: name})
	}
	for _, name := range strings.Fields(lists[1]) {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name})
	}
	for _, name := range strings.Fields(lists[2]) {
		name, target, _ := strings.Cut(name, ":")
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name}, TargetContainerName: target})
	}
	return pod
}

func TestOwn(t *testing.T) {
	for _, test := range []struct {
		name, inside, host string
		// asked is the record, where the host pod has one.
		asked string
		// own are names with their lists, absent names with their reasons.
		own, absent string
	}{
		{name: "the same on both sides", inside: "i|a b|", host: "i|a b|", asked: `{"initContainers":["i"],"containers":["a","b"]}`,
			own: "a:containers b:containers i:initContainers"},
		{name: "a sidecar is added", inside: "|a|", host: "|mesh a|", asked: `{"containers":["a"]}`, own: "a:containers"},
		{name: "a sidecar is added that starts first", inside: "i|a|", host: "mesh i|a|", asked: `{"initContainers":["i"],"containers":["a"]}`,
			own: "a:containers i:initContainers"},
		{name: "a debug container has the name of a sidecar", inside: "|a|mesh", host: "|a mesh|", asked: `{"containers":["a"]}`,
			own: "a:containers", absent: "mesh:NameOccupied"},
		{name: "a debug container has the name of an init container of the host", inside: "|a|mesh", host: "mesh|a|", asked: `{"containers":["a"]}`,
			own: "a:containers", absent: "mesh:NameOccupied"},
		{name: "a debug container has the name of one of the host's", inside: "|a|d", host: "|a|d", asked: `{"containers":["a"]}`,
			own: "a:containers", absent: "d:NameOccupied"},
		{name: "a debug container was asked for", inside: "|a|d", host: "|a|x d", asked: `{"containers":["a"],"ephemeralContainers":["d"]}`,
			own: "a:containers d:ephemeralContainers"},
		{name: "a debug container is yet to be asked for", inside: "|a|d", host: "|a|", asked: `{"containers":["a"]}`, own: "a:containers"},
		{name: "what was asked for is not inside", inside: "|a|", host: "|a|d", asked: `{"containers":["a"],"ephemeralContainers":["d"]}`, own: "a:containers"},
		{name: "the record has another list", inside: "|a|d", host: "|a|d", asked: `{"containers":["a","d"]}`, own: "a:containers", absent: "d:NameOccupied"},
		{name: "inside has a container that was not asked for", inside: "|a mesh|", host: "|a mesh|", asked: `{"containers":["a"]}`,
			own: "a:containers", absent: "mesh:NameOccupied"},
		{name: "the host took a container out", inside: "i|a b|", host: "|a|", asked: `{"initContainers":["i"],"containers":["a","b"]}`,
			own: "a:containers", absent: "i:RemovedByHost b:RemovedByHost"},
		{name: "the host moved a container to another list", inside: "i|a|", host: "|a i|", asked: `{"initContainers":["i"],"containers":["a"]}`,
			own: "a:containers", absent: "i:NameOccupied"},
		{name: "a debug container aims at a container of the host", inside: "i|a|d:i e:a", host: "|a i|", asked: `{"initContainers":["i"],"containers":["a"]}`,
			own: "a:containers", absent: "i:NameOccupied d:RemovedByHost"},
		{name: "a pod of an earlier syncer", inside: "i|a|d", host: "i|a mesh|d", own: "a:containers i:initContainers", absent: "d:NameOccupied"},
		{name: "a spoilt record", inside: "|a|d", host: "|a|d", asked: `{"containers":`, own: "a:containers", absent: "d:NameOccupied"},
		{name: "a record that was emptied", inside: "|a|", host: "|a|", asked: `{}`, absent: "a:NameOccupied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			virtual, host := pod(test.inside), pod(test.host)
			if test.asked != "" {
				host.ObjectMeta = metav1.ObjectMeta{Annotations: map[string]string{Annotation: test.asked}}
			}
			o := OwnOf(virtual, host)
			var own, absent []string
			for _, name := range slices.Sorted(maps.Keys(o.own)) {
				list, _ := o.Find(name)
				own = append(own, name+":"+string(list))
			}
			for _, each := range o.Absent() {
				absent = append(absent, each.Name+":"+each.Reason)
			}
			if got := strings.Join(own, " "); got != test.own {
				t.Errorf("own: got %q, want %q", got, test.own)
			}
			if got := strings.Join(absent, " "); got != test.absent {
				t.Errorf("absent: got %q, want %q", got, test.absent)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	virtual := pod("i|a b|d")
	made := RecordOf(virtual, &corev1.Pod{})
	later := made.With("d").With("d").String()
	if want := `{"containers":["a","b"],"initContainers":["i"]}`; made.String() != want {
		t.Errorf("of a pod that is about to be made: got %s, want %s", made, want)
	}
	if want := `{"containers":["a","b"],"ephemeralContainers":["d"],"initContainers":["i"]}`; later != want {
		t.Errorf("after a debug container: got %s, want %s", later, want)
	}
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{Annotation: later}}}
	if got := RecordOf(pod("|other|"), host).String(); got != later {
		t.Errorf("read again: got %s, want %s, whatever is inside now", got, later)
	}
}

func TestConceal(t *testing.T) {
	own := OwnOf(pod("|app|"), pod("mesh-init|app proxy|"))
	for message, want := range map[string]string{
		"containers with unready status: [app proxy]":                  "containers with unready status: [app (host-container)]",
		"containers with incomplete status: [mesh-init]":               "containers with incomplete status: [(host-container)]",
		"Container proxy was using 5Mi, request is 0. Container app …": "Container (host-container) was using 5Mi, request is 0. Container app …",
		`failed to "StartContainer" for "proxy" with CrashLoopBackOff`: `failed to "StartContainer" for "(host-container)" with CrashLoopBackOff`,
		"back-off restarting container=proxy pod=web":                  "back-off restarting container=(host-container) pod=web",
		"proxy: no such file. Stop proxy.":                             "(host-container): no such file. Stop (host-container).",
		`Back-off pulling image "example.org/proxy:1"`:                 `Back-off pulling image "example.org/proxy:1"`,
		"a my-proxy and a proxy-2":                                     "a my-proxy and a proxy-2",
		"":                                                             "",
	} {
		if got := own.Conceal(message); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := OwnOf(pod("|app|"), pod("|app|")).Conceal("[app]"); got != "[app]" {
		t.Errorf("without containers of the host: got %q, want the message", got)
	}
}

func TestInFieldPath(t *testing.T) {
	for path, want := range map[string]string{
		"spec.containers{app}":            "containers app",
		"spec.initContainers{a-b}":        "initContainers a-b",
		"spec.ephemeralContainers{debug}": "ephemeralContainers debug",
		"":                                " ",
		"spec.nodeName":                   " ",
		"spec.containers[0]":              " ",
	} {
		if list, name, _ := InFieldPath(path); string(list)+" "+name != want {
			t.Errorf("%s: got %s %s, want %s", path, list, name, want)
		}
	}
}
