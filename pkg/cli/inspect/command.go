// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inspect holds the commands that look at a virtual cluster from the host: describe,
// logs, top and debug. They change nothing. They use the user's own rights, leave out what
// these do not open, and say so in the output.
package inspect

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// Commands makes the commands.
type Commands struct {
	// Program is what the user types before the command, as "kubectl garret".
	Program string
	Flags   *host.Flags
	Streams genericiooptions.IOStreams
}

// view is a virtual cluster with clients of its host.
type view struct {
	cluster *host.Cluster
	client  kubernetes.Interface
	object  *tenancyv1.VirtualCluster
}

func (c *Commands) open(ctx context.Context, name string) (*view, error) {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return nil, err
	}
	tenancy, err := cluster.Tenancy()
	if err != nil {
		return nil, err
	}
	client, err := cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	object, err := tenancy.TenancyV1().VirtualClusters(cluster.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, cluster.Explain(err)
	}
	return &view{cluster: cluster, client: client, object: object}, nil
}

// controlPlane are the pods that run the control plane and the syncer.
func (v *view) controlPlane(ctx context.Context) ([]corev1.Pod, error) {
	return v.pods(ctx, tenancyv1.LabelVirtualCluster+"="+v.object.Name)
}

// workloads are the pods on the host that stand for pods inside.
func (v *view) workloads(ctx context.Context) ([]corev1.Pod, error) {
	if v.object.Status.ClusterID == "" {
		return nil, nil
	}
	return v.pods(ctx, tenancyv1.LabelCluster+"="+v.object.Status.ClusterID)
}

func (v *view) pods(ctx context.Context, selector string) ([]corev1.Pod, error) {
	list, err := v.client.CoreV1().Pods(v.object.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// hidden says what is left out for lack of a right, or why it cannot be shown.
func hidden(err error) string {
	if apierrors.IsForbidden(err) {
		return "<you may not see this>"
	}
	return fmt.Sprintf("<unknown: %v>", err)
}
