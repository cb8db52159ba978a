// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/syncer/usage"
)

// recorder stands for the host's API server: it is reached over real TLS, keeps
// what it was asked, and answers as it was told.
type recorder struct {
	server *httptest.Server

	mutex    sync.Mutex
	requests []*http.Request
	answer   http.HandlerFunc
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }}
	r.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mutex.Lock()
		r.requests = append(r.requests, request)
		answer := r.answer
		r.mutex.Unlock()
		answer(w, request)
	}))
	t.Cleanup(r.server.Close)
	return r
}

// seen returns what was asked, and forgets it.
func (r *recorder) seen() []*http.Request {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

func (r *recorder) answers(handler http.HandlerFunc) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.answer = handler
}

// upgrades has it switch protocols at each request, say something, and hand the connection on.
func (r *recorder) upgrades(words string) <-chan net.Conn {
	hosts := make(chan net.Conn, 1)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		connection, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n", words)
		buffered.Flush()
		hosts <- connection
	})
	return hosts
}

const (
	hostNamespace = "team"
	// apiHost is the name under which the API server passes requests on.
	apiHost = "api.kube-system.svc"
)

// fixture is a kubelet that runs on loopback, between a caller and a recorder.
type fixture struct {
	dir        *pkitest.DataDir
	host       *recorder
	address    string
	translator *translate.Translator
	// virtualClient and hostClient are the API servers behind the kubelet's caches.
	virtualClient, hostClient *fake.Clientset
	// clock is that of the figures.
	clock *testingclock.FakeClock
	// dial connects the kubelet with the host where a test sets it.
	dial atomic.Value
}

// virtualPod is a pod inside with those containers.
func virtualPod(namespace, name, uid string, containers ...string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid)}, Spec: corev1.PodSpec{NodeName: "node"}}
	for _, container := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: container})
	}
	return pod
}

// twin is the host pod of a virtual one, with a container that the host injected. The
// syncer asked for all that are inside.
func twin(translator *translate.Translator, virtual *corev1.Pod) *corev1.Pod {
	host := &corev1.Pod{Spec: *virtual.Spec.DeepCopy()}
	asked := containers.RecordOf(virtual, host)
	for i := range virtual.Spec.EphemeralContainers {
		asked = asked.With(virtual.Spec.EphemeralContainers[i].Name)
	}
	translator.Mark(host, translate.IdentityFor(virtual), nil, map[string]string{containers.Annotation: asked.String()})
	host.Spec.Containers = append(host.Spec.Containers, corev1.Container{Name: "injected"})
	return host
}

// debugged is the pod after its tenant added ephemeral containers.
func debugged(pod *corev1.Pod, names ...string) *corev1.Pod {
	pod = pod.DeepCopy()
	for _, name := range names {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name}})
	}
	return pod
}

func lister(t *testing.T, pods ...*corev1.Pod) (corev1listers.PodLister, *fake.Clientset) {
	t.Helper()
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	objects := make([]runtime.Object, 0, len(pods))
	for _, pod := range pods {
		if err := indexer.Add(pod); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, pod)
	}
	return corev1listers.NewPodLister(indexer), fake.NewClientset(objects...)
}

func start(t *testing.T, virtual, host []*corev1.Pod, translator *translate.Translator) *fixture {
	t.Helper()
	return startIn(t, pkitest.NewDataDir(t), virtual, host, translator)
}

// startIn is start with the data directory of a control plane.
func startIn(t *testing.T, dir *pkitest.DataDir, virtual, host []*corev1.Pod, translator *translate.Translator) *fixture {
	t.Helper()
	f := &fixture{dir: dir, host: newRecorder(t), translator: translator, clock: testingclock.NewFakeClock(time.Now())}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = listener.Addr().String()
	virtualPods, virtualClient := lister(t, virtual...)
	hostPods, hostClient := lister(t, host...)
	f.virtualClient, f.hostClient = virtualClient, hostClient
	config := &rest.Config{
		Host: f.host.server.URL, BearerToken: "syncer",
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dial, set := f.dial.Load().(func(context.Context, string, string) (net.Conn, error))
			if !set {
				dial = (&net.Dialer{}).DialContext
			}
			return dial(ctx, network, address)
		},
	}
	figures, err := usage.New(usage.Options{Translator: translator, HostConfig: config, VirtualPods: virtualPods, HostPods: hostPods, Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	server, err := New(Options{
		Listener:   listener,
		Serving:    pki.NewServing(TrustIn(f.dir.Path).Authority, "kubelet", []string{"127.0.0.1", apiHost}, clock.RealClock{}),
		Trust:      TrustIn(f.dir.Path),
		Translator: translator, Virtual: virtualClient, Host: hostClient, VirtualPods: virtualPods, HostPods: hostPods,
		HostConfig: config, Usage: figures, Domain: "example.org",
		API:      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "API") }),
		APIHosts: []string{apiHost},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("kubelet: %v", err)
		}
	})
	return f
}

func (f *fixture) apiServer(t *testing.T) tls.Certificate {
	if f.dir.Kubelet != nil {
		return f.dir.Kubelet.Client(t, pkix.Name{CommonName: "kube-apiserver-kubelet-client"})
	}
	return f.dir.Client.Client(t, pkix.Name{CommonName: "system:apiserver", Organization: []string{"system:masters"}})
}

// roots are what the API server verifies the kubelet with.
func (f *fixture) roots() *x509.CertPool {
	if f.dir.Kubelet != nil {
		return f.dir.Kubelet.Pool()
	}
	return f.dir.Server.Pool()
}

// request sends one request whose path is not cleaned on the way, and returns the answer.
func (f *fixture) request(t *testing.T, certificate tls.Certificate, method, target string, header http.Header) (*http.Response, net.Conn, *bufio.Reader, error) {
	t.Helper()
	connection, err := tls.Dial("tcp", f.address, &tls.Config{RootCAs: f.roots(), Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return nil, nil, nil, err
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var raw strings.Builder
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: kubelet\r\n", method, target)
	for name, values := range header {
		for _, value := range values {
			fmt.Fprintf(&raw, "%s: %s\r\n", name, value)
		}
	}
	raw.WriteString("Content-Length: 0\r\n\r\n")
	if _, err := io.WriteString(connection, raw.String()); err != nil {
		return nil, nil, nil, err
	}
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, &http.Request{Method: method})
	return answer, connection, reader, err
}

// get returns the code and the body of an answer.
func (f *fixture) get(t *testing.T, method, target string, header http.Header) (int, string) {
	t.Helper()
	answer, _, _, err := f.request(t, f.apiServer(t), method, target, header)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer.StatusCode, string(body)
}

func newTranslator(id string) *translate.Translator {
	return translate.New(translate.Cluster{ID: id, Name: "demo", HostNamespace: hostNamespace})
}
