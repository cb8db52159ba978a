// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	clientset "garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

const namespace = "bench-start"

// BenchmarkStart measures the seconds from the create of a virtual cluster to
// its milestones, the memory that it takes when idle, and the same start as a
// multiple of that of a bare kube-apiserver on etcd.
func BenchmarkStart(b *testing.B) {
	shared.Namespace(b, namespace)
	for i := range b.N {
		bare := bareStart(b)
		answering, ready, running := startOne(b, fmt.Sprintf("bench-%d", i))
		b.ReportMetric(bare.Seconds(), "bare-s")
		b.ReportMetric(answering.Seconds(), "api-s")
		b.ReportMetric(ready.Seconds(), "ready-s")
		b.ReportMetric(running.Seconds(), "pod-s")
		b.ReportMetric(answering.Seconds()/bare.Seconds(), "api/bare")
		b.ReportMetric(running.Seconds()/bare.Seconds(), "pod/bare")
	}
}

// startOne makes a virtual cluster with a pod in it, and gives the time that
// passed until the API inside answered, the object was Ready and the pod ran.
func startOne(b *testing.B, name string) (answering, ready, running time.Duration) {
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	clusters := clientset.NewForConfigOrDie(config).TenancyV1().VirtualClusters(namespace)
	start := time.Now()
	if _, err := clusters.Create(ctx, &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	watch, err := clusters.Watch(ctx, metav1.SingleObject(metav1.ObjectMeta{Name: name}))
	if err != nil {
		b.Fatal(err)
	}
	defer watch.Stop()
	for ready == 0 {
		event, open := <-watch.ResultChan()
		if !open {
			b.Fatal("the watch ended before the virtual cluster was ready")
		}
		cluster, ok := event.Object.(*tenancyv1.VirtualCluster)
		if !ok {
			continue
		}
		if answering == 0 && meta.IsStatusConditionTrue(cluster.Status.Conditions, tenancyv1.ConditionControlPlaneReady) {
			answering = time.Since(start)
		}
		if meta.IsStatusConditionTrue(cluster.Status.Conditions, tenancyv1.ConditionReady) {
			ready = time.Since(start)
		}
	}
	inside := shared.ThroughRelay(b, shared.Kubeconfig, namespace, name)
	runPod(ctx, b, inside)
	running = time.Since(start)

	reportMemory(b, name)
	shared.Admin().Do(b, "delete", "vc", name, "-n", namespace, "--timeout=120s")
	return answering, ready, running
}

func runPod(ctx context.Context, b *testing.B, inside framework.Client) {
	config, err := clientcmd.BuildConfigFromFlags("", inside.Kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	pods := kubernetes.NewForConfigOrDie(config).CoreV1().Pods("default")
	_, err = pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "first"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "pause", Image: "registry.k8s.io/pause:3.10"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	watch, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "first").String()})
	if err != nil {
		b.Fatal(err)
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning {
			return
		}
	}
	b.Fatal("the pod did not run")
}

// settle is how long a virtual cluster is left alone before its memory is read.
const settle = 20 * time.Second

func reportMemory(b *testing.B, name string) {
	pause(b, settle)
	for container, id := range containers(b, name) {
		memory, err := suite.MemoryOf(id)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(memory.Resident)/(1<<20), container+"-MiB")
		b.ReportMetric(float64(memory.Private)/(1<<20), container+"-private-MiB")
	}
}

// containers are the ids of a virtual cluster's containers, by name.
func containers(b *testing.B, name string) map[string]string {
	ids := map[string]string{}
	for _, container := range []string{"k3s", "syncer"} {
		id, err := shared.ContainerID(namespace, "statefulset.kubernetes.io/pod-name="+tenancyv1.ReleaseName(name)+"-0", container)
		if err != nil {
			b.Fatal(err)
		}
		ids[container] = id
	}
	return ids
}
