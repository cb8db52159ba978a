// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

var errClosed = errors.New("connections do not wake the virtual cluster any more")

// gateKey is one TCP port of a Service on the host.
type gateKey struct {
	service types.UID
	port    int32
}

// gate is a port here that stands for one of a Service.
type gate struct {
	cluster  *cluster
	key      gateKey
	service  string
	listener net.Listener
	// number is the port here.
	number int32
}

// open opens the ports of these Services, and closes all others. It returns the Services that
// have not all of theirs, because of a limit or an error, with the reason.
func (c *cluster) open(services []service) map[string]string {
	wanted := map[gateKey]bool{}
	left := map[string]string{}
	for i := range services {
		for _, port := range services[i].ports {
			key := gateKey{services[i].uid, port.number}
			wanted[key] = true
			if c.gate(key) != nil {
				continue
			}
			if err := c.listen(key, services[i].name); err != nil {
				left[services[i].name] = err.Error()
			}
		}
	}
	for _, g := range c.list() {
		if !wanted[g.key] {
			g.close()
		}
	}
	return left
}

func (c *cluster) gate(key gateKey) *gate {
	c.activator.mu.Lock()
	defer c.activator.mu.Unlock()
	return c.gates[key]
}

func (c *cluster) list() []*gate {
	c.activator.mu.Lock()
	defer c.activator.mu.Unlock()
	all := make([]*gate, 0, len(c.gates))
	for _, g := range c.gates {
		all = append(all, g)
	}
	return all
}

// listen opens one port, if there is room.
func (c *cluster) listen(key gateKey, service string) error {
	a := c.activator
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case len(c.gates) >= a.MaxPorts:
		return fmt.Errorf("a virtual cluster has ports for %d at most", a.MaxPorts)
	case a.ports >= a.MaxAllPorts:
		return fmt.Errorf("garret-controller has %d ports at most", a.MaxAllPorts)
	}
	listener, err := (&net.ListenConfig{}).Listen(a.ctx, "tcp", ":0")
	if err != nil {
		return err
	}
	g := &gate{cluster: c, key: key, service: service, listener: listener, number: int32(listener.Addr().(*net.TCPAddr).Port)}
	c.gates[key] = g
	a.ports++
	go g.accept()
	return nil
}

// close closes the port. Connections that it accepted go on.
func (g *gate) close() {
	a := g.cluster.activator
	a.mu.Lock()
	if g.cluster.gates[g.key] == g {
		delete(g.cluster.gates, g.key)
		a.ports--
	}
	a.mu.Unlock()
	_ = g.listener.Close()
}

// shut closes all ports.
func (c *cluster) shut() {
	for _, g := range c.list() {
		g.close()
	}
}

func (g *gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		if !g.cluster.admit() {
			refuse(conn)
			continue
		}
		go func() {
			defer g.cluster.leave()
			g.serve(conn)
		}()
	}
}

// refuse has the client learn at once that nobody answers.
func refuse(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// admit says whether there is room for one more connection.
func (c *cluster) admit() bool {
	a := c.activator
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil || c.connections >= a.MaxEach || a.connections >= a.MaxAll {
		return false
	}
	c.connections++
	a.connections++
	return true
}

func (c *cluster) leave() {
	c.activator.mu.Lock()
	defer c.activator.mu.Unlock()
	c.connections--
	c.activator.connections--
}

// serve has a connection wait, and forwards it.
func (g *gate) serve(conn net.Conn) {
	a := g.cluster.activator
	ctx, cancel := context.WithTimeout(a.ctx, a.MaxWait)
	defer cancel()
	server, err := g.await(ctx, conn)
	if err != nil {
		klog.FromContext(ctx).V(1).Info("A connection to a Service of a virtual cluster waited in vain", "virtualCluster", g.cluster.name, "service", g.service, "err", err)
		refuse(conn)
		return
	}
	forward(a.ctx, conn, server)
}

// await connects to a pod of the Service as soon as one is ready.
func (g *gate) await(ctx context.Context, client net.Conn) (net.Conn, error) {
	var knocked int64
	for {
		sleep, changed := g.cluster.asleep()
		switch sleep {
		case closed:
			return nil, errClosed
		case 0:
			if server := g.connect(ctx); server != nil {
				return server, nil
			}
		case knocked:
		default:
			g.cluster.activator.Knock(g.cluster.name, sleep)
			knocked = sleep
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
			again.Stop()
			return nil, ctx.Err()
		case <-changed:
			again.Stop()
		case <-again.C:
		}
		if hungUp(client) {
			return nil, net.ErrClosed
		}
	}
}
