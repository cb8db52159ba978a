// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/syncer/pki/pkitest"
)

// standard is a cluster in which default/web runs, beside things on the host
// that are not its business.
func standard(t *testing.T) *fixture {
	t.Helper()
	translator := newTranslator("one")
	web := virtualPod("default", "web", "uid-web", "app", "side")
	web.Spec.InitContainers = []corev1.Container{{Name: "init"}}
	web.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}}}

	// The name of lost's twin belongs to another virtual cluster, that of stale's
	// stands for an earlier pod, and that of bare's carries no marker.
	lost, stale, bare, pending := virtualPod("default", "lost", "uid-lost", "app"), virtualPod("default", "stale", "uid-stale", "app"),
		virtualPod("default", "bare", "uid-bare", "app"), virtualPod("default", "pending", "uid-pending", "app")
	// The tenant named debug containers as the host named containers of its own: one
	// of each list, and one that an administrator debugs the pod with.
	shop := virtualPod("default", "shop", "uid-shop", "app")
	shopTwin := twin(translator, shop)
	shopTwin.Spec.InitContainers = append(shopTwin.Spec.InitContainers, corev1.Container{Name: "injected-init"})
	shopTwin = debugged(shopTwin, "admin")
	shop = debugged(shop, "injected", "injected-init", "admin")
	lostTwin := twin(newTranslator("two"), lost)
	lostTwin.Name = translator.HostName("default", "lost")
	staleTwin := twin(translator, virtualPod("default", "stale", "uid-before", "app"))
	bareTwin := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: hostNamespace, Name: translator.HostName("default", "bare")}, Spec: bare.Spec}
	return start(t, []*corev1.Pod{web, shop, lost, stale, bare, pending}, []*corev1.Pod{twin(translator, web), shopTwin, lostTwin, staleTwin, bareTwin}, translator)
}

func upgrade(protocol string) http.Header {
	header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {protocol}}
	if protocol == "websocket" {
		header["Sec-WebSocket-Key"] = []string{"dGhlIHNhbXBsZSBub25jZQ=="}
		header["Sec-WebSocket-Version"] = []string{"13"}
		header["Sec-WebSocket-Protocol"] = []string{"v5.channel.k8s.io"}
	} else {
		header["X-Stream-Protocol-Version"] = []string{"v4.channel.k8s.io", "v3.channel.k8s.io"}
	}
	return header
}

// TestWhatNeverReachesTheHost is the threat model, one row a way in.
func TestWhatNeverReachesTheHost(t *testing.T) {
	f := standard(t)
	spdy := upgrade("SPDY/3.1")
	hostName := f.translator.HostName("default", "web")
	for _, test := range []struct {
		name, method, target string
		header               http.Header
		code                 int
	}{
		{"pod that is not inside", "POST", "/exec/default/other/app?command=id", spdy, 404},
		{"pod of another virtual namespace", "POST", "/exec/kube-system/web/app?command=id", spdy, 404},
		{"pod by its host name", "POST", "/exec/" + hostNamespace + "/" + hostName + "/app?command=id", spdy, 404},
		{"host name in the virtual namespace", "GET", "/containerLogs/default/" + hostName + "/app", nil, 404},
		{"container that the host injected", "POST", "/exec/default/web/injected?command=id", spdy, 404},
		{"log of a container that the host injected", "GET", "/containerLogs/default/web/injected", nil, 404},
		{"attach to a container that the host injected", "POST", "/attach/default/web/injected", spdy, 404},
		{"run in a container that the host injected", "POST", "/run/default/web/injected?cmd=id", nil, 404},
		{"exec into a sidecar by a debug container of its name", "POST", "/exec/default/shop/injected?command=id", spdy, 404},
		{"exec with UID into a sidecar by its name", "POST", "/exec/default/shop/uid-shop/injected?command=id", spdy, 404},
		{"exec over WebSocket into a sidecar by its name", "GET", "/exec/default/shop/injected?command=id", upgrade("websocket"), 404},
		{"attach to a sidecar by its name", "POST", "/attach/default/shop/injected", spdy, 404},
		{"log of a sidecar by its name", "GET", "/containerLogs/default/shop/injected", nil, 404},
		{"log of an earlier sidecar by its name", "GET", "/containerLogs/default/shop/injected?previous=true", nil, 404},
		{"run in a sidecar by its name", "POST", "/run/default/shop/injected?cmd=id", nil, 404},
		{"exec into an init container of the host by its name", "POST", "/exec/default/shop/injected-init?command=id", spdy, 404},
		{"exec into an administrator's debug container by its name", "POST", "/exec/default/shop/admin?command=id", spdy, 404},
		{"attach to an administrator's debug container by its name", "POST", "/attach/default/shop/admin", spdy, 404},
		{"log of an administrator's debug container by its name", "GET", "/containerLogs/default/shop/admin", nil, 404},
		{"no container", "POST", "/exec/default/web/?command=id", spdy, 404},
		{"wrong UID", "POST", "/exec/default/web/uid-other/app?command=id", spdy, 404},
		{"wrong UID of a port-forward", "POST", "/portForward/default/web/uid-other", spdy, 404},
		{"host pod of another virtual cluster", "POST", "/exec/default/lost/app?command=id", spdy, 404},
		{"host pod of an earlier life", "POST", "/exec/default/stale/app?command=id", spdy, 404},
		{"host pod without marker", "GET", "/containerLogs/default/bare/app", nil, 404},
		{"pod without host pod", "GET", "/containerLogs/default/pending/app", nil, 404},
		{"dot segments", "POST", "/exec/default/../../exec/default/web/app?command=id", spdy, 400},
		{"escaped slash in the namespace", "GET", "/containerLogs/default%2Fweb/app/app", nil, 404},
		{"escaped slash in the pod", "GET", "/containerLogs/default/web%2F..%2Fother/app", nil, 400},
		{"escaped dots", "GET", "/containerLogs/default/%2e%2e/app", nil, 400},
		{"double slash", "GET", "//containerLogs/default/web/app", nil, 400},
		{"container with a query", "GET", "/containerLogs/default/web/app%3Fcontainer=injected", nil, 404},
		{"upper case", "GET", "/containerLogs/DEFAULT/web/app", nil, 404},
		{"line end in the pod", "GET", "/containerLogs/default/web%0d%0aX:%20y/app", nil, 404},
		{"exec without upgrade", "POST", "/exec/default/web/app?command=id", nil, 400},
		{"port zero", "GET", "/portForward/default/web?port=0", upgrade("websocket"), 400},
		{"port that is a path", "GET", "/portForward/default/web?port=80/../..", upgrade("websocket"), 400},
		{"run without command", "POST", "/run/default/web/app", nil, 400},
		{"metrics API as a kubelet's caller", "GET", "/apis/metrics.k8s.io/v1beta1/pods", nil, 404},
		{"node logs", "GET", "/logs/", nil, 404},
		{"checkpoint", "POST", "/checkpoint/default/web/app", nil, 404},
		{"metrics of what is none", "GET", "/metrics/slis", nil, 404},
		{"other method", "DELETE", "/containerLogs/default/web/app", nil, 405},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body := f.get(t, test.method, test.target, test.header)
			if code != test.code && !(test.code == 405 && code == 404) {
				t.Errorf("got code %d (%s), want %d", code, body, test.code)
			}
			for _, request := range f.host.seen() {
				t.Errorf("the host was asked for %s %s", request.Method, request.URL)
			}
		})
	}
}

func TestCallers(t *testing.T) {
	f := standard(t)
	masters := []string{"system:masters"}
	for _, test := range []struct {
		name        string
		certificate tls.Certificate
		code        int // 0: no connection
	}{
		{"the API server", f.apiServer(t), 200},
		{"nobody", tls.Certificate{}, 0},
		{"an administrator", f.dir.Client.Client(t, pkix.Name{CommonName: "system:admin", Organization: masters}), 403},
		{"somebody who calls themselves the API server", f.dir.Client.Client(t, pkix.Name{CommonName: "system:apiserver"}), 403},
		{"the relay", f.dir.Client.Client(t, pkix.Name{CommonName: "garret:relay"}), 403},
		{"another authority", pkitest.NewAuthority(t, "client-ca").Client(t, pkix.Name{CommonName: "system:apiserver", Organization: masters}), 0},
		{"the authority of servers", f.dir.Server.Client(t, pkix.Name{CommonName: "system:apiserver", Organization: masters}), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, _, _, err := f.request(t, test.certificate, "GET", "/containerLogs/default/web/app", nil)
			code := 0
			if err == nil {
				code = answer.StatusCode
			}
			if code != test.code {
				t.Errorf("got code %d (error %v), want %d", code, err, test.code)
			}
			if asked := len(f.host.seen()); (asked > 0) != (test.code == 200) {
				t.Errorf("the host was asked %d times", asked)
			}
		})
	}
}

// TestCallersOfOwnControlPlane calls the kubelet of a control plane that has an
// authority for kubelets.
func TestCallersOfOwnControlPlane(t *testing.T) {
	translator := newTranslator("here")
	virtual := virtualPod("default", "web", "1", "app")
	f := startIn(t, pkitest.NewOwnDataDir(t), []*corev1.Pod{virtual}, []*corev1.Pod{twin(translator, virtual)}, translator)
	name := pkix.Name{CommonName: "kube-apiserver-kubelet-client"}
	for _, test := range []struct {
		name        string
		certificate tls.Certificate
		code        int // 0: no connection
	}{
		{"the API server", f.apiServer(t), 200},
		{"a kubelet", f.dir.Kubelet.Client(t, pkix.Name{CommonName: "system:node:x", Organization: []string{"system:nodes"}}), 403},
		{"the name, by the certificates API", f.dir.Client.Client(t, name), 0},
		{"the API server of k3s", f.dir.Client.Client(t, pkix.Name{CommonName: "system:apiserver", Organization: []string{"system:masters"}}), 0},
		{"the authority of servers", f.dir.Server.Client(t, name), 0},
	} {
		answer, _, _, err := f.request(t, test.certificate, "GET", "/containerLogs/default/web/app", nil)
		code := 0
		if err == nil {
			code = answer.StatusCode
		}
		if code != test.code {
			t.Errorf("%s: got code %d (error %v), want %d", test.name, code, err, test.code)
		}
	}
}

func TestLogs(t *testing.T) {
	f := standard(t)
	path := "/api/v1/namespaces/" + hostNamespace + "/pods/" + f.translator.HostName("default", "web") + "/log"
	for _, test := range []struct{ name, target, query string }{
		{"plain", "/containerLogs/default/web/app", "container=app"},
		{"init container", "/containerLogs/default/web/init", "container=init"},
		{"ephemeral container", "/containerLogs/default/web/debug", "container=debug"},
		{"all options", "/containerLogs/default/web/app?follow=true&previous=true&timestamps=true&tailLines=3&limitBytes=9&sinceSeconds=7&stream=Stdout",
			"container=app&follow=true&limitBytes=9&previous=true&sinceSeconds=7&stream=Stdout&tailLines=3&timestamps=true"},
		{"both streams", "/containerLogs/default/web/app?stream=All", "container=app"},
		{"another container in the query", "/containerLogs/default/web/app?container=injected&tailLines=1", "container=app&tailLines=1"},
		{"unknown options", "/containerLogs/default/web/app?insecureSkipTLSVerifyBackend=true&dryRun=All", "container=app"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body := f.get(t, "GET", test.target, http.Header{"Authorization": {"Bearer tenant"}, "Impersonate-User": {"admin"}, "Connection": {"close"}})
			if code != 200 || body != "hello" {
				t.Errorf("got %d %q, want 200 %q", code, body, "hello")
			}
			seen := f.host.seen()
			if len(seen) != 1 {
				t.Fatalf("the host was asked %d times, want once", len(seen))
			}
			if got := seen[0]; got.URL.Path != path || got.URL.RawQuery != test.query {
				t.Errorf("the host was asked for %s?%s, want %s?%s", got.URL.Path, got.URL.RawQuery, path, test.query)
			}
			credentials(t, seen[0])
		})
	}
}

// credentials checks that a request to the host is the syncer's own.
func credentials(t *testing.T, request *http.Request) {
	t.Helper()
	if got := request.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer syncer" {
		t.Errorf("the host saw Authorization %q, want the syncer's alone", got)
	}
	if got := strings.Join(request.Header.Values(headerSubprotocol), ","); got != "" && got != "v5.channel.k8s.io" {
		t.Errorf("the host saw the subprotocols %q, want no token among them", got)
	}
	for name := range request.Header {
		if strings.HasPrefix(name, "Impersonate-") || strings.HasPrefix(name, "X-Remote-") || name == "Cookie" {
			t.Errorf("the host saw the header %s", name)
		}
	}
}

// TestRefusalsNameThePodInside has the host refuse, in its own names.
func TestRefusalsNameThePodInside(t *testing.T) {
	f := standard(t)
	hostName := f.translator.HostName("default", "web")
	f.host.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(metav1.Status{Code: 400, Message: fmt.Sprintf("container %q in pod %q is waiting to start", "app", hostName)})
	})
	code, body := f.get(t, "GET", "/containerLogs/default/web/app", nil)
	if want := `container "app" in pod "web" is waiting to start`; code != 400 || strings.TrimSpace(body) != want {
		t.Errorf("got %d %q, want 400 %q", code, body, want)
	}
}

// TestNameOfAnInjectedContainer wants the tenant to read why a debug container cannot be had.
func TestNameOfAnInjectedContainer(t *testing.T) {
	f := standard(t)
	for _, name := range []string{"injected", "injected-init", "admin"} {
		code, body := f.get(t, "GET", "/containerLogs/default/shop/"+name, nil)
		if want := "spec.ephemeralContainers{" + name + "}: the host cluster has added a container of that name to the pod there"; code != 404 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %q, want 404 %q", name, code, body, want)
		}
	}
	if code, body := f.get(t, "GET", "/containerLogs/default/shop/app", nil); code != 200 || body != "hello" {
		t.Errorf("the pod's own container: got %d %q", code, body)
	}
}

// TestYoungDebugContainer has a debug container that the caches do not know yet.
func TestYoungDebugContainer(t *testing.T) {
	f := standard(t)
	pod, err := f.virtualClient.CoreV1().Pods("default").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod = debugged(pod, "young")
	if _, err := f.virtualClient.CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if code, body := f.get(t, "GET", "/containerLogs/default/web/young", nil); code != 404 || len(f.host.seen()) > 0 {
		t.Errorf("before it is on the host: got %d %s, want 404", code, body)
	}
	if _, err := f.hostClient.CoreV1().Pods(hostNamespace).Update(t.Context(), twin(f.translator, pod), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if code, body := f.get(t, "GET", "/containerLogs/default/web/young", nil); code != 200 || body != "hello" {
		t.Errorf("once it is on the host: got %d %s, want its log", code, body)
	}
}

// TestFollowedLogEnds checks that a follower gets lines as they come, and that
// the host is let go when the follower leaves.
func TestFollowedLogEnds(t *testing.T) {
	f := standard(t)
	gone := make(chan struct{})
	f.host.answers(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	answer, connection, _, err := f.request(t, f.apiServer(t), "GET", "/containerLogs/default/web/app?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || line != "first\n" {
		t.Fatalf("got line %q, error %v", line, err)
	}
	connection.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the host still streams, though nobody listens")
	}
}
