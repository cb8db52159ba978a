// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/translate"
)

// TestGracePeriodOfOrphans ends host pods that nothing inside stands for any more.
func TestGracePeriodOfOrphans(t *testing.T) {
	p := &pods{translator: translate.New(translate.Cluster{ID: "0123456789", HostNamespace: "team"}), known: lru.New(10)}
	p.known.Add(types.UID("seen"), nil)
	for what, test := range map[string]struct {
		uid   types.UID
		asked *int64
		want  int64
	}{
		"deleted by force":                     {"seen", ptr.To[int64](600), 1},
		"deleted by force, and asks for years": {"seen", ptr.To[int64](31536000), 1},
		"never seen":                           {"unseen", ptr.To[int64](20), 20},
		"never seen, and asks for nothing":     {"unseen", nil, 30},
		"never seen, and asks for years":       {"unseen", ptr.To[int64](31536000), 30},
	} {
		host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p"}, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: test.asked}}
		p.translator.Mark(host, translate.Identity{NamespacedName: types.NamespacedName{Namespace: "default", Name: "p"}, UID: test.uid}, nil, nil)
		if got := p.GracePeriod(host); ptr.Deref(got, -1) != test.want {
			t.Errorf("%s: got %d s, want %d s", what, ptr.Deref(got, -1), test.want)
		}
	}
}
