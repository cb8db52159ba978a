// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestHostNodes has a node of the host get devices and go. The status of a virtual cluster
// tells the name of the resource meanwhile.
func TestHostNodes(t *testing.T) {
	t.Parallel()
	const card, other = "vendor.example/card", "vendor.example/other"
	v := newTenant(t)
	v.create(func(*tenancyv1.VirtualCluster) {})
	await := func(what string, want bool, name string) {
		t.Helper()
		framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
			vc, err := v.get(ctx)
			return err == nil && vc.Status.HostNodes != nil && slices.Contains(vc.Status.HostNodes.Resources, name) == want, err
		})
	}
	await("the host has no such devices", false, card)
	nodes := shared.kube.CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "cards-"}, Status: corev1.NodeStatus{
		Capacity: corev1.ResourceList{card: resource.MustParse("2"), corev1.ResourceCPU: resource.MustParse("1")}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deleted := false
	t.Cleanup(func() {
		if !deleted {
			_ = nodes.Delete(context.Background(), node.Name, metav1.DeleteOptions{})
		}
	})
	await("the status names the devices", true, card)
	node.Status.Capacity[other] = resource.MustParse("1")
	if _, err := nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await("the status names other devices, too", true, other)
	if err := nodes.Delete(t.Context(), node.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	deleted = true
	await("they are gone with the node", false, card)
}
