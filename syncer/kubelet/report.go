// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"
	statsv1alpha1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/containers"
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
	bound, err := s.bound()
	if err != nil {
		writeError(w, r, err)
		return
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: make([]corev1.Pod, 0, len(bound))}
	for _, pod := range bound {
		list.Items = append(list.Items, *pod)
	}
	writeJSON(w, list)
}

// metrics counts what is known of pods without looking into the host's nodes.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	bound, err := s.bound()
	if err != nil {
		writeError(w, r, err)
		return
	}
	running := 0
	containers := map[string]int{"created": 0, "exited": 0, "running": 0}
	for _, pod := range bound {
		if pod.Status.Phase == corev1.PodRunning {
			running++
		}
		for i := range pod.Status.ContainerStatuses {
			switch state := pod.Status.ContainerStatuses[i].State; {
			case state.Running != nil:
				containers["running"]++
			case state.Terminated != nil:
				containers["exited"]++
			default:
				containers["created"]++
			}
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "# HELP kubelet_running_pods Number of pods that are running.\n# TYPE kubelet_running_pods gauge\nkubelet_running_pods %d\n", running)
	fmt.Fprint(w, "# HELP kubelet_running_containers Number of containers by state.\n# TYPE kubelet_running_containers gauge\n")
	for _, state := range []string{"created", "exited", "running"} {
		fmt.Fprintf(w, "kubelet_running_containers{container_state=%q} %d\n", state, containers[state])
	}
}

// podMetrics is the part of metrics.k8s.io's PodMetrics that is read here.
type podMetrics struct {
	metav1.ObjectMeta `json:"metadata"`
	Timestamp         metav1.Time `json:"timestamp"`
	Containers        []struct {
		Name  string                       `json:"name"`
		Usage map[string]resource.Quantity `json:"usage"`
	} `json:"containers"`
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
	usage, err := s.usage(r.Context())
	if err != nil {
		klog.FromContext(r.Context()).V(2).Info("The host gives no metrics", "err", err)
	}
	summary := statsv1alpha1.Summary{Pods: []statsv1alpha1.PodStats{}}
	for _, pod := range bound {
		stats := statsv1alpha1.PodStats{
			PodRef:     statsv1alpha1.PodReference{Name: pod.Name, Namespace: pod.Namespace, UID: string(pod.UID)},
			Containers: []statsv1alpha1.ContainerStats{},
		}
		if pod.Status.StartTime != nil {
			stats.StartTime = *pod.Status.StartTime
		}
		if measured, ok := usage[s.pods.translator.HostName(pod.Namespace, pod.Name)]; ok {
			stats.Containers = containerStats(s.pods.own(pod), measured)
		}
		summary.Pods = append(summary.Pods, stats)
	}
	writeJSON(w, summary)
}

// containerStats are those of the tenant's containers.
func containerStats(own *containers.Own, measured podMetrics) []statsv1alpha1.ContainerStats {
	stats := []statsv1alpha1.ContainerStats{}
	for _, container := range measured.Containers {
		if _, is := own.Find(container.Name); !is {
			continue
		}
		one := statsv1alpha1.ContainerStats{Name: container.Name}
		if cpu, ok := container.Usage["cpu"]; ok {
			nanoCores := uint64(max(cpu.ScaledValue(resource.Nano), 0))
			one.CPU = &statsv1alpha1.CPUStats{Time: measured.Timestamp, UsageNanoCores: &nanoCores}
		}
		if memory, ok := container.Usage["memory"]; ok {
			workingSet := uint64(max(memory.Value(), 0))
			one.Memory = &statsv1alpha1.MemoryStats{Time: measured.Timestamp, WorkingSetBytes: &workingSet}
		}
		stats = append(stats, one)
	}
	return stats
}

// usage reads the metrics of the synced pods by the names of the host pods.
func (s *Server) usage(ctx context.Context) (map[string]podMetrics, error) {
	cluster := s.pods.translator.Cluster()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	location := s.host.JoinPath("apis", "metrics.k8s.io", "v1beta1", "namespaces", cluster.HostNamespace, "pods")
	location.RawQuery = url.Values{"labelSelector": {tenancyv1.LabelCluster + "=" + cluster.ID}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics API answers %s", answer.Status)
	}
	var list struct {
		Items []podMetrics `json:"items"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("metrics API: %w", err)
	}
	usage := make(map[string]podMetrics, len(list.Items))
	for _, item := range list.Items {
		usage[item.Name] = item
	}
	return usage, nil
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	// A caller that has gone away cannot be told.
	_ = json.NewEncoder(w).Encode(body)
}
