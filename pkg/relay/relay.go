// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/audit"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

const (
	// DefaultTunnelIdle is after what time without a byte in either direction a
	// tunnel is closed; a kubelet does the same after the same time.
	DefaultTunnelIdle = 4 * time.Hour

	// DefaultCallerStall is after what time in which a caller reads nothing of
	// an answer, although there is some, the answer is broken off.
	DefaultCallerStall = 10 * time.Minute

	// maxRequestHeader bounds path, query and header of a request, in bytes: what
	// the API server inside takes, 1 MiB, less what the relay adds.
	maxRequestHeader = 512 << 10

	// AuditEnteredAs and AuditGroup are audit annotations: who the caller is inside.
	AuditEnteredAs = "tenancy.garret.dev/entered-as"
	AuditGroup     = "tenancy.garret.dev/entered-with"
	// AuditVerb is the verb of the request inside. The event's own is what the host
	// authorised: a watch is a get there, and by the gateway so is every write.
	AuditVerb = "tenancy.garret.dev/verb-inside"
)

// Config is what a Relay is made of.
type Config struct {
	// Gate decides as whom a caller enters.
	Gate *access.Gate
	// Credentials are those with which the relay itself enters.
	Credentials *access.Credentials
	// Dial opens connections to the Services of virtual clusters.
	Dial access.Dialer
	// TunnelIdle bounds the silence in a tunnel. Zero means DefaultTunnelIdle.
	TunnelIdle time.Duration
	// CallerStall limits the time in which a caller reads nothing of an answer.
	// Zero means DefaultCallerStall.
	CallerStall time.Duration
	// Metrics count what the relay does. They may be left out.
	Metrics *Metrics
	// Attendant hears who uses virtual clusters, and wakes them. It may be left out.
	Attendant Attendant
}

// Relay carries requests into virtual clusters.
type Relay struct {
	gate        *access.Gate
	connections *connections
	tunnelIdle  time.Duration
	callerStall time.Duration
	buffers     *bufferPool
	drain       *drain
	metrics     *Metrics
	judge       *judge
	attendant   Attendant
}

// New makes a Relay.
func New(config Config) *Relay {
	counted := config.Metrics
	if counted == nil {
		// What is not registered cannot fail to be.
		counted, _ = NewMetrics(nil)
	}
	return &Relay{
		gate:        config.Gate,
		connections: newConnections(config.Credentials, config.Dial, counted),
		tunnelIdle:  cmp.Or(config.TunnelIdle, DefaultTunnelIdle),
		callerStall: cmp.Or(config.CallerStall, DefaultCallerStall),
		buffers:     newBufferPool(),
		drain:       newDrain(),
		metrics:     counted,
		judge:       newJudge(),
		attendant:   config.Attendant,
	}
}

// Handler answers requests that came in by an Entrance of cluster, which the
// caller has just read from storage. It expects in the request's context the
// user and the request info of an API server's handler chain, and that the
// chain has authorised the verb.
func (r *Relay) Handler(cluster *tenancy.VirtualCluster) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		rec := &record{begin: time.Now(), verb: verbOf(req.Method)}
		defer r.metrics.finish(rec)
		req, end := observed(req, cluster)
		defer func() { end(rec) }()
		if err := r.serve(w, req, cluster, rec); err != nil {
			writeError(w, req, cluster, rec, err)
		}
	})
}

// entry is one request on its way in: checked, and about to be sent.
type entry struct {
	cluster  *tenancy.VirtualCluster
	identity access.Identity
	// target is the address inside, query included.
	target *url.URL
	record *record
}

// serve checks everything that can be checked before a byte is sent. What it
// returns has not been written to w.
func (r *Relay) serve(w http.ResponseWriter, req *http.Request, cluster *tenancy.VirtualCluster, rec *record) error {
	ctx := req.Context()
	host, ok := apirequest.UserFrom(ctx)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("no user in the request's context"))
	}
	info, ok := apirequest.RequestInfoFrom(ctx)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("no request info in the request's context"))
	}
	entrance, ok := entranceOf(ctx, info)
	if !ok || entrance.Namespace != cluster.Namespace || entrance.Name != cluster.Name {
		return apierrors.NewInternalError(fmt.Errorf("the request was not authorised for virtual cluster %s/%s", cluster.Namespace, cluster.Name))
	}
	path, err := innerPath(req.URL, entrance.Prefix)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if err := checkForm(req); err != nil {
		return err
	}
	protocol, err := upgradeProtocol(req)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	identity, err := r.gate.Enter(ctx, host, cluster, protocol != "" && !entrance.UpgradesInside)
	if err != nil {
		return err
	}
	audit.AddAuditAnnotations(ctx, AuditEnteredAs, identity.User, AuditGroup, identity.Groups[0])
	path.Scheme = "https"
	path.Host = v1.ServerName(cluster.Name, cluster.Namespace)
	path.RawQuery = innerQuery(req)
	rec.verb, rec.long = r.judge.kind(req.Method, path)
	audit.AddAuditAnnotation(ctx, AuditVerb, rec.verb)
	visit := r.visit(cluster, host, req, path.Path, rec, protocol != "")
	defer visit.end()
	if cluster, err = visit.enter(ctx); err != nil {
		return err
	}
	e := entry{cluster: cluster, identity: identity, target: path, record: rec}
	if protocol != "" {
		if entrance.UpgradesInside {
			if err := r.askInside(ctx, req.Method, e); err != nil {
				return err
			}
		}
		return r.tunnel(w, req, e, protocol)
	}
	return r.forward(w, req, e)
}

// checkForm refuses methods that the host has no verb for, so that they were
// not authorised, and headers that the API server inside would not take.
func checkForm(req *http.Request) error {
	if err := checkMethod(req.Method); err != nil {
		return err
	}
	size := len(req.RequestURI)
	for name, values := range req.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if size > maxRequestHeader {
		return tooLarge(size)
	}
	return nil
}

func checkMethod(method string) error {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return nil
	}
	return apierrors.NewMethodNotSupported(tenancy.Resource(resource), method)
}
