// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package metricsapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/syncer/usage"
)

// begun is the API over a host that measures what is in figures, by namespace/name inside:
// CPU of the container app, beside one of the host's. Its code is the host's answer.
func begun(t *testing.T, code int, figures map[string]string) http.Handler {
	t.Helper()
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: "team"})
	index := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	virtual, host, nodes := index(), index(), index()
	add := func(indexer cache.Indexer, object any) {
		if err := indexer.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	var items []string
	for _, name := range []string{"node-1", "node-2"} {
		add(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}})
	}
	for key, cpu := range figures {
		namespace, name, _ := strings.Cut(key, "/")
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(key), Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "app"}}},
		}
		twin := &corev1.Pod{Spec: *pod.Spec.DeepCopy()}
		translator.Mark(twin, translate.IdentityFor(pod), nil, map[string]string{containers.Annotation: containers.RecordOf(pod, twin).String()})
		add(virtual, pod)
		add(host, twin)
		items = append(items, fmt.Sprintf(`{"metadata":{"name":%q},"timestamp":"2026-01-01T00:00:10Z","window":"10s","containers":[
			{"name":"app","usage":{"cpu":%q,"memory":"1Mi"}},{"name":"injected","usage":{"cpu":"9"}}]}`, twin.Name, cpu))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if code != http.StatusOK {
			http.Error(w, `{"kind":"Status","message":"node worker-7 of the host"}`, code)
			return
		}
		fmt.Fprintf(w, `{"items":[%s]}`, strings.Join(items, ","))
	}))
	t.Cleanup(server.Close)
	figure, err := usage.New(usage.Options{
		Translator: translator, HostConfig: &rest.Config{Host: server.URL}, Clock: clock.RealClock{},
		VirtualPods: corev1listers.NewPodLister(virtual), HostPods: corev1listers.NewPodLister(host),
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Usage: figure, Nodes: corev1listers.NewNodeLister(nodes)})
}

func TestMetrics(t *testing.T) {
	figures := map[string]string{"shop/web": "100m", "shop/db": "200m", "bank/web": "400m"}
	for _, test := range []struct {
		name     string
		host     int
		figures  map[string]string
		path     string
		code     int
		want     []string
		unwanted []string
	}{
		{"what there is", 200, figures, "", 200, []string{`"name":"pods"`, `"name":"nodes"`, `"namespaced":true`}, nil},
		{"all pods", 200, figures, "/pods", 200, []string{`"kind":"PodMetricsList"`, `"cpu":"100m"`, `"cpu":"200m"`, `"cpu":"400m"`, `"window":"10s"`}, []string{"injected", `"9"`}},
		{"pods of a namespace", 200, figures, "/namespaces/shop/pods", 200, []string{`"100m"`, `"200m"`}, []string{`"400m"`}},
		{"pods by label", 200, figures, "/namespaces/shop/pods?labelSelector=app%3Ddb", 200, []string{`"200m"`}, []string{`"100m"`, `"400m"`}},
		{"pods by field", 200, figures, "/pods?fieldSelector=metadata.namespace%3Dbank", 200, []string{`"400m"`}, []string{`"100m"`}},
		{"one pod", 200, figures, "/namespaces/bank/pods/web", 200, []string{`"kind":"PodMetrics"`, `"400m"`}, nil},
		{"no such pod", 200, figures, "/namespaces/bank/pods/db", 404, []string{`"kind":"Status"`, `"reason":"NotFound"`, "bank/db"}, nil},
		{"nodes are the sum of their pods", 200, figures, "/nodes", 200, []string{`"kind":"NodeMetricsList"`, `"name":"node-1"`, `"cpu":"700m"`, `"memory":"3Mi"`}, []string{"node-2"}},
		{"one node", 200, figures, "/nodes/node-1", 200, []string{`"kind":"NodeMetrics"`, `"cpu":"700m"`}, nil},
		{"nodes by label", 200, figures, "/nodes?labelSelector=name%3Dnode-2", 200, []string{`"items":[]`}, nil},
		{"a node without pods", 200, figures, "/nodes/node-2", 404, []string{`"reason":"NotFound"`}, nil},
		{"nothing measured", 200, nil, "/pods", 200, []string{`"items":[]`}, nil},
		{"a wrong selector", 200, figures, "/pods?labelSelector=%3D%3D", 400, []string{`"reason":"BadRequest"`}, nil},
		{"a watch", 200, figures, "/pods?watch=true", 405, []string{`"reason":"MethodNotAllowed"`}, nil},
		{"the host has none", 404, nil, "/pods", 503, []string{"install metrics-server"}, nil},
		{"the host fails, and how is not told", 500, nil, "/pods", 503, []string{"cannot be read now"}, []string{"worker-7"}},
		{"another path", 200, figures, "/secrets", 404, []string{`"kind":"Status"`}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := httptest.NewRecorder()
			begun(t, test.host, test.figures).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, root+test.path, nil))
			body := answer.Body.String()
			if answer.Code != test.code || !json.Valid([]byte(body)) {
				t.Errorf("got code %d, %s, want %d and JSON", answer.Code, body, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("got %s, want %s in it", body, want)
				}
			}
			for _, unwanted := range test.unwanted {
				if strings.Contains(body, unwanted) {
					t.Errorf("got %s, want no %s in it", body, unwanted)
				}
			}
		})
	}
}
