package server

import (
	"time"

	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	controlplane "k8s.io/kubernetes/pkg/controlplane/apiserver"
)

const (
	// aloneInterval is how often a server without others renews its leases, which only
	// others would read. It also creates its Service again then; the syncer does so
	// within ten seconds.
	aloneInterval = 10 * time.Minute
	// aloneTTL is how long such a lease lasts.
	aloneTTL = 3 * aloneInterval
)

// alone makes a server that shares its database with nobody renew its leases seldom.
// Every ten seconds it would write three, each of which wakes every watch of the
// database.
func alone(config *app.Config) {
	controlplane.IdentityLeaseRenewIntervalPeriod = aloneInterval
	extra := &config.KubeAPIs.Extra
	extra.EndpointReconcilerConfig.Interval = aloneInterval
	extra.MasterEndpointReconcileTTL = aloneTTL
}
