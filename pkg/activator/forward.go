// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// dialTimeout bounds one try to reach a pod.
const dialTimeout = 2 * time.Second

// connect returns a connection to one of the Service's ready pods, or nil where there is none.
func (g *gate) connect(ctx context.Context) net.Conn {
	targets, err := g.cluster.targets(ctx, g.key)
	if err != nil {
		klog.FromContext(ctx).V(1).Info("Cannot find the pods of a Service", "virtualCluster", g.cluster.name, "service", g.service, "err", err)
		return nil
	}
	rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	for _, target := range targets {
		dialer := net.Dialer{Timeout: dialTimeout}
		if server, err := dialer.DialContext(ctx, "tcp", target.String()); err == nil {
			return server
		}
	}
	return nil
}

// forward copies both ways until both sides have ended, or one of them broke.
func forward(ctx context.Context, client, server net.Conn) {
	defer context.AfterFunc(ctx, func() { refuse(client); refuse(server) })()
	var group sync.WaitGroup
	group.Go(func() { pass(server, client) })
	pass(client, server)
	group.Wait()
	_ = client.Close()
	_ = server.Close()
}

// pass copies one way, and passes on the end. The other way goes on, unless this one broke.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
	_ = from.Close()
}
