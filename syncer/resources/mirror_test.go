// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"garret.dev/garret/syncer/engine"
)

// TestMirror has the host show a node, hide it, and leave it alone.
func TestMirror(t *testing.T) {
	taint := []corev1.Taint{{Key: "theirs"}}
	made := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "one"}}
	right := made.DeepCopy()
	right.Labels, right.Status.Phase = map[string]string{"of": "host"}, corev1.NodeRunning
	theirs := made.DeepCopy()
	theirs.Spec.Taints = taint
	tests := []struct {
		name string
		node *corev1.Node
		fate fate
		// shown wants the node to be there as the host says, else as it was.
		shown, gone bool
		writes      int
	}{
		{name: "made, with its status", fate: fate{shown: true}, shown: true, writes: 2},
		{name: "brought up to date", node: theirs, fate: fate{shown: true, again: time.Minute}, shown: true, writes: 2},
		{name: "up to date", node: right, fate: fate{shown: true}, shown: true},
		{name: "kept as it is", node: theirs, fate: fate{kept: true}},
		{name: "removed", node: right, gone: true, writes: 1},
		{name: "not there", gone: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := fake.NewClientset()
			store := engine.NewStore(engine.NewInformers(client), core("nodes"), engine.Cluster(client.CoreV1().Nodes), engine.StoreOptions{})
			store.Follow()
			if test.node != nil {
				if err := client.Tracker().Add(test.node); err != nil {
					t.Fatal(err)
				}
				if err := store.Indexer().Add(test.node); err != nil {
					t.Fatal(err)
				}
			}
			m := &mirror[*corev1.Node]{
				virtual: store,
				fate:    func(types.NamespacedName, *corev1.Node, bool) (fate, error) { return test.fate, nil },
				apply:   func(node *corev1.Node) { node.Labels = map[string]string{"of": "host"} },
				status:  func(node *corev1.Node) { node.Status.Phase = corev1.NodeRunning },
			}
			again, err := m.Reconcile(t.Context(), types.NamespacedName{Name: "one"})
			if err != nil || again != test.fate.again {
				t.Errorf("got another look after %s and %v, want %s", again, err, test.fate.again)
			}
			writes := 0
			for _, action := range client.Actions() {
				if action.GetVerb() != "get" {
					writes++
				}
			}
			if writes != test.writes {
				t.Errorf("got %d writes, want %d", writes, test.writes)
			}
			got, err := client.CoreV1().Nodes().Get(t.Context(), "one", metav1.GetOptions{})
			if apierrors.IsNotFound(err) != test.gone {
				t.Errorf("gone: got %v, want %t", err, test.gone)
			}
			if test.shown && (got.Labels["of"] != "host" || got.Status.Phase != corev1.NodeRunning || test.node == theirs && len(got.Spec.Taints) != 1) {
				t.Errorf("got %+v, want what the host says, and what others set", got)
			}
		})
	}
}
