// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package metricsapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"garret.dev/garret/syncer/usage"
)

// Group and Version are the API's.
const (
	Group   = "metrics.k8s.io"
	Version = "v1beta1"
)

const root = "/apis/" + Group + "/" + Version

// Options are what a handler is made of.
type Options struct {
	Usage *usage.Source
	// Nodes lists the nodes inside.
	Nodes corev1listers.NodeLister
}

// New returns the handler of the API.
func New(o Options) http.Handler {
	a := &api{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root, discover)
	mux.HandleFunc("GET "+root+"/nodes", a.nodes)
	mux.HandleFunc("GET "+root+"/nodes/{name}", a.nodes)
	mux.HandleFunc("GET "+root+"/pods", a.pods)
	mux.HandleFunc("GET "+root+"/namespaces/{namespace}/pods", a.pods)
	mux.HandleFunc("GET "+root+"/namespaces/{namespace}/pods/{name}", a.pods)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, apierrors.NewGenericServerResponse(http.StatusNotFound, strings.ToLower(r.Method), resource("metrics"), "", "the path is not served", 0, true))
	})
	return mux
}

type api struct{ Options }

func discover(w http.ResponseWriter, _ *http.Request) {
	verbs := metav1.Verbs{"get", "list"}
	write(w, http.StatusOK, metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: Group + "/" + Version,
		APIResources: []metav1.APIResource{
			{Name: "nodes", SingularName: "", Kind: "NodeMetrics", Verbs: verbs},
			{Name: "pods", SingularName: "", Namespaced: true, Kind: "PodMetrics", Verbs: verbs},
		},
	})
}

func (a *api) pods(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	choose, reading, ok := a.begin(w, r)
	if !ok {
		return
	}
	list := metricsv1beta1.PodMetricsList{TypeMeta: typed("PodMetricsList"), Items: []metricsv1beta1.PodMetrics{}}
	for i := range reading.Pods {
		pod := &reading.Pods[i]
		if (namespace == "" || namespace == pod.Namespace) && (name == "" || name == pod.Name) && choose(&pod.ObjectMeta) {
			list.Items = append(list.Items, podMetrics(pod))
		}
	}
	if name == "" {
		slices.SortFunc(list.Items, func(a, b metricsv1beta1.PodMetrics) int {
			return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
		})
		write(w, http.StatusOK, list)
		return
	}
	one(w, r, "pods", types.NamespacedName{Namespace: namespace, Name: name}.String(), list.Items)
}

func podMetrics(pod *usage.Pod) metricsv1beta1.PodMetrics {
	metrics := metricsv1beta1.PodMetrics{
		TypeMeta:   typed("PodMetrics"),
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels, CreationTimestamp: metav1.NewTime(pod.Timestamp)},
		Timestamp:  metav1.NewTime(pod.Timestamp), Window: metav1.Duration{Duration: pod.Window},
		Containers: make([]metricsv1beta1.ContainerMetrics, 0, len(pod.Containers)),
	}
	for _, container := range pod.Containers {
		metrics.Containers = append(metrics.Containers, metricsv1beta1.ContainerMetrics{Name: container.Name, Usage: container.Usage})
	}
	return metrics
}

// nodes sums up what pods of this virtual cluster use on each node inside. One on which
// none was measured is left out.
func (a *api) nodes(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	choose, reading, ok := a.begin(w, r)
	if !ok {
		return
	}
	all, err := a.Nodes.List(labels.Everything())
	if err != nil {
		fail(w, r, err)
		return
	}
	byNode := map[string][]*usage.Pod{}
	for i := range reading.Pods {
		pod := &reading.Pods[i]
		byNode[pod.Spec.NodeName] = append(byNode[pod.Spec.NodeName], pod)
	}
	list := metricsv1beta1.NodeMetricsList{TypeMeta: typed("NodeMetricsList"), Items: []metricsv1beta1.NodeMetrics{}}
	for _, node := range all {
		if pods := byNode[node.Name]; len(pods) > 0 && (name == "" || name == node.Name) && choose(&node.ObjectMeta) {
			list.Items = append(list.Items, nodeMetrics(node, pods))
		}
	}
	if name == "" {
		slices.SortFunc(list.Items, func(a, b metricsv1beta1.NodeMetrics) int { return strings.Compare(a.Name, b.Name) })
		write(w, http.StatusOK, list)
		return
	}
	one(w, r, "nodes", name, list.Items)
}

func nodeMetrics(node *corev1.Node, pods []*usage.Pod) metricsv1beta1.NodeMetrics {
	metrics := metricsv1beta1.NodeMetrics{
		TypeMeta: typed("NodeMetrics"), ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels}, Usage: corev1.ResourceList{},
	}
	for _, pod := range pods {
		if metrics.Timestamp.Time.Before(pod.Timestamp) {
			metrics.Timestamp, metrics.Window = metav1.NewTime(pod.Timestamp), metav1.Duration{Duration: pod.Window}
		}
		for _, container := range pod.Containers {
			for name, quantity := range container.Usage {
				sum := metrics.Usage[name]
				sum.Add(quantity)
				metrics.Usage[name] = sum
			}
		}
	}
	metrics.CreationTimestamp = metrics.Timestamp
	return metrics
}

// begin reads the selectors of a request, and the figures. It answers itself where
// there are none.
func (a *api) begin(w http.ResponseWriter, r *http.Request) (func(*metav1.ObjectMeta) bool, usage.Reading, bool) {
	query := r.URL.Query()
	if query.Get("watch") == "true" || query.Get("watch") == "1" {
		fail(w, r, apierrors.NewMethodNotSupported(resource("pods"), "watch"))
		return nil, usage.Reading{}, false
	}
	byLabel, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		fail(w, r, apierrors.NewBadRequest(err.Error()))
		return nil, usage.Reading{}, false
	}
	byField, err := fields.ParseSelector(query.Get("fieldSelector"))
	if err != nil {
		fail(w, r, apierrors.NewBadRequest(err.Error()))
		return nil, usage.Reading{}, false
	}
	reading, err := a.Usage.Read(r.Context())
	if err != nil {
		fail(w, r, err)
		return nil, usage.Reading{}, false
	}
	return func(object *metav1.ObjectMeta) bool {
		return byLabel.Matches(labels.Set(object.Labels)) &&
			byField.Matches(fields.Set{"metadata.name": object.Name, "metadata.namespace": object.Namespace})
	}, reading, true
}

// one answers with the only item.
func one[T any](w http.ResponseWriter, r *http.Request, kind, name string, items []T) {
	if len(items) == 0 {
		fail(w, r, apierrors.NewNotFound(resource(kind), name))
		return
	}
	write(w, http.StatusOK, items[0])
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	var status apierrors.APIStatus
	var unavailable *usage.Unavailable
	switch {
	case errors.As(err, &status):
	case errors.As(err, &unavailable):
		status = apierrors.NewServiceUnavailable(unavailable.Inside())
	default:
		klog.FromContext(r.Context()).Error(err, "Cannot serve metrics", "path", r.URL.Path)
		status = apierrors.NewInternalError(errors.New("metrics cannot be read now"))
	}
	answer := status.Status()
	answer.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	write(w, int(answer.Code), answer)
}

func resource(name string) schema.GroupResource {
	return schema.GroupResource{Group: Group, Resource: name}
}

func typed(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{Kind: kind, APIVersion: Group + "/" + Version}
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// Nobody can tell a caller that has gone away.
	_ = json.NewEncoder(w).Encode(body)
}
