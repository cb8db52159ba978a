// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfigv1beta1 "k8s.io/kubelet/config/v1beta1"
	"k8s.io/utils/ptr"
)

// measuredCluster is a cluster with a running pod that the host measures, beside others whose
// figures are nobody's inside.
func measuredCluster(t *testing.T) *fixture {
	translator := newTranslator("one")
	web := virtualPod("default", "web", "uid-web", "app", "side")
	started := metav1.NewTime(time.Unix(1700000000, 0))
	web.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")}
	web.Spec.Containers[0].ReadinessProbe, web.Spec.Containers[1].StartupProbe = &corev1.Probe{}, &corev1.Probe{}
	web.Status.Phase = corev1.PodRunning
	for _, name := range []string{"app", "side"} {
		web.Status.ContainerStatuses = append(web.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, Image: "example.org/" + name, ContainerID: "containerd://id-of-" + name, Started: ptr.To(name == "app"),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
	stale := virtualPod("default", "stale", "uid-stale", "app")
	staleTwin := twin(translator, virtualPod("default", "stale", "uid-before", "app"))
	pending := virtualPod("default", "pending", "uid-pending", "app")
	f := start(t, []*corev1.Pod{web, stale, pending}, []*corev1.Pod{twin(translator, web), staleTwin}, translator)
	f.measure("2026-01-01T00:00:10Z", "250m")
	return f
}

// measure has the host tell figures of that time.
func (f *fixture) measure(at, cpu string) {
	f.host.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/metrics.k8s.io/v1beta1/namespaces/"+hostNamespace+"/pods" || r.URL.Query().Get("labelSelector") != "garret.dev/cluster=one" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"items":[{"metadata":{"name":%q},"timestamp":%q,"window":"10s","containers":[
			{"name":"app","usage":{"cpu":%q,"memory":"64Mi"}},{"name":"injected","usage":{"cpu":"1"}}]},
			{"metadata":{"name":%q},"timestamp":%q,"containers":[{"name":"app","usage":{"cpu":"7"}}]}]}`,
			f.translator.HostName("default", "web"), at, cpu, f.translator.HostName("default", "stale"), at)
	})
}

// TestReports wants each report to hold what is the tenant's, and nothing of the host's.
func TestReports(t *testing.T) {
	f := measuredCluster(t)
	at := "1767225610000" // 2026-01-01T00:00:10Z, in milliseconds
	for _, test := range []struct {
		path string
		want []string
	}{
		{"/stats/summary", []string{`"usageNanoCores":250000000`, `"workingSetBytes":67108864`, `"usageCoreNanoSeconds":2500000000`, `"name":"pending"`, `"nodeName":"node"`}},
		{"/metrics/resource", []string{
			`container_cpu_usage_seconds_total{container="app",namespace="default",pod="web"} 2.5 ` + at,
			`container_memory_working_set_bytes{container="app",namespace="default",pod="web"} 6.7108864e+07 ` + at,
			`container_start_time_seconds{container="app",namespace="default",pod="web"} 1.7e+09`,
			`pod_cpu_usage_seconds_total{namespace="default",pod="web"} 2.5 ` + at, `node_cpu_usage_seconds_total 2.5 ` + at, "resource_scrape_error 0"}},
		{"/metrics/cadvisor", []string{
			`container_cpu_usage_seconds_total{container="app",cpu="total",id="/id-of-app",image="example.org/app",name="id-of-app",namespace="default",pod="web"} 2.5 ` + at,
			`container_spec_memory_limit_bytes{container="app",id="/id-of-app",image="example.org/app",name="id-of-app",namespace="default",pod="web"} 1.34217728e+08`}},
		{"/metrics/probes", []string{
			`prober_probe_result{container="app",namespace="default",pod="web",pod_uid="uid-web",probe_type="Readiness"} 1`,
			`prober_probe_result{container="side",namespace="default",pod="web",pod_uid="uid-web",probe_type="Startup"} 1`}},
		{"/metrics", []string{"kubelet_running_pods 1\n", `kubelet_running_containers{container_state="running"} 2`}},
		{"/pods", []string{`"name":"web"`, `"name":"pending"`}},
		{"/runningpods/", []string{`"name":"web"`}},
		{"/healthz", []string{"ok"}},
		{"/healthz/syncloop", []string{"ok"}},
	} {
		code, body := f.get(t, "GET", test.path, nil)
		for _, want := range test.want {
			if code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: got %d, without %s: %s", test.path, code, want, body)
			}
		}
		for _, foreign := range []string{"injected", "7000000000", "} 70"} {
			if strings.Contains(body, foreign) {
				t.Errorf("%s tells of %s, which is the host's: %s", test.path, foreign, body)
			}
		}
	}
	if _, body := f.get(t, "GET", "/runningpods/", nil); strings.Contains(body, "pending") {
		t.Errorf("running pods: got %s, want none that does not run", body)
	}
	if asked := len(f.host.seen()); asked != 1 {
		t.Errorf("the host was asked %d times within a moment, want once", asked)
	}
}

// TestTotals wants the CPU time to grow by the rate, for the time between measurements.
func TestTotals(t *testing.T) {
	f := measuredCluster(t)
	for _, step := range []struct{ at, cpu, want string }{
		{"2026-01-01T00:00:10Z", "250m", "2.5"},
		{"2026-01-01T00:00:10Z", "250m", "2.5"},  // the same measurement again
		{"2026-01-01T00:00:30Z", "500m", "12.5"}, // and half a CPU for 20 s
		{"2026-01-01T00:00:20Z", "500m", "12.5"}, // one that is older than the last
	} {
		f.measure(step.at, step.cpu)
		f.clock.Step(time.Minute)
		if _, body := f.get(t, "GET", "/metrics/resource", nil); !strings.Contains(body, `total{container="app",namespace="default",pod="web"} `+step.want+" ") {
			t.Errorf("measured at %s: got %s, want %s", step.at, body, step.want)
		}
	}
}

// TestReportsWithoutMetrics wants pods without usage where the host has no figures.
func TestReportsWithoutMetrics(t *testing.T) {
	f := measuredCluster(t)
	f.host.answers(http.NotFound)
	for path, want := range map[string]string{
		"/stats/summary": `"name":"web"`, "/metrics/resource": "resource_scrape_error 1", "/metrics/cadvisor": "container_spec_memory_limit_bytes{",
	} {
		if code, body := f.get(t, "GET", path, nil); code != 200 || !strings.Contains(body, want) || strings.Contains(body, "usageNanoCores") || strings.Contains(body, "cpu_usage") {
			t.Errorf("%s: got %d %s, want %s and no usage", path, code, body, want)
		}
	}
}

func TestConfigz(t *testing.T) {
	f := standard(t)
	_, body := f.get(t, "GET", "/configz", nil)
	var got struct {
		Config kubeletconfigv1beta1.KubeletConfiguration `json:"kubeletconfig"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Config.ClusterDomain != "example.org" || fmt.Sprintf("127.0.0.1:%d", got.Config.Port) != f.address {
		t.Errorf("got %s, %v, want the domain and the port", body, err)
	}
}

// TestAggregation wants requests to the API from whom the API server passes them on as, and
// nobody else; and that one may not call the kubelet.
func TestAggregation(t *testing.T) {
	f := standard(t)
	name := pkix.Name{CommonName: "system:auth-proxy"}
	for _, test := range []struct {
		name        string
		certificate tls.Certificate
		path, want  string
		code        int // 0: no connection
	}{
		{"passed on", f.dir.FrontProxy.Client(t, name), "/apis/metrics.k8s.io/v1beta1/pods", "API", 200},
		{"passed on to the kubelet", f.dir.FrontProxy.Client(t, name), "/containerLogs/default/web/app", "API", 200},
		{"the name, by the certificates API", f.dir.Client.Client(t, name), "/apis/metrics.k8s.io/v1beta1/pods", "", 403},
		{"the authority, by another name", f.dir.FrontProxy.Client(t, pkix.Name{CommonName: "x"}), "/apis/metrics.k8s.io/v1beta1/pods", "", 403},
		{"the API server's name, by that authority", f.dir.FrontProxy.Client(t, pkix.Name{CommonName: "system:apiserver", Organization: []string{"system:masters"}}), "/containerLogs/default/web/app", "", 403},
		{"the authority of servers", f.dir.Server.Client(t, name), "/apis/metrics.k8s.io/v1beta1/pods", "", 0},
	} {
		answer, _, _, err := f.request(t, test.certificate, "GET", test.path, nil)
		code, body := 0, []byte{}
		if err == nil {
			code = answer.StatusCode
			body, _ = io.ReadAll(answer.Body)
		}
		if code != test.code || test.want != "" && string(body) != test.want {
			t.Errorf("%s: got code %d, %q (error %v), want %d, %q", test.name, code, body, err, test.code, test.want)
		}
		if asked := f.host.seen(); len(asked) > 0 {
			t.Errorf("%s: the host was asked for %s", test.name, asked[0].URL)
		}
	}
}
