// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/ignore"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/wake"
)

// Attendant hears who uses virtual clusters, and wakes them.
type Attendant interface {
	// Seen notes that the virtual cluster is used now. It is called on every request.
	Seen(cluster *tenancy.VirtualCluster)
	// Stays notes that it is used until the function that it returns is called.
	Stays(cluster *tenancy.VirtualCluster) (leaves func())
	// Awake waits until the virtual cluster has what a request needs, and returns it as it
	// is then. Errors are API errors, or that of ctx.
	Awake(ctx context.Context, cluster *tenancy.VirtualCluster, user string, need wake.Need) (*tenancy.VirtualCluster, error)
}

// visit is what a request means for the sleep of a virtual cluster. Its user has been let in.
type visit struct {
	relay   *Relay
	cluster *tenancy.VirtualCluster
	user    string
	need    wake.Need
	record  *record
	// ignored says that the request is no activity.
	ignored bool
	leaves  func()
}

// visit notes the request, unless it is ignored. A stream counts until its end.
func (r *Relay) visit(cluster *tenancy.VirtualCluster, host user.Info, req *http.Request, path string, rec *record, upgrade bool) *visit {
	v := &visit{relay: r, cluster: cluster, user: host.GetName(), record: rec, need: need(rec, upgrade)}
	if r.attendant == nil {
		return v
	}
	if len(cluster.Spec.Sleep.Ignore) > 0 {
		v.ignored = Ignores(&cluster.Spec.Sleep, ignore.Use{
			User: host.GetName(), Groups: host.GetGroups(), UserAgent: req.Header.Get(headerAgent), Verb: rec.verb, Path: path,
		})
	}
	switch {
	case v.ignored:
	case rec.long || upgrade:
		v.leaves = r.attendant.Stays(cluster)
	default:
		r.attendant.Seen(cluster)
	}
	return v
}

// Ignores says whether a request is no activity.
func Ignores(spec *tenancy.SleepSpec, use ignore.Use) bool {
	for i := range spec.Ignore {
		if rule := v1.IgnoredRequests(spec.Ignore[i]); ignore.Means(&rule, use) {
			return true
		}
	}
	return false
}

// need is what a request needs of its virtual cluster. The syncer has a say in what is
// written, and logs, proxies and streams lead through it.
func need(rec *record, upgrade bool) wake.Need {
	switch rec.verb {
	case "watch":
		return wake.Answers
	case "get", "list", "head":
		if !upgrade && !rec.long {
			return wake.Answers
		}
	}
	return wake.Synced
}

// end is the end of the request.
func (v *visit) end() {
	if v.leaves != nil {
		v.leaves()
	}
}

// enter returns the virtual cluster as soon as it can be entered. One that sleeps is woken,
// unless the request is ignored.
func (v *visit) enter(ctx context.Context) (*tenancy.VirtualCluster, error) {
	switch {
	case v.relay.attendant == nil, !wake.Holds(v.cluster):
		return v.cluster, access.Enterable(v.cluster)
	case v.ignored:
		return v.cluster, access.Unwoken(v.cluster)
	}
	begin := time.Now()
	defer v.relay.metrics.open(kindHeld)()
	defer func() { v.record.held = time.Since(begin) }()
	return v.relay.attendant.Awake(ctx, v.cluster, v.user, v.need)
}
