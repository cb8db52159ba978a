// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release tests releases of the embedded chart, and the controller that
// makes them, on a real API server with real controllers and a real
// garret-apiserver. There is no kubelet: the tests play it.
package release

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

// host is what all tests of the package share.
type host struct {
	plane   *framework.ControlPlane
	config  *rest.Config
	kube    *kubernetes.Clientset
	tenancy *tenancyclient.Clientset
}

var shared host

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "rel", setUp)) }

// setUp brings up both servers.
func setUp(stage *framework.Stage) error {
	plane, err := stage.StartControlPlane("host", framework.WithoutNodes, aggregation.HostFlag)
	if err != nil {
		return err
	}
	contents, _ := tenancyv1.CataloguedKind(tenancyv1.OwnSnapshotContents)
	if err := plane.ServeClusterWide(context.Background(), contents.GroupVersionResource(), "VolumeSnapshotContent"); err != nil {
		return err
	}
	garret, err := aggregation.Start(stage, plane)
	if err != nil {
		return err
	}
	shared = host{plane, plane.Config, plane.Client, garret.Clients}
	// The host's collector of pods deletes those of a node that it does not find.
	_, err = plane.Client.CoreV1().Nodes().Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: slowNode}}, metav1.CreateOptions{})
	return err
}

// namespace makes one for a test and deletes it afterwards.
func namespace(t *testing.T) string {
	t.Helper()
	name := shared.plane.NewNamespace(t, "t-")
	t.Cleanup(func() {
		_ = shared.kube.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	return name
}
