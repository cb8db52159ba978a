// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// wakeNamespace is where the virtual cluster is that sleeps.
	wakeNamespace = "bench-wake"
	// wakeInterval is how often the host is asked whether a pod is ready.
	wakeInterval = 20 * time.Millisecond
)

// BenchmarkWake measures the seconds from a request to a virtual cluster that sleeps to its answer,
// beside the start of a bare kube-apiserver on etcd in the same run. It measures how long a
// Deployment takes from there until it is available, beside its own first start.
func BenchmarkWake(b *testing.B) {
	shared.Namespace(b, wakeNamespace)
	const name = "sleeper"
	admin := shared.Admin()
	shared.VirtualCluster(b, wakeNamespace, name)
	inside := shared.ThroughRelay(b, shared.Kubeconfig, wakeNamespace, name)
	host, virtual := client(b, shared.Kubeconfig), client(b, inside.Kubeconfig)
	start := time.Now()
	inside.Do(b, "create", "deployment", "shop", "--image=registry.k8s.io/pause:3.10")
	podReady(b, host)
	own := time.Since(start)

	for range b.N {
		admin.Do(b, "patch", "vc", name, "-n", wakeNamespace, "--type=merge", "-p", `{"spec":{"sleep":{"schedule":"* * * * *"}}}`)
		admin.Do(b, "wait", "--for=condition=Asleep", "vc/"+name, "-n", wakeNamespace, "--timeout=150s")
		admin.Do(b, "patch", "vc", name, "-n", wakeNamespace, "--type=merge", "-p", `{"spec":{"sleep":{"schedule":null}}}`)
		bare := bareStart(b)

		start := time.Now()
		if _, err := virtual.CoreV1().Namespaces().Get(b.Context(), "default", metav1.GetOptions{}); err != nil {
			b.Fatal(err)
		}
		answered := time.Since(start)
		podReady(b, host)
		available := time.Since(start)
		b.ReportMetric(bare.Seconds(), "bare-s")
		b.ReportMetric(answered.Seconds(), "answer-s")
		b.ReportMetric(answered.Seconds()/bare.Seconds(), "answer/bare")
		b.ReportMetric(own.Seconds(), "own-start-s")
		b.ReportMetric((available - answered).Seconds(), "available-after-answer-s")
	}
	admin.Do(b, "delete", "vc", name, "-n", wakeNamespace, "--timeout=120s")
}

func client(b *testing.B, kubeconfig string) *kubernetes.Clientset {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	return kubernetes.NewForConfigOrDie(config)
}

// podReady waits until the host's pod of the Deployment is ready.
func podReady(b *testing.B, host kubernetes.Interface) {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	for {
		pods, err := host.CoreV1().Pods(wakeNamespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelVirtualNamespace + "=default"})
		if err != nil {
			b.Fatal(err)
		}
		for i := range pods.Items {
			for _, condition := range pods.Items[i].Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pods.Items[i].DeletionTimestamp == nil {
					return
				}
			}
		}
		pause(b, wakeInterval)
	}
}
