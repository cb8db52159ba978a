// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// DefaultMaxWait is how long a connection waits at most.
	DefaultMaxWait = 2 * time.Minute
	// DefaultMaxEach and DefaultMaxAll are how many connections there may be to one virtual
	// cluster, and to all of them.
	DefaultMaxEach, DefaultMaxAll = 64, 512
	// DefaultMaxPorts and DefaultMaxAllPorts are how many ports of Services are open for one
	// virtual cluster, and for all of them.
	DefaultMaxPorts, DefaultMaxAllPorts = 32, 1024

	// lookAgain is how often the host is asked for ready pods while somebody waits for them.
	lookAgain = 200 * time.Millisecond
	// closeAgain is how often an awake virtual cluster is looked at, until its Services have
	// pods, and closeAfter how long at most.
	closeAgain, closeAfter = time.Second, 5 * time.Minute
	// linger is how long a port stays open after its slice is deleted: every node has to
	// learn of that first.
	linger = 5 * time.Second
	// stopTimeout bounds the end.
	stopTimeout = 5 * time.Second

	// closed is no number of a sleep: connections wait no longer.
	closed = -1
)

// Options are what an Activator is made of.
type Options struct {
	Host kubernetes.Interface
	// Addresses are those of this process on the host's network, Node the node that it runs on.
	Addresses []netip.Addr
	Node      string
	// Knock asks for the wake of the virtual cluster of this name, from the sleep of this number.
	Knock func(name types.NamespacedName, sleep int64)
	// MaxWait, MaxEach, MaxAll, MaxPorts and MaxAllPorts are limits. Zero means the defaults.
	MaxWait                                time.Duration
	MaxEach, MaxAll, MaxPorts, MaxAllPorts int
	// Linger is how long a port outlives its slice. Zero means the default.
	Linger time.Duration
}

// Activator holds the ports of Services of virtual clusters that sleep. It is safe for
// concurrent use. A nil one holds none.
type Activator struct {
	Options
	ctx  context.Context
	stop context.CancelFunc

	mu       sync.Mutex
	clusters map[types.UID]*cluster
	// connections and ports are how many there are.
	connections, ports int
}

// New returns an Activator. One without addresses is nil: nobody could reach it.
func New(o Options) *Activator {
	if len(o.Addresses) == 0 {
		return nil
	}
	o.MaxWait = cmp.Or(o.MaxWait, DefaultMaxWait)
	o.MaxEach, o.MaxAll = cmp.Or(o.MaxEach, DefaultMaxEach), cmp.Or(o.MaxAll, DefaultMaxAll)
	o.MaxPorts, o.MaxAllPorts = cmp.Or(o.MaxPorts, DefaultMaxPorts), cmp.Or(o.MaxAllPorts, DefaultMaxAllPorts)
	o.Linger = cmp.Or(o.Linger, linger)
	a := &Activator{Options: o, clusters: map[types.UID]*cluster{}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// cluster is a virtual cluster whose Services have ports here.
type cluster struct {
	activator *Activator
	name      types.NamespacedName
	id        string
	// turn is held by whoever opens or closes ports, and for swept: whether this process has
	// looked for slices of an earlier one.
	turn  sync.Mutex
	swept bool
	// looking is held for looked, what the host had last.
	looking sync.Mutex
	looked  *look

	// The activator's lock is held for the rest.

	// sleep is the number of the sleep that it is in, zero while it is awake, or closed.
	sleep int64
	gates map[gateKey]*gate
	// connections is how many there are, closing whether somebody closes its ports.
	connections int
	closing     bool
	// changed is closed, and replaced, when it wakes or its ports close.
	changed chan struct{}
}

func (a *Activator) cluster(vc *tenancyv1.VirtualCluster) *cluster {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.clusters[vc.UID]
	if known == nil {
		known = &cluster{
			activator: a, name: types.NamespacedName{Namespace: vc.Namespace, Name: vc.Name}, id: vc.Status.ClusterID,
			gates: map[gateKey]*gate{}, changed: make(chan struct{}),
		}
		a.clusters[vc.UID] = known
	}
	return known
}

// set changes what is known of the sleep. Connections that wait look again.
func (c *cluster) set(sleep int64) {
	c.activator.mu.Lock()
	defer c.activator.mu.Unlock()
	if c.sleep == sleep {
		return
	}
	c.sleep = sleep
	close(c.changed)
	c.changed = make(chan struct{})
}

// asleep is the number of the sleep, or zero, and what is closed when that changes.
func (c *cluster) asleep() (int64, <-chan struct{}) {
	c.activator.mu.Lock()
	defer c.activator.mu.Unlock()
	return c.sleep, c.changed
}

// Guard opens ports for the Services of a virtual cluster that sleeps, and names them on the
// host. It closes those of Services that are gone. It returns the Services that have none, with
// the reason.
func (a *Activator) Guard(ctx context.Context, vc *tenancyv1.VirtualCluster) (map[string]string, error) {
	if a == nil || !vc.Status.Asleep() || vc.Status.ClusterID == "" {
		return nil, nil
	}
	c := a.cluster(vc)
	c.turn.Lock()
	defer c.turn.Unlock()
	services, left, err := a.services(ctx, vc)
	if err != nil {
		return nil, err
	}
	c.set(vc.Status.Sleep.Number)
	for service, why := range c.open(services) {
		left[service] = why
	}
	return left, c.publish(ctx, services)
}

// Awake closes the ports of a virtual cluster that is awake, one by one as its Services have
// pods again. Connections that arrive until then wait for these pods, too.
func (a *Activator) Awake(ctx context.Context, vc *tenancyv1.VirtualCluster) error {
	if a == nil || !slept(vc) {
		return nil
	}
	c := a.cluster(vc)
	c.set(0)
	a.mu.Lock()
	open := len(c.gates) > 0
	begin := open && !c.closing
	c.closing = c.closing || begin
	a.mu.Unlock()
	if begin {
		go c.closeInTurn()
	}
	if open {
		return nil
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.closeAll(ctx)
}

// slept says whether the virtual cluster ever slept, so that there may be slices.
func slept(vc *tenancyv1.VirtualCluster) bool {
	return vc.Status.Sleep != nil && vc.Status.Sleep.Number > 0 && vc.Status.ClusterID != ""
}

// Close closes all ports of a virtual cluster at once: it sleeps and connections are not to wake
// it, or it is about to be deleted.
func (a *Activator) Close(ctx context.Context, vc *tenancyv1.VirtualCluster) error {
	if a == nil || !slept(vc) {
		return nil
	}
	c := a.cluster(vc)
	c.turn.Lock()
	defer c.turn.Unlock()
	c.set(closed)
	return c.closeAll(ctx)
}

// Forget drops what is known of a virtual cluster of this name that is gone.
func (a *Activator) Forget(name types.NamespacedName) {
	if a == nil {
		return
	}
	for uid, c := range a.all() {
		if c.name != name {
			continue
		}
		c.shut()
		a.mu.Lock()
		delete(a.clusters, uid)
		a.mu.Unlock()
	}
}

// Stop deletes all slices, as far as nobody else has written them, and breaks all connections.
func (a *Activator) Stop(ctx context.Context) {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	a.stop()
	var group sync.WaitGroup
	for _, c := range a.all() {
		group.Go(func() {
			c.turn.Lock()
			defer c.turn.Unlock()
			_ = c.unpublish(ctx, nil)
			c.shut()
		})
	}
	group.Wait()
}

func (a *Activator) all() map[types.UID]*cluster {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[types.UID]*cluster, len(a.clusters))
	for uid, c := range a.clusters {
		all[uid] = c
	}
	return all
}
