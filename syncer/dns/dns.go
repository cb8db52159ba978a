// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dns answers the names of a virtual cluster in the syncer's own process, without a pod of its
// own. It is CoreDNS as a library, with a Corefile that no tenant writes: CoreDNS reads files and
// opens ports by its configuration, and here it would do so with the syncer's rights.
package dns

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/corefile"
)

// retry is how soon a start is tried again that failed.
const retry = 2 * time.Second

// Options are what a Server is made of.
type Options struct {
	// Config leads to the virtual cluster. The server lists and watches Services, EndpointSlices
	// and namespaces.
	Config *rest.Config
	// Cluster is the domain, and who is asked for other names.
	Cluster corefile.Cluster
	// Address and Port are where it serves, by UDP and TCP. An empty address is all.
	Address string
	Port    int
	Clock   clock.Clock
	// Report takes why names are not answered, and nil once they are.
	Report func(error)
}

// Server answers names. The zero value is not usable; see New.
type Server struct {
	Options
	// rules are part of the Corefile; nil while they are not known.
	rules   atomic.Pointer[string]
	changed chan struct{}
}

// New returns a Server.
func New(options Options) *Server {
	return &Server{Options: options, changed: make(chan struct{}, 1)}
}

// Observe has the server answer what the VirtualCluster says, as soon as garret-controller has
// looked for all Services in it.
func (s *Server) Observe(cluster *tenancyv1.VirtualCluster) {
	rules, known := corefile.Rules(cluster)
	if !known {
		return
	}
	if before := s.rules.Swap(&rules); before != nil && *before == rules {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run serves until the context ends. It serves without rules while they are not known: the names
// of the cluster itself do not depend on them.
func (s *Server) Run(ctx context.Context) error {
	config := share(s.Config)
	defer config.drop()
	logger := klog.FromContext(ctx)
	var running *caddy.Instance
	defer func() {
		if running != nil {
			stop(ctx, running)
		}
	}()
	for {
		rules := ""
		if known := s.rules.Load(); known != nil {
			rules = *known
		}
		begun := s.Clock.Now()
		next, err := s.start(running, config, rules)
		var again <-chan time.Time
		if next != nil {
			running = next
		}
		if err != nil {
			logger.Error(err, "Cannot answer names")
			again = s.Clock.After(retry)
		} else {
			logger.Info("Answering names", "port", s.Port, "after", s.Clock.Since(begun).Round(time.Millisecond))
		}
		s.Report(err)
		select {
		case <-s.changed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

// start has CoreDNS begin, or go on with other rules. It returns the instance that runs from then on,
// nil for the one before.
func (s *Server) start(running *caddy.Instance, config shared, rules string) (*caddy.Instance, error) {
	input := caddy.CaddyfileInput{
		Filepath:       "syncer",
		ServerTypeName: "dns",
		Contents:       []byte(s.Cluster.Embedded(directive+" "+strconv.Itoa(int(config)), s.Address, s.Port, rules)),
	}
	if running == nil {
		instance, err := caddy.Start(input)
		if err != nil {
			return nil, fmt.Errorf("start CoreDNS at port %d: %w", s.Port, err)
		}
		return instance, nil
	}
	instance, err := running.Restart(input)
	if err != nil {
		return nil, fmt.Errorf("start CoreDNS with other rules: %w", err)
	}
	return instance, nil
}

// stop closes the ports and the watches.
func stop(ctx context.Context, instance *caddy.Instance) {
	for _, err := range instance.ShutdownCallbacks() {
		klog.FromContext(ctx).Error(err, "Cannot end a part of CoreDNS")
	}
	if err := instance.Stop(); err != nil {
		klog.FromContext(ctx).Error(err, "Cannot stop CoreDNS")
	}
}
