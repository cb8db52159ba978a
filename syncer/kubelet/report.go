// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	kubeletconfigv1beta1 "k8s.io/kubelet/config/v1beta1"
	statsv1alpha1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/usage"
)

// bound lists the pods that are bound to any node inside. All nodes share one
// address, and the API server does not say which of them it means.
func (s *Server) bound() ([]*corev1.Pod, error) {
	all, err := s.pods.virtualPods.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("virtual pods: %w", err)
	}
	var bound []*corev1.Pod
	for _, pod := range all {
		if pod.Spec.NodeName != "" {
			bound = append(bound, pod)
		}
	}
	return bound, nil
}

func (s *Server) listPods(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, func(*corev1.Pod) bool { return true })
}

func (s *Server) listRunningPods(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning })
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, which func(*corev1.Pod) bool) {
	bound, err := s.bound()
	if err != nil {
		writeError(w, r, err)
		return
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: make([]corev1.Pod, 0, len(bound))}
	for _, pod := range bound {
		if which(pod) {
			list.Items = append(list.Items, *pod)
		}
	}
	writeJSON(w, list)
}

// configuration is what a kubelet's says and this one does. What the kubelets of the
// host do stays with the host.
func configuration(o Options) kubeletconfigv1beta1.KubeletConfiguration {
	config := kubeletconfigv1beta1.KubeletConfiguration{
		EnableServer: ptr.To(true), ClusterDomain: o.Domain,
		Authentication: kubeletconfigv1beta1.KubeletAuthentication{Anonymous: kubeletconfigv1beta1.KubeletAnonymousAuthentication{Enabled: ptr.To(false)}},
	}
	if address, err := netip.ParseAddrPort(o.Listener.Addr().String()); err == nil {
		config.Port = int32(address.Port())
	}
	return config
}

// configz answers as a kubelet does: with its configuration under a name, and no kind.
func (s *Server) configz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"kubeletconfig": s.config})
}

// measured are the figures of pods inside by their UID; none where the host gives none.
func (s *Server) measured(ctx context.Context) (usage.Reading, map[types.UID]*usage.Pod) {
	reading, err := s.usage.Read(ctx)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("The host gives no metrics", "err", err)
	}
	pods := make(map[types.UID]*usage.Pod, len(reading.Pods))
	for i := range reading.Pods {
		pods[reading.Pods[i].UID] = &reading.Pods[i]
	}
	return reading, pods
}

// summary tells what the host's metrics API tells of the synced pods. Where the
// host has none, or does not let the syncer read them, pods stand there without
// usage: nothing is made up.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	bound, err := s.bound()
	if err != nil {
		writeError(w, r, err)
		return
	}
	reading, measured := s.measured(r.Context())
	summary := statsv1alpha1.Summary{Pods: make([]statsv1alpha1.PodStats, 0, len(bound)), Node: statsv1alpha1.NodeStats{NodeName: onlyNode(bound)}}
	var all sum
	for _, pod := range bound {
		stats, used := podStats(pod, measured[pod.UID])
		all.add(used)
		summary.Pods = append(summary.Pods, stats)
	}
	// The time of a node goes on when its pods are gone.
	all.total = uint64(reading.CPUTotal)
	summary.Node.CPU, summary.Node.Memory = all.stats()
	writeJSON(w, summary)
}

// onlyNode is the node of the pods, where there is one.
func onlyNode(pods []*corev1.Pod) string {
	name := ""
	for _, pod := range pods {
		if name != "" && name != pod.Spec.NodeName {
			return ""
		}
		name = pod.Spec.NodeName
	}
	return name
}

// podStats are what is known of a pod; measured is nil where the host has no figures.
func podStats(pod *corev1.Pod, measured *usage.Pod) (statsv1alpha1.PodStats, sum) {
	stats := statsv1alpha1.PodStats{
		PodRef:     statsv1alpha1.PodReference{Name: pod.Name, Namespace: pod.Namespace, UID: string(pod.UID)},
		Containers: []statsv1alpha1.ContainerStats{},
	}
	if pod.Status.StartTime != nil {
		stats.StartTime = *pod.Status.StartTime
	}
	var all sum
	if measured == nil {
		return stats, all
	}
	started := startTimes(pod)
	for _, container := range measured.Containers {
		one := sumOf(measured, container)
		all.add(one)
		own := statsv1alpha1.ContainerStats{Name: container.Name, StartTime: started[container.Name]}
		own.CPU, own.Memory = one.stats()
		stats.Containers = append(stats.Containers, own)
	}
	stats.CPU, stats.Memory = all.stats()
	return stats, all
}

// startTimes are since when the containers of a pod run.
func startTimes(pod *corev1.Pod) map[string]metav1.Time {
	started := map[string]metav1.Time{}
	for status := range statuses(pod) {
		if running := status.State.Running; running != nil {
			started[status.Name] = running.StartedAt
		}
	}
	return started
}

// sum is what some containers use.
type sum struct {
	time          metav1.Time
	nanoCores     uint64
	total, memory uint64
}

func sumOf(pod *usage.Pod, container usage.Container) sum {
	return sum{
		time:      metav1.NewTime(pod.Timestamp),
		nanoCores: uint64(max(container.Usage.Cpu().ScaledValue(resource.Nano), 0)),
		total:     uint64(max(container.CPUTotal, 0)),
		memory:    uint64(max(container.Usage.Memory().Value(), 0)),
	}
}

func (s *sum) add(other sum) {
	if other.time.After(s.time.Time) {
		s.time = other.time
	}
	s.nanoCores += other.nanoCores
	s.total += other.total
	s.memory += other.memory
}

// stats are none of a sum of nothing.
func (s sum) stats() (*statsv1alpha1.CPUStats, *statsv1alpha1.MemoryStats) {
	if s.time.IsZero() {
		return nil, nil
	}
	return &statsv1alpha1.CPUStats{Time: s.time, UsageNanoCores: &s.nanoCores, UsageCoreNanoSeconds: &s.total},
		&statsv1alpha1.MemoryStats{Time: s.time, WorkingSetBytes: &s.memory}
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	// Nobody can tell a caller that has gone away.
	_ = json.NewEncoder(w).Encode(body)
}
