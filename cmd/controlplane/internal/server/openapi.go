package server

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	restful "github.com/emicklei/go-restful/v3"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/component-base/version"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/handler3"
)

// lazyOpenAPI serves the OpenAPI documents of the built-in groups as upstream
// builds them, each when it is first asked for. Built at start, as upstream
// does, they take a second of a start and some fifty MiB for as long as the
// process lives, and most clusters are only ever asked for a few.
//
// What a version 3 document is addressed by is therefore not a hash of its
// bytes but of all that determines them: the program, its feature gates and
// the served groups. It changes whenever they may, which is all that clients
// use it for.
type lazyOpenAPI struct {
	v2   *openapicommon.Config
	v3   *openapicommon.OpenAPIV3Config
	salt string
}

// newLazyOpenAPI takes the building of OpenAPI documents over from the server
// that config is for.
func newLazyOpenAPI(config *genericapiserver.Config, determinants ...string) *lazyOpenAPI {
	config.SkipOpenAPIInstallation = true
	slim(config.OpenAPIConfig, config.OpenAPIV3Config)
	return &lazyOpenAPI{
		v2:   config.OpenAPIConfig,
		v3:   config.OpenAPIV3Config,
		salt: strings.Join(append([]string{version.Get().String(), buildIdentity()}, determinants...), "\n"),
	}
}

// buildIdentity tells two builds of one version apart by their dependencies.
func buildIdentity() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.String()
	}
	return ""
}

// install registers the documents' paths on the server of the built-in groups,
// which is the aggregator's delegate. It must run before PrepareRun: the
// aggregator then asks which documents there are.
func (o *lazyOpenAPI) install(server *genericapiserver.GenericAPIServer) error {
	container, paths := server.Handler.GoRestfulContainer, server.Handler.NonGoRestfulMux
	if o.v2 != nil {
		paths.Handle("/openapi/v2", lazyHandler(func() http.Handler {
			built := mux.NewPathRecorderMux("openapi-v2")
			routes.OpenAPI{Config: o.v2}.InstallV2(container, built)
			return built
		}))
	}
	if o.v3 != nil {
		return o.installV3(container, paths)
	}
	return nil
}

func (o *lazyOpenAPI) installV3(container *restful.Container, paths *mux.PathRecorderMux) error {
	discovery := handler3.OpenAPIV3Discovery{Paths: map[string]handler3.OpenAPIV3DiscoveryGroupVersion{}}
	for _, service := range container.RegisteredWebServices() {
		name := strings.TrimPrefix(service.RootPath(), "/")
		hash := fmt.Sprintf("%X", sha256.Sum256([]byte(o.salt+"\n"+name)))
		address := (&url.URL{Path: "/openapi/v3/" + name, RawQuery: url.Values{"hash": {hash}}.Encode()}).String()
		discovery.Paths[name] = handler3.OpenAPIV3DiscoveryGroupVersion{ServerRelativeURL: address}
		paths.Handle("/openapi/v3/"+name, addressed(hash, address, lazyHandler(func() http.Handler {
			built := mux.NewPathRecorderMux("openapi-v3")
			only := restful.NewContainer()
			only.Add(service)
			routes.OpenAPI{V3Config: o.v3}.InstallV3(only, built)
			return built
		})))
	}
	body, err := json.Marshal(discovery)
	if err != nil {
		return fmt.Errorf("openapi: %w", err)
	}
	etag := fmt.Sprintf("%q", fmt.Sprintf("%X", sha256.Sum256(body)))
	paths.HandleFunc("/openapi/v3", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", etag)
		_, _ = w.Write(body)
	})
	return nil
}

// forget lets go of the definitions of all types, once all servers have installed their groups.
// A document that is asked for later takes them from the program again.
func (o *lazyOpenAPI) forget() {
	if o.v3 != nil {
		o.v3.Definitions = nil
	}
}

// lazyHandler builds its handler for the first request and keeps it.
func lazyHandler(build func() http.Handler) http.Handler {
	built := sync.OnceValue(build)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { built().ServeHTTP(w, r) })
}

// addressed gives a document the caching that upstream gives it: for good when
// it is asked for by the hash it has, sent there when by another, and by its
// entity tag when by none.
func addressed(hash, address string, document http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch query.Get("hash") {
		case "":
			document.ServeHTTP(w, r)
			return
		case hash:
		default:
			http.Redirect(w, r, address, http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", time.Now().AddDate(1, 0, 0).Format(time.RFC1123))
		query.Del("hash")
		plain := r.Clone(r.Context())
		plain.URL.RawQuery = query.Encode()
		document.ServeHTTP(w, plain)
	})
}
