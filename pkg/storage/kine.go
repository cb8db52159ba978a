// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/metrics"
	"github.com/k3s-io/kine/pkg/server"
	kinetls "github.com/k3s-io/kine/pkg/tls"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/storage/guarded"
)

const (
	socketName   = "kine.sock"
	databaseName = "state.db"
	lockName     = "lock"

	// maxSocketPath is what fits into sockaddr_un on Linux, with its final zero.
	maxSocketPath = 107

	// sqliteParameters: a write-ahead log lets readers go on beside the one
	// writer; writers wait for each other instead of failing with "database is
	// locked"; and a write is on disk before it is acknowledged, as with etcd.
	sqliteParameters = "_journal_mode=WAL&_busy_timeout=30000&_synchronous=FULL&_txlock=immediate"
)

// openTimeout bounds the wait for a database that does not answer at the start:
// then the process ends with the reason, and whoever started it tries again.
const openTimeout = time.Minute

// Datastore is a running kine.
type Datastore struct {
	// Endpoint is the address of etcd's API.
	Endpoint string

	monitor *monitor
	grpc    *grpc.Server
	cancel  context.CancelFunc
	wait    *sync.WaitGroup
	lock    *lock
}

// Listen starts kine as the options say. ctx bounds the start alone; the
// datastore runs until Stop.
func Listen(ctx context.Context, options *Options) (*Datastore, error) {
	if err := os.MkdirAll(options.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", options.DataDir, err)
	}
	socket, err := options.socket()
	if err != nil {
		return nil, err
	}
	held, err := acquire(ctx, filepath.Join(options.DataDir, lockName))
	if err != nil {
		return nil, err
	}

	// kine logs on its own: bring that into our log, without the endpoint.
	logger := klog.FromContext(ctx)
	redact := newRedactor(options.Endpoint)
	forwardLogs(logger.WithName("kine"), redact)

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &Datastore{Endpoint: "unix://" + socket, cancel: cancel, wait: &sync.WaitGroup{}, lock: held}
	if err := d.start(ctx, run, options, socket); err != nil {
		cancel()
		d.wait.Wait()
		held.release()
		return nil, fmt.Errorf("datastore: %w", redact.error(err))
	}
	return d, nil
}

// start opens the database and offers it on the socket.
func (d *Datastore) start(ctx, run context.Context, options *Options, socket string) error {
	for _, collector := range []prometheus.Collector{metrics.SQLTotal, metrics.SQLTime, metrics.CompactTotal, metrics.InsertErrorsTotal} {
		if err := (tolerant{legacyregistry.Registerer()}).Register(collector); err != nil {
			return err
		}
	}
	backend, err := d.open(ctx, run, options)
	if err != nil {
		return err
	}
	d.monitor = newMonitor(klog.FromContext(ctx), backend, options.Embedded())
	listener, err := guarded.Listen(socket)
	if err != nil {
		return err
	}
	d.grpc = guarded.NewServer(guarded.Guard(backend, d.monitor.refused), nil)
	d.wait.Go(func() { _ = d.grpc.Serve(listener) })
	d.wait.Go(func() { d.monitor.run(run) })
	return nil
}

// open opens the database. Its life is that of run; ctx, and a time limit, end
// the wait for a server that does not answer.
func (d *Datastore) open(ctx, run context.Context, options *Options) (server.Backend, error) {
	patience, done := context.WithTimeout(ctx, openTimeout)
	defer done()
	// kine waits for five minutes, and takes the one context that it gets for the
	// life of the database too: so the wait is ended by ending that life.
	stopped := context.AfterFunc(patience, d.cancel)
	defer stopped()

	config, err := kineConfig(options)
	if err != nil {
		return nil, err
	}
	var backend server.Backend
	if options.Embedded() {
		backend, err = openEmbedded(run, d.wait, config)
	} else {
		backend, err = openServer(run, d.wait, config)
	}
	if err != nil && run.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("the database did not answer within %s, the log says why: check its address, its certificates and that it runs", openTimeout)
	}
	return backend, err
}

// openServer opens a PostgreSQL or MySQL database.
func openServer(run context.Context, wait *sync.WaitGroup, config *drivers.Config) (server.Backend, error) {
	for {
		backend, err := guarded.Open(run, wait, config)
		// A server that cannot be reached yet is waited for. Anything else will not mend itself.
		if unreachable := (&net.OpError{}); err == nil || !errors.As(err, &unreachable) {
			return backend, err
		}
		klog.FromContext(run).Error(nil, "The database cannot be reached, trying again", "err", err.Error())
		select {
		case <-run.Done():
			return nil, err
		case <-time.After(time.Second):
		}
	}
}

// Ready says why the datastore cannot be used at the moment, or nothing.
func (d *Datastore) Ready() error { return d.monitor.ready() }

// Stop ends kine, waits until the database is closed, and gives the data
// directory free. Stop the API server before: its last writes go through here.
func (d *Datastore) Stop() {
	// Not gracefully: nothing but watches, which have no end, is left by now.
	d.grpc.Stop()
	d.cancel()
	d.wait.Wait()
	d.lock.release()
}

// kineConfig says where the database is, and how kine is to reach it.
func kineConfig(options *Options) (*drivers.Config, error) {
	config := guarded.Config()
	config.Endpoint = options.Endpoint
	config.BackendTLSConfig = kinetls.Config{CAFile: options.CAFile, CertFile: options.CertFile, KeyFile: options.KeyFile}
	config.MetricsRegisterer = tolerant{legacyregistry.Registerer()}
	config.ConnectionPoolConfig.MaxIdle = 5
	if !options.Embedded() {
		return config, nil
	}
	path, err := options.database()
	if err != nil {
		return nil, err
	}
	config.DataSourceName = path + "?" + sqliteParameters
	return config, nil
}

// tolerant lets a second datastore of one process share the metrics of the first.
type tolerant struct{ prometheus.Registerer }

func (t tolerant) Register(collector prometheus.Collector) error {
	err := t.Registerer.Register(collector)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		return nil
	}
	return err
}

func (t tolerant) MustRegister(collectors ...prometheus.Collector) {
	for _, collector := range collectors {
		if err := t.Register(collector); err != nil {
			panic(err)
		}
	}
}
