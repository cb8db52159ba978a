package server

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/apiserver/pkg/util/responsewriter"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/openapi"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"
)

// admissionPlugins are upstream's, save that mutating policies learn of changed documents from
// paths. Each five seconds they ask which OpenAPI documents there are, whether there is a policy
// or not. For upstream's, that is a request over TLS with all that belongs to it.
func admissionPlugins(paths *documentPaths) *admission.Plugins {
	plugins := admission.NewPlugins()
	kubeoptions.RegisterAllAdmissionPlugins(plugins)
	lifecycle.Register(plugins)
	validatingwebhook.Register(plugins)
	mutatingwebhook.Register(plugins)
	validatingpolicy.Register(plugins)
	plugins.Register(mutatingpolicy.PluginName, func(config io.Reader) (admission.Interface, error) {
		plugin, err := newMutatingPolicies(config)
		if err != nil {
			return nil, err
		}
		return mutatingPolicies{Plugin: plugin, paths: paths}, nil
	})
	return plugins
}

// mutatingPolicies is upstream's plugin with another client.
type mutatingPolicies struct {
	*mutatingpolicy.Plugin
	paths *documentPaths
}

func (p mutatingPolicies) SetExternalKubeClientSet(client kubernetes.Interface) {
	p.Plugin.SetExternalKubeClientSet(clientWithPaths{Interface: client, paths: p.paths})
}

// clientWithPaths, discoveryWithPaths and openAPIWithPaths pass on everything but one question.
type clientWithPaths struct {
	kubernetes.Interface
	paths *documentPaths
}

func (c clientWithPaths) Discovery() discoveryClient {
	return discoveryWithPaths{discoveryClient: c.Interface.Discovery(), paths: c.paths}
}

type discoveryWithPaths struct {
	discoveryClient
	paths *documentPaths
}

func (d discoveryWithPaths) OpenAPIV3() openapi.Client {
	return openAPIWithPaths{Client: d.discoveryClient.OpenAPIV3(), paths: d.paths}
}

type openAPIWithPaths struct {
	openapi.Client
	paths *documentPaths
}

func (o openAPIWithPaths) Paths() (map[string]openapi.GroupVersion, error) {
	return o.paths.get(o.Client.Paths)
}

// documentPaths knows which OpenAPI documents this server has, and asks it by a request only when
// they have changed.
type documentPaths struct {
	server atomic.Pointer[http.Handler]
	// holds is for how long an answer stands without a look at the server's.
	holds func() time.Duration

	mu    sync.Mutex
	asked time.Time
	body  []byte
	paths map[string]openapi.GroupVersion
}

// serve says who answers in this process.
func (d *documentPaths) serve(handler http.Handler) { d.server.Store(&handler) }

// get returns what the last request returned, for as long as the server would answer the same.
func (d *documentPaths) get(request func() (map[string]openapi.GroupVersion, error)) (map[string]openapi.GroupVersion, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.body != nil && time.Since(d.asked) < d.holds() {
		return maps.Clone(d.paths), nil
	}
	asked, body := time.Now(), d.answer()
	if body != nil && bytes.Equal(body, d.body) {
		d.asked = asked
		return maps.Clone(d.paths), nil
	}
	paths, err := request()
	if err != nil {
		return nil, err
	}
	// What changed in between changes the next answer, too.
	d.asked, d.body, d.paths = asked, body, paths
	return maps.Clone(paths), nil
}

// answer is the list of documents as this process serves it, nil where it does not.
func (d *documentPaths) answer() []byte {
	handler := d.server.Load()
	if handler == nil {
		return nil
	}
	request, err := http.NewRequest(http.MethodGet, "/openapi/v3", http.NoBody)
	if err != nil {
		return nil
	}
	writer := responsewriter.NewInMemoryResponseWriter()
	(*handler).ServeHTTP(writer, request)
	if writer.RespCode() != http.StatusOK {
		return nil
	}
	return writer.Data()
}
