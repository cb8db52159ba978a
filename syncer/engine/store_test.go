// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestOnlyWhatIsFollowedRuns makes two stores and follows one.
func TestOnlyWhatIsFollowedRuns(t *testing.T) {
	client := fake.NewClientset()
	informers := NewInformers(client)
	pods := NewStore(informers, corev1.SchemeGroupVersion.WithResource("pods"), client.CoreV1().Pods, StoreOptions{})
	nodes := NewStore(informers, corev1.SchemeGroupVersion.WithResource("nodes"), Cluster(client.CoreV1().Nodes), StoreOptions{})
	pods.Follow()
	if pods.Informer() != informers.Followed()[0] || len(informers.Followed()) != 1 || informers.Resources()[0].Resource != "pods" {
		t.Errorf("followed: got %v, want pods once", informers.Resources())
	}
	if _, found := pods.Get("a", "b"); found || pods.New().Name != "" {
		t.Error("an empty store is not empty")
	}
	defer func() {
		if recover() == nil {
			t.Error("a store that nobody fills says that there is nothing")
		}
	}()
	nodes.Get("", "a")
}
