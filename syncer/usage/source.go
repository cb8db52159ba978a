// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/translate"
)

const (
	// freshness is for how long an answer of the host, of whatever kind, is taken again.
	freshness = 5 * time.Second
	// askTimeout is how long the host may take.
	askTimeout = 10 * time.Second
	// maxMessage is how much of an error of the host is read.
	maxMessage = 4 << 10
	// watchInterval is how often Watch asks.
	watchInterval = time.Minute
)

// Container is what a container of the tenant's uses.
type Container struct {
	Name string
	// Usage is CPU, as a rate, and memory, as the working set.
	Usage corev1.ResourceList
	// CPUTotal is the CPU time since the container was first seen.
	CPUTotal time.Duration
}

// Pod is what a pod inside uses.
type Pod struct {
	*corev1.Pod
	// Timestamp is when the host measured, Window the time that the rate is of.
	Timestamp  time.Time
	Window     time.Duration
	Containers []Container
}

// Reading is what all pods inside that the host has measured use.
type Reading struct {
	Pods []Pod
	// CPUTotal is the CPU time of all that there ever were, since the syncer started.
	CPUTotal time.Duration
}

// Unavailable is the error where the host gives no figures.
type Unavailable struct {
	// Code is the status code of the host's answer; 0 without an answer.
	Code    int
	Message string
}

func (e *Unavailable) Error() string { return e.Message }

// Inside is the error in words for tenants: how the host fails is not for them.
func (e *Unavailable) Inside() string {
	if e.Absent() {
		return e.Message
	}
	return "the host's metrics cannot be read now"
}

// Absent says that the host has no metrics API, as opposed to one that fails.
func (e *Unavailable) Absent() bool { return e.Code == http.StatusNotFound }

// Options are what a Source is made of.
type Options struct {
	Translator *translate.Translator
	// HostConfig is how the host's API is reached.
	HostConfig *rest.Config
	// VirtualPods and HostPods list the pods of both sides.
	VirtualPods, HostPods corev1listers.PodLister
	Clock                 clock.Clock
}

// Source reads figures from the host. It is safe for concurrent use.
type Source struct {
	Options
	client *http.Client
	list   *url.URL

	mutex sync.Mutex
	// asked is when the host was asked last, last and err what came of it.
	asked time.Time
	last  Reading
	err   error
	// totals are those of each container, spent that of all there ever were.
	totals map[containerKey]total
	spent  time.Duration
}

type containerKey struct {
	pod  types.UID
	name string
}

// total is the CPU time of a container up to a measurement.
type total struct {
	at  time.Time
	cpu time.Duration
}

// New returns a source.
func New(o Options) (*Source, error) {
	host, _, err := rest.DefaultServerUrlFor(o.HostConfig)
	if err != nil {
		return nil, fmt.Errorf("metrics of the host: %w", err)
	}
	client, err := rest.HTTPClientFor(o.HostConfig)
	if err != nil {
		return nil, fmt.Errorf("metrics of the host: %w", err)
	}
	cluster := o.Translator.Cluster()
	list := host.JoinPath("apis", metricsv1beta1.SchemeGroupVersion.Group, metricsv1beta1.SchemeGroupVersion.Version, "namespaces", cluster.HostNamespace, "pods")
	list.RawQuery = url.Values{"labelSelector": {tenancyv1.LabelCluster + "=" + cluster.ID}}.Encode()
	return &Source{Options: o, client: client, list: list, totals: map[containerKey]total{}}, nil
}

// Read returns what the host has measured. The error is an Unavailable.
func (s *Source) Read(ctx context.Context) (Reading, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !s.asked.IsZero() && s.Clock.Since(s.asked) < freshness {
		return s.last, s.err
	}
	// A caller that goes away ends nothing: callers that come and go would have the host
	// asked for each of them.
	measured, err := s.ask(context.WithoutCancel(ctx))
	now := Reading{}
	if err == nil {
		now, err = s.translated(measured)
	}
	s.last, s.err, s.asked = now, err, s.Clock.Now()
	return s.last, s.err
}

// Watch tells at the start, and whenever it changes, whether the host gives figures.
func (s *Source) Watch(ctx context.Context, tell func(*Unavailable)) error {
	told, first := "", true
	for {
		_, err := s.Read(ctx)
		var unavailable *Unavailable
		errors.As(err, &unavailable)
		message := ""
		if unavailable != nil {
			message = unavailable.Message
		}
		if ctx.Err() == nil && (first || message != told) {
			klog.FromContext(ctx).V(1).Info("Metrics of the host", "available", unavailable == nil, "err", message)
			tell(unavailable)
			told, first = message, false
		}
		select {
		case <-s.Clock.After(watchInterval):
		case <-ctx.Done():
			return nil
		}
	}
}

// ask lists what the host has measured of the synced pods.
func (s *Source) ask(ctx context.Context) ([]metricsv1beta1.PodMetrics, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.list.String(), nil)
	if err != nil {
		return nil, &Unavailable{Message: err.Error()}
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, &Unavailable{Message: "the host's API server does not answer requests for metrics"}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer)
	}
	var list metricsv1beta1.PodMetricsList
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, &Unavailable{Message: "the host's metrics API does not answer with a list of PodMetrics"}
	}
	return list.Items, nil
}

func refusal(answer *http.Response) error {
	if answer.StatusCode == http.StatusNotFound {
		return &Unavailable{Code: answer.StatusCode, Message: "the host serves no metrics.k8s.io: an administrator of the host can install metrics-server"}
	}
	message := answer.Status
	var status metav1.Status
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxMessage))
	if err == nil && json.Unmarshal(body, &status) == nil && status.Message != "" {
		message = status.Message
	}
	return &Unavailable{Code: answer.StatusCode, Message: "the host's metrics API fails: " + message}
}

// translated are the figures of pods inside, of the tenant's containers. It also keeps
// the totals.
func (s *Source) translated(measured []metricsv1beta1.PodMetrics) (Reading, error) {
	byName := make(map[string]*metricsv1beta1.PodMetrics, len(measured))
	for i := range measured {
		byName[measured[i].Name] = &measured[i]
	}
	all, err := s.VirtualPods.List(labels.Everything())
	if err != nil {
		return Reading{}, &Unavailable{Message: "the pods inside cannot be listed"}
	}
	var pods []Pod
	totals := make(map[containerKey]total, len(s.totals))
	for _, virtual := range all {
		figures, found := byName[s.Translator.HostName(virtual.Namespace, virtual.Name)]
		if !found {
			continue
		}
		pod := Pod{Pod: virtual, Timestamp: figures.Timestamp.Time, Window: figures.Window.Duration}
		own := s.own(virtual)
		for _, container := range figures.Containers {
			if _, is := own.Find(container.Name); !is {
				continue
			}
			key := containerKey{virtual.UID, container.Name}
			totals[key] = s.totals[key].with(&pod, container.Usage.Cpu().AsApproximateFloat64())
			s.spent += totals[key].cpu - s.totals[key].cpu
			pod.Containers = append(pod.Containers, Container{Name: container.Name, Usage: container.Usage, CPUTotal: totals[key].cpu})
		}
		if len(pod.Containers) > 0 {
			pods = append(pods, pod)
		}
	}
	s.totals = totals
	return Reading{pods, s.spent}, nil
}

// own are the containers of a pod inside that are the tenant's on the host. Those of a
// host pod that is not its twin, or not known yet, are none.
func (s *Source) own(virtual *corev1.Pod) *containers.Own {
	host, err := s.HostPods.Pods(s.Translator.Cluster().HostNamespace).Get(s.Translator.HostName(virtual.Namespace, virtual.Name))
	if err != nil {
		host = &corev1.Pod{}
	}
	if identity, ours := s.Translator.IdentityOf(host); !ours || identity != translate.IdentityFor(virtual) {
		host = &corev1.Pod{}
	}
	return containers.OwnOf(virtual, host)
}

// with is the total after a measurement of the pod, at a rate in CPUs.
func (t total) with(pod *Pod, rate float64) total {
	since := pod.Window
	if !t.at.IsZero() {
		since = pod.Timestamp.Sub(t.at)
	}
	if since <= 0 {
		return t
	}
	return total{at: pod.Timestamp, cpu: t.cpu + time.Duration(rate*float64(since))}
}
