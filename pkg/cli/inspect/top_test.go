// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func TestConsumptionOf(t *testing.T) {
	used := func(namespace, label, value, cpu string) metricsv1beta1.PodMetrics {
		return metricsv1beta1.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: map[string]string{label: value}},
			Containers: []metricsv1beta1.ContainerMetrics{
				{Usage: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("1Mi")}},
				{Usage: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("1Mi")}},
			},
		}
	}
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "demo"}, Status: tenancyv1.VirtualClusterStatus{ClusterID: "c1"}}
	own, workloads := consumptionOf(vc, []metricsv1beta1.PodMetrics{
		used("team-a", tenancyv1.LabelVirtualCluster, "demo", "10m"),
		used("team-a", tenancyv1.LabelCluster, "c1", "20m"),
		used("team-a", tenancyv1.LabelCluster, "c1", "30m"),
		used("team-a", tenancyv1.LabelCluster, "c2", "1"),
		used("team-b", tenancyv1.LabelVirtualCluster, "demo", "1"),
		used("team-b", tenancyv1.LabelCluster, "c1", "1"),
		used("team-a", "app", "other", "1"),
	})
	if got := (&consumption{}).String(); got != "<unknown>\t<unknown>" {
		t.Errorf("without figures the use is %q, want it unknown", got)
	}
	if got := own.String(); got != "20m\t2Mi" {
		t.Errorf("the control plane uses %q, want 20m and 2Mi", got)
	}
	if got := workloads.String(); workloads.pods != 2 || got != "100m\t4Mi" {
		t.Errorf("%d workloads use %q, want two with 100m and 4Mi", workloads.pods, got)
	}
}
