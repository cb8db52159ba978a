package server

import (
	"net/http"

	genericapiserver "k8s.io/apiserver/pkg/server"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
)

// publicPaths answers the two paths that k3s serves to everybody, before
// authentication: /ping, which tells that the listener is up (probes have no
// credentials), and /cacerts, the public certificate that clients verify.
func publicPaths(l datadir.Layout, build func(http.Handler, *genericapiserver.Config) http.Handler) func(http.Handler, *genericapiserver.Config) http.Handler {
	return func(api http.Handler, config *genericapiserver.Config) http.Handler {
		chain := build(api, config)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/ping" && r.Method == http.MethodGet:
				w.Header().Set("Content-Type", "text/plain")
				_, _ = w.Write([]byte("pong"))
			case r.URL.Path == "/cacerts" && r.Method == http.MethodGet:
				ca, err := l.CA(datadir.ServerCA)
				if err != nil {
					http.Error(w, "certificate authority not readable", http.StatusInternalServerError)
					return
				}
				w.Header().Set("Content-Type", "text/plain")
				_, _ = w.Write(ca)
			default:
				chain.ServeHTTP(w, r)
			}
		})
	}
}
