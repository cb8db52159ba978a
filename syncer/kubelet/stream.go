// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/klog/v2"
)

const (
	headerSubprotocol = "Sec-Websocket-Protocol"
	// bearerSubprotocol begins a subprotocol in which a browser sends a token.
	bearerSubprotocol = "base64url.bearer.authorization.k8s.io."
)

// exec runs a command in a container.
func (s *Server) exec(w http.ResponseWriter, r *http.Request, t *target) error {
	query := streams(r.URL.Query(), t.container)
	query["command"] = r.URL.Query()["command"]
	return s.upgrade(w, r, t, "exec", query)
}

// attach connects to the main process of a container.
func (s *Server) attach(w http.ResponseWriter, r *http.Request, t *target) error {
	return s.upgrade(w, r, t, "attach", streams(r.URL.Query(), t.container))
}

// portForward connects to ports of a pod. Which ones is said within the
// connection, except in the oldest protocol, which names them here.
//
// Every port is open, those that a container of the host listens on by loopback, too:
// as anywhere, the containers of a pod share one network. The tenant's own reach
// those ports without this, and a tenant may add a container to any pod. What the
// host injects must not take loopback for a border.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request, t *target) error {
	query := url.Values{}
	for _, list := range r.URL.Query()["port"] {
		for port := range strings.SplitSeq(list, ",") {
			number, err := strconv.ParseUint(port, 10, 16)
			if err != nil || number == 0 {
				return &statusError{http.StatusBadRequest, "port must be a number from 1 to 65535"}
			}
			query.Add("ports", strconv.FormatUint(number, 10))
		}
	}
	return s.upgrade(w, r, t, "portforward", query)
}

// streams translates the parameters that a kubelet knows to those of the API.
func streams(asked url.Values, container string) url.Values {
	query := url.Values{"container": {container}}
	for kubelet, api := range map[string]string{"input": "stdin", "output": "stdout", "error": "stderr", "tty": "tty"} {
		if on, err := strconv.ParseBool(asked.Get(kubelet)); err == nil {
			query.Set(api, strconv.FormatBool(on))
		}
	}
	return query
}

// location is the address on the host of a subresource of the target's pod.
func (s *Server) location(t *target, subresource string, query url.Values) *url.URL {
	location := s.host.JoinPath("api", "v1", "namespaces", t.host.Namespace, "pods", t.host.Name, subresource)
	location.RawQuery = query.Encode()
	return location
}

// upgrade tunnels the connection to the host.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, t *target, subresource string, query url.Values) error {
	if !httpstream.IsUpgradeRequest(r) {
		return &statusError{http.StatusBadRequest, "Upgrade request required"}
	}
	klog.FromContext(r.Context()).V(2).Info("Stream", "subresource", subresource, "pod", klog.KObj(t.virtual), "container", t.container)
	request := r.Clone(r.Context())
	request.Header = upgradeHeader(r.Header)
	// The host closes its end when the container is done, or gone; the caller's is
	// closed with it, and the other way round.
	tunnel := proxy.NewUpgradeAwareHandler(s.location(t, subresource, query), s.tunnel, false, true, responder{})
	tunnel.UpgradeTransport = s.tunnel
	tunnel.UseLocationHost = true
	tunnel.ServeHTTP(lingering{w}, request)
	return nil
}

// upgradeHeader keeps what SPDY and WebSocket need of a request, which goes to the host as the syncer's.
func upgradeHeader(header http.Header) http.Header {
	kept := http.Header{}
	for _, name := range []string{
		httpstream.HeaderConnection, httpstream.HeaderUpgrade, httpstream.HeaderProtocolVersion,
		"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions",
	} {
		if values := header.Values(name); len(values) > 0 {
			kept[http.CanonicalHeaderKey(name)] = values
		}
	}
	offered := strings.Split(strings.Join(header.Values(headerSubprotocol), ","), ",")
	offered = slices.DeleteFunc(offered, func(protocol string) bool {
		return strings.HasPrefix(strings.ToLower(strings.TrimSpace(protocol)), bearerSubprotocol)
	})
	if protocols := strings.TrimSpace(strings.Join(offered, ",")); protocols != "" {
		kept.Set(headerSubprotocol, protocols)
	}
	return kept
}

// responder answers when the host cannot be connected.
type responder struct{}

var _ proxy.ErrorResponder = responder{}

func (responder) Error(w http.ResponseWriter, r *http.Request, err error) { writeError(w, r, err) }
