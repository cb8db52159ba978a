// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/test/integration/framework"
)

// TestReplicasOnEtcd has two processes work on one etcd, as replicas do.
func TestReplicasOnEtcd(t *testing.T) {
	first, second := newProcess(t), newProcess(t)
	clientPort, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	peerPort, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	clientURL, peerURL := fmt.Sprintf("http://127.0.0.1:%d", clientPort), fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	etcd, err := framework.Start(filepath.Join(first.dir, "etcd-log"), "kube", "etcd", "--data-dir="+filepath.Join(first.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+clientURL, "--advertise-client-urls="+clientURL,
		"--listen-peer-urls="+peerURL, "--initial-advertise-peer-urls="+peerURL, "--initial-cluster=default="+peerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.End(os.Kill) })

	first.start(t, "--etcd-servers="+clientURL)
	second.start(t, "--etcd-servers="+clientURL)
	namespace := newNamespace(t)
	made, err := first.client.TenancyV1().VirtualClusters(namespace).Create(t.Context(), named("shared"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := second.client.TenancyV1().VirtualClusters(namespace).Get(t.Context(), "shared", metav1.GetOptions{})
	if err != nil || got.UID != made.UID || got.ResourceVersion != made.ResourceVersion {
		t.Errorf("the second replica: got %v, %v; want what the first one made", got, err)
	}
	list, err := second.client.TenancyV1().VirtualClusters(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("list of the second replica: got %d, %v; want 1, since a list is as consistent as a get", len(list.Items), err)
	}
}
