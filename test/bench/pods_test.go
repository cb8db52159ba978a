// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

const (
	podsNamespace = "bench-pods"
	podsAtOnce    = 30
)

// BenchmarkPods measures the seconds from the create of a Deployment of thirty pods
// until all are ready, on the host and in a virtual cluster, in turns.
func BenchmarkPods(b *testing.B) {
	shared.Namespace(b, podsNamespace)
	shared.VirtualCluster(b, podsNamespace, "demo")
	inside := shared.ThroughRelay(b, shared.Kubeconfig, podsNamespace, "demo")
	host := shared.Admin()
	host.Do(b, "create", "namespace", "bench-bare")
	// The first pods of either find caches cold.
	for range 2 {
		deploy(b, host, "bench-bare", 1)
		deploy(b, inside, "default", 1)
	}
	for range b.N {
		var bare, virtual []time.Duration
		for range 3 {
			bare = append(bare, deploy(b, host, "bench-bare", podsAtOnce))
			virtual = append(virtual, deploy(b, inside, "default", podsAtOnce))
		}
		b.ReportMetric(median(bare).Seconds(), "bare-30-s")
		b.ReportMetric(median(virtual).Seconds(), "virtual-30-s")
		b.ReportMetric(median(virtual).Seconds()/median(bare).Seconds(), "virtual/bare")
	}
}

func median(of []time.Duration) time.Duration {
	return max(min(of[0], of[1]), min(max(of[0], of[1]), of[2]))
}

// deploy is how long the pods of a Deployment take to be ready. It is taken away again.
func deploy(b *testing.B, cluster framework.Client, namespace string, replicas int32) time.Duration {
	b.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	apps := kubernetes.NewForConfigOrDie(config).AppsV1().Deployments(namespace)
	labels := map[string]string{"app": "many"}
	start := time.Now()
	made, err := apps.Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "many-"},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				TerminationGracePeriodSeconds: ptr.To[int64](1),
				Containers:                    []corev1.Container{{Name: "pause", Image: "registry.k8s.io/pause:3.10"}}}}},
	}, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	err = wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		found, err := apps.Get(ctx, made.Name, metav1.GetOptions{})
		return err == nil && found.Status.ReadyReplicas == replicas, err
	})
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	cluster.Do(b, "delete", "deployment", made.Name, "-n", namespace, "--cascade=foreground", "--timeout=120s")
	framework.Eventually(b, fmt.Sprint("the pods of ", made.Name, " are gone"), func(ctx context.Context) (bool, error) {
		pods, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=many"})
		return err == nil && len(pods.Items) == 0, nil
	})
	return took
}
