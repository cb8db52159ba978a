// Package etcdclient lets the storages of all resources share one connection to the datastore
// of this process.
//
// An API server creates an etcd client for each resource, and each client has its own
// connection. That makes seventy connections, with the buffers and goroutines of both ends, to
// a socket that the same process serves. They cost memory, pings, and time to start.
//
// Watches keep a stream for each storage, because progress requests and answers concern all
// watches of a stream.
package etcdclient

import (
	"fmt"
	"strings"
	"sync"
	_ "unsafe" // For go:linkname.

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	_ "k8s.io/apiserver/pkg/storage/storagebackend/factory"
)

// dial is what the storages get their clients from. Its package has no setting for it; its own
// tests replace it in the same way.
//
//go:linkname dial k8s.io/apiserver/pkg/storage/storagebackend/factory.newETCD3Client
var dial func(storagebackend.TransportConfig) (*kubernetes.Client, error)

var shared pool

func init() {
	shared = pool{dial: dial, connections: map[string]*connection{}}
	dial = shared.client
}

// Disconnect closes the connections. It is for the end of the process, when nobody uses a
// storage any more: a datastore that stops waits for its connections.
func Disconnect() { shared.disconnect() }

// pool has a connection for each datastore.
type pool struct {
	dial func(storagebackend.TransportConfig) (*kubernetes.Client, error)

	mu          sync.Mutex
	connections map[string]*connection
}

func (p *pool) disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, connection := range p.connections {
		connection.close()
		delete(p.connections, key)
	}
}

// connection is dialed by the first who needs it. It lasts until the end of the process: the
// storages of the API server do, too.
type connection struct {
	mu   sync.Mutex
	base *kubernetes.Client
}

// client is a client for one storage. Its Close ends its watches and leases, and leaves the
// connection to the others.
func (p *pool) client(c storagebackend.TransportConfig) (*kubernetes.Client, error) {
	if !local(c.ServerList) {
		// Members of a cluster elsewhere share the load of several connections.
		return p.dial(c)
	}
	base, err := p.to(c).open(p.dial, c)
	if err != nil {
		return nil, err
	}
	// It knows the endpoints, which the compaction goes by, and never dials them: a
	// connection of gRPC begins with its first call, and all calls go by the shared one.
	client, err := kubernetes.New(clientv3.Config{Endpoints: c.ServerList, Logger: base.GetLogger()})
	if err != nil {
		return nil, err
	}
	client.KV, client.Cluster, client.Auth, client.Maintenance = base.KV, base.Cluster, base.Auth, base.Maintenance
	client.Watcher = clientv3.NewWatcher(base.Client)
	client.Lease = clientv3.NewLease(base.Client)
	client.Kubernetes = newCounted(client.Kubernetes)
	return client, nil
}

func (p *pool) to(c storagebackend.TransportConfig) *connection {
	key := fmt.Sprint(c.ServerList, c.CertFile, c.KeyFile, c.TrustedCAFile)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connections[key] == nil {
		p.connections[key] = &connection{}
	}
	return p.connections[key]
}

// open returns the connection, and dials it where nobody has yet.
func (c *connection) open(dial func(storagebackend.TransportConfig) (*kubernetes.Client, error), config storagebackend.TransportConfig) (*kubernetes.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base == nil {
		base, err := dial(config)
		if err != nil {
			return nil, err
		}
		c.base = base
	}
	return c.base, nil
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base != nil {
		// That it was closed is what its error says.
		_ = c.base.Close()
	}
}

// local tells whether the datastore is served on a socket of this machine.
func local(servers []string) bool {
	for _, server := range servers {
		if !strings.HasPrefix(server, "unix://") && !strings.HasPrefix(server, "unixs://") {
			return false
		}
	}
	return len(servers) > 0
}
