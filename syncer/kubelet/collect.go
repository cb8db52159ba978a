// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/usage"
)

// A collector tells what is known of the pods of this virtual cluster when it is asked,
// under the names that kubelets have for it.
type (
	// stateCollector counts, for /metrics.
	stateCollector struct {
		metrics.BaseStableCollector
		server *Server
	}
	// resourceCollector tells CPU and memory, for /metrics/resource.
	resourceCollector struct {
		metrics.BaseStableCollector
		server *Server
	}
	// containerCollector tells them of containers, for /metrics/cadvisor.
	containerCollector struct {
		metrics.BaseStableCollector
		server *Server
	}
	// probeCollector tells what probes say, for /metrics/probes.
	probeCollector struct {
		metrics.BaseStableCollector
		server *Server
	}
)

var (
	_ metrics.StableCollector = &stateCollector{}
	_ metrics.StableCollector = &resourceCollector{}
	_ metrics.StableCollector = &containerCollector{}
	_ metrics.StableCollector = &probeCollector{}
)

var (
	runningPods       = metrics.NewDesc("kubelet_running_pods", "Number of pods that are running.", nil, nil, metrics.ALPHA, "")
	runningContainers = metrics.NewDesc("kubelet_running_containers", "Number of containers by state.", []string{"container_state"}, nil, metrics.ALPHA, "")

	podLabels       = []string{"pod", "namespace"}
	containerLabels = []string{"container", "pod", "namespace"}

	nodeCPU         = metrics.NewDesc("node_cpu_usage_seconds_total", "CPU time of the pods of this virtual cluster on all nodes, in core-seconds.", nil, nil, metrics.STABLE, "")
	nodeMemory      = metrics.NewDesc("node_memory_working_set_bytes", "Working set of the pods of this virtual cluster on all nodes, in bytes.", nil, nil, metrics.STABLE, "")
	podCPU          = metrics.NewDesc("pod_cpu_usage_seconds_total", "CPU time of the pod, in core-seconds.", podLabels, nil, metrics.STABLE, "")
	podMemory       = metrics.NewDesc("pod_memory_working_set_bytes", "Working set of the pod, in bytes.", podLabels, nil, metrics.STABLE, "")
	containerCPU    = metrics.NewDesc("container_cpu_usage_seconds_total", "CPU time of the container since it was first seen, in core-seconds.", containerLabels, nil, metrics.STABLE, "")
	containerMemory = metrics.NewDesc("container_memory_working_set_bytes", "Working set of the container, in bytes.", containerLabels, nil, metrics.STABLE, "")
	containerStart  = metrics.NewDesc("container_start_time_seconds", "When the container started, in seconds since the epoch.", containerLabels, nil, metrics.STABLE, "")
	scrapeError     = metrics.NewDesc("resource_scrape_error", "1 where the host gives no figures, 0 otherwise.", nil, nil, metrics.STABLE, "")

	cadvisorLabels = []string{"container", "id", "image", "name", "namespace", "pod"}

	cadvisorCPU    = metrics.NewDesc("container_cpu_usage_seconds_total", "CPU time of the container since it was first seen, in core-seconds.", append([]string{"cpu"}, cadvisorLabels...), nil, metrics.ALPHA, "")
	cadvisorMemory = metrics.NewDesc("container_memory_working_set_bytes", "Working set of the container, in bytes.", cadvisorLabels, nil, metrics.ALPHA, "")
	cadvisorStart  = metrics.NewDesc("container_start_time_seconds", "When the container started, in seconds since the epoch.", cadvisorLabels, nil, metrics.ALPHA, "")
	cadvisorLimit  = metrics.NewDesc("container_spec_memory_limit_bytes", "Memory limit of the container, in bytes; 0 for none.", cadvisorLabels, nil, metrics.ALPHA, "")

	probeResult = metrics.NewDesc("prober_probe_result", "What the last probe said: 0 success, 1 failure.", []string{"probe_type", "container", "pod", "namespace", "pod_uid"}, nil, metrics.ALPHA, "")
)

func (c *stateCollector) DescribeWithStability(ch chan<- *metrics.Desc) {
	ch <- runningPods
	ch <- runningContainers
}

func (c *stateCollector) CollectWithStability(ch chan<- metrics.Metric) {
	running, states := 0, map[string]int{"created": 0, "exited": 0, "running": 0}
	for pod := range c.server.each() {
		if pod.Status.Phase == corev1.PodRunning {
			running++
		}
		for i := range pod.Status.ContainerStatuses {
			switch state := pod.Status.ContainerStatuses[i].State; {
			case state.Running != nil:
				states["running"]++
			case state.Terminated != nil:
				states["exited"]++
			default:
				states["created"]++
			}
		}
	}
	ch <- metrics.NewLazyConstMetric(runningPods, metrics.GaugeValue, float64(running))
	for state, count := range states {
		ch <- metrics.NewLazyConstMetric(runningContainers, metrics.GaugeValue, float64(count), state)
	}
}

func (c *resourceCollector) DescribeWithStability(ch chan<- *metrics.Desc) {
	for _, desc := range []*metrics.Desc{nodeCPU, nodeMemory, podCPU, podMemory, containerCPU, containerMemory, containerStart, scrapeError} {
		ch <- desc
	}
}

func (c *resourceCollector) CollectWithStability(ch chan<- metrics.Metric) {
	reading, err := c.server.usage.Read(context.Background())
	failed := 0.0
	if err != nil {
		failed = 1
	}
	ch <- metrics.NewLazyConstMetric(scrapeError, metrics.GaugeValue, failed)
	var all sum
	for i := range reading.Pods {
		pod := &reading.Pods[i]
		var whole sum
		started := startTimes(pod.Pod)
		for _, container := range pod.Containers {
			one := sumOf(pod, container)
			whole.add(one)
			one.send(ch, containerCPU, containerMemory, container.Name, pod.Name, pod.Namespace)
			if at := started[container.Name]; !at.IsZero() {
				ch <- metrics.NewLazyConstMetric(containerStart, metrics.GaugeValue, seconds(at.Time), container.Name, pod.Name, pod.Namespace)
			}
		}
		whole.send(ch, podCPU, podMemory, pod.Name, pod.Namespace)
		all.add(whole)
	}
	if all.total = uint64(reading.CPUTotal); !all.time.IsZero() {
		all.send(ch, nodeCPU, nodeMemory)
	}
}

// send tells a sum, with the time at which the host measured: whoever computes a rate
// needs that, and not when they asked.
func (s sum) send(ch chan<- metrics.Metric, cpu, memory *metrics.Desc, labels ...string) {
	ch <- metrics.NewLazyMetricWithTimestamp(s.time.Time, metrics.NewLazyConstMetric(cpu, metrics.CounterValue, time.Duration(s.total).Seconds(), labels...))
	ch <- metrics.NewLazyMetricWithTimestamp(s.time.Time, metrics.NewLazyConstMetric(memory, metrics.GaugeValue, float64(s.memory), labels...))
}

func seconds(at time.Time) float64 { return float64(at.UnixNano()) / float64(time.Second) }

func (c *containerCollector) DescribeWithStability(ch chan<- *metrics.Desc) {
	for _, desc := range []*metrics.Desc{cadvisorCPU, cadvisorMemory, cadvisorStart, cadvisorLimit} {
		ch <- desc
	}
}

func (c *containerCollector) CollectWithStability(ch chan<- metrics.Metric) {
	_, measured := c.server.measured(context.Background())
	for pod := range c.server.each() {
		specs := specs(pod)
		for status := range statuses(pod) {
			spec, known := specs[status.Name]
			if !known || status.State.Running == nil {
				continue
			}
			_, id, _ := strings.Cut(status.ContainerID, "://")
			labels := []string{status.Name, "/" + id, status.Image, id, pod.Namespace, pod.Name}
			ch <- metrics.NewLazyConstMetric(cadvisorStart, metrics.GaugeValue, seconds(status.State.Running.StartedAt.Time), labels...)
			ch <- metrics.NewLazyConstMetric(cadvisorLimit, metrics.GaugeValue, float64(spec.Resources.Limits.Memory().Value()), labels...)
			if figures := measured[pod.UID]; figures != nil {
				at := slices.IndexFunc(figures.Containers, func(c usage.Container) bool { return c.Name == status.Name })
				if at >= 0 {
					used := sumOf(figures, figures.Containers[at])
					ch <- metrics.NewLazyMetricWithTimestamp(figures.Timestamp, metrics.NewLazyConstMetric(cadvisorCPU, metrics.CounterValue, time.Duration(used.total).Seconds(), append([]string{"total"}, labels...)...))
					ch <- metrics.NewLazyMetricWithTimestamp(figures.Timestamp, metrics.NewLazyConstMetric(cadvisorMemory, metrics.GaugeValue, float64(used.memory), labels...))
				}
			}
		}
	}
}

func (c *probeCollector) DescribeWithStability(ch chan<- *metrics.Desc) { ch <- probeResult }

// CollectWithStability tells what follows from the status. How often the host's kubelet
// probed, and what liveness probes said, does not.
func (c *probeCollector) CollectWithStability(ch chan<- metrics.Metric) {
	tell := func(kind string, pod *corev1.Pod, container string, well bool) {
		result := 1.0
		if well {
			result = 0
		}
		ch <- metrics.NewLazyConstMetric(probeResult, metrics.GaugeValue, result, kind, container, pod.Name, pod.Namespace, string(pod.UID))
	}
	for pod := range c.server.each() {
		specs := specs(pod)
		for status := range statuses(pod) {
			spec, known := specs[status.Name]
			if !known || status.State.Running == nil {
				continue
			}
			started := status.Started != nil && *status.Started
			if spec.StartupProbe != nil {
				tell("Startup", pod, status.Name, started)
			}
			if spec.ReadinessProbe != nil && started {
				tell("Readiness", pod, status.Name, status.Ready)
			}
		}
	}
}

// each are the pods that are bound.
func (s *Server) each() iter.Seq[*corev1.Pod] {
	bound, err := s.bound()
	if err != nil {
		klog.Background().Error(err, "Cannot list pods for metrics")
	}
	return slices.Values(bound)
}

// statuses are those of all containers of a pod. Inside, they are the tenant's alone.
func statuses(pod *corev1.Pod) iter.Seq[*corev1.ContainerStatus] {
	return func(yield func(*corev1.ContainerStatus) bool) {
		for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
			for i := range list {
				if !yield(&list[i]) {
					return
				}
			}
		}
	}
}

// specs are the containers of a pod by name.
func specs(pod *corev1.Pod) map[string]*corev1.Container {
	all := map[string]*corev1.Container{}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			all[list[i].Name] = &list[i]
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		container := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		all[container.Name] = &container
	}
	return all
}
