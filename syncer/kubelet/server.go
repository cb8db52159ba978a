// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"
	kubeletconfigv1beta1 "k8s.io/kubelet/config/v1beta1"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/syncer/usage"
)

// Options are what a Server is made of.
type Options struct {
	// Listener is where the kubelet's API is served.
	Listener net.Listener
	// Serving is the certificate that it shows, of the authority in Trust.
	Serving *pki.Serving
	// Trust says who is let in.
	Trust Trust

	Translator *translate.Translator
	// Virtual and Host are asked for pods that the listers do not know yet.
	Virtual, Host kubernetes.Interface
	// VirtualPods and HostPods list the pods of both sides.
	VirtualPods, HostPods corev1listers.PodLister
	// HostConfig is how the host's API is reached.
	HostConfig *rest.Config
	// Wakes says whether a pod inside was put to sleep and is run again on the host, or may be.
	Wakes func(types.UID) bool
	Clock clock.WithTicker
	// Usage tells what pods use of CPU and memory.
	Usage *usage.Source
	// API answers what the API server passes on for an APIService.
	API http.Handler
	// APIHosts are the names by which the API server calls it then. It looks every half a minute
	// whether each APIService is there, by five requests at once. Over HTTP/1.1 these are five
	// connections, each of which costs both sides more than all five answers.
	APIHosts []string
	// Domain is the DNS domain of the cluster.
	Domain string
}

// Server is the virtual kubelet.
type Server struct {
	listener net.Listener
	serving  *pki.Serving
	trust    Trust
	apiHosts []string
	pods     pods
	wakes    func(types.UID) bool
	clock    clock.WithTicker
	// waiting has room for the requests that may wait for pods.
	waiting chan struct{}
	usage   *usage.Source
	api     http.Handler
	config  kubeletconfigv1beta1.KubeletConfiguration

	// host is the address of the host's API, hostConfig how it is reached.
	host       *url.URL
	hostConfig *rest.Config
	// client is for plain requests, tunnel for upgraded ones.
	client *http.Client
	tunnel proxy.UpgradeRequestRoundTripper
}

// New returns a server of the kubelet's API.
func New(o Options) (*Server, error) {
	// A stream is as long as its reader likes, and the host's own fairness is enough.
	config := rest.CopyConfig(o.HostConfig)
	config.Timeout = 0
	host, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("virtual kubelet: host: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("virtual kubelet: host: %w", err)
	}
	tunnel, err := tunnelTransport(config)
	if err != nil {
		return nil, fmt.Errorf("virtual kubelet: host: %w", err)
	}
	return &Server{
		listener: o.Listener, serving: o.Serving, trust: o.Trust, apiHosts: o.APIHosts,
		pods:  pods{o.Translator, o.Virtual, o.Host, o.VirtualPods, o.HostPods},
		wakes: o.Wakes, clock: o.Clock, waiting: make(chan struct{}, maxWaiting),
		usage: o.Usage, api: o.API, config: configuration(o),
		host: host, hostConfig: config, client: client, tunnel: tunnel,
	}, nil
}

// tunnelTransport connects over HTTP/1.1, the only version that upgrades, and
// puts the syncer's credentials into requests.
func tunnelTransport(config *rest.Config) (proxy.UpgradeRequestRoundTripper, error) {
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	if tlsConfig != nil {
		tlsConfig.NextProtos = []string{"http/1.1"}
	}
	credentials, err := rest.HTTPWrappersForConfig(config, proxy.MirrorRequest)
	if err != nil {
		return nil, err
	}
	return proxy.NewUpgradeRequestRoundTripper(&http.Transport{TLSClientConfig: tlsConfig, DialContext: heardOut(config.Dial)}, credentials), nil
}

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error {
	config := pki.Multiplexed(pki.ServerConfig(s.serving, s.trust.all), s.apiHosts)
	return pki.Serve(ctx, "kubelet", s.listener, config, s.Handler())
}

// Handler answers requests that came over mutual TLS.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, check := range []string{"", "/ping", "/syncloop"} {
		mux.HandleFunc("GET /healthz"+check, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	}
	mux.HandleFunc("GET /configz", s.configz)
	mux.HandleFunc("GET /pods", s.listPods)
	mux.HandleFunc("GET /runningpods/{$}", s.listRunningPods)
	mux.HandleFunc("GET /stats/summary", s.summary)
	for path, collector := range map[string]metrics.StableCollector{
		"": &stateCollector{server: s}, "/probes": &probeCollector{server: s},
		"/resource": &resourceCollector{server: s}, "/cadvisor": &containerCollector{server: s},
	} {
		registry := metrics.NewKubeRegistry()
		registry.CustomMustRegister(collector)
		mux.Handle("GET /metrics"+path, metrics.HandlerFor(registry, metrics.HandlerOpts{ErrorHandling: metrics.ContinueOnError}))
	}
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.inContainer(s.logs))
	mux.HandleFunc("POST /run/{namespace}/{pod}/{container}", s.inContainer(s.run))
	mux.HandleFunc("POST /run/{namespace}/{pod}/{uid}/{container}", s.inContainer(s.run))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{container}", s.inContainer(s.exec))
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{uid}/{container}", s.inContainer(s.exec))
		mux.HandleFunc(method+" /attach/{namespace}/{pod}/{container}", s.inContainer(s.attach))
		mux.HandleFunc(method+" /attach/{namespace}/{pod}/{uid}/{container}", s.inContainer(s.attach))
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", s.inPod(s.portForward))
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}/{uid}", s.inPod(s.portForward))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("%s is not served by the kubelet of a virtual node", r.URL.Path), http.StatusNotFound)
	})
	return s.guard(mux, s.api)
}

// guard lets the virtual API server in, and paths that mean what they say. As what it
// calls decides where it gets to: a kubelet's callers have no rights in an API.
func (s *Server) guard(kubelet, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			http.Error(w, "a client certificate is required", http.StatusUnauthorized)
			return
		}
		var next http.Handler
		switch caller := r.TLS.VerifiedChains[0][0]; {
		case s.trust.IsAPIServer(caller):
			next = kubelet
		case s.trust.isAggregator(caller) && api != nil:
			next = api
		default:
			klog.FromContext(r.Context()).Info("Refused a caller of the kubelet", "user", caller.Subject.CommonName, "path", r.URL.Path)
			http.Error(w, "only the API server may call the kubelet", http.StatusForbidden)
			return
		}
		// The mux would answer with a redirect, and the API server would follow it.
		clean := path.Clean(r.URL.Path)
		if clean != r.URL.Path && clean+"/" != r.URL.Path {
			http.Error(w, "the path is not clean", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
