// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/endpoint"
	kinetls "github.com/k3s-io/kine/pkg/tls"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
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

// Datastore is a running kine.
type Datastore struct {
	// Endpoint is the address of etcd's API.
	Endpoint string

	cancel context.CancelFunc
	wait   *sync.WaitGroup
	lock   *lock
}

// Listen starts kine as the options say. ctx bounds the start alone; the
// datastore runs until Stop.
func Listen(ctx context.Context, options *Options) (*Datastore, error) {
	if err := os.MkdirAll(options.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", options.DataDir, err)
	}
	config, err := kineConfig(options)
	if err != nil {
		return nil, err
	}
	held, err := acquire(ctx, filepath.Join(options.DataDir, lockName))
	if err != nil {
		return nil, err
	}

	// kine logs on its own: bring that into our log, without the endpoint.
	redact := newRedactor(options.Endpoint)
	forwardLogs(klog.FromContext(ctx).WithName("kine"), redact)

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	etcd, err := endpoint.Listen(run, *config)
	if err == nil && len(etcd.Endpoints) != 1 {
		err = fmt.Errorf("kine offered %d endpoints, not one", len(etcd.Endpoints))
	}
	if err != nil {
		cancel()
		config.WaitGroup.Wait()
		held.release()
		return nil, fmt.Errorf("datastore: %w", redact.error(err))
	}
	return &Datastore{Endpoint: etcd.Endpoints[0], cancel: cancel, wait: config.WaitGroup, lock: held}, nil
}

// Stop ends kine, waits until the database is closed, and gives the data
// directory free. Stop the API server before: its last writes go through here.
func (d *Datastore) Stop() {
	d.cancel()
	d.wait.Wait()
	d.lock.release()
}

// kineConfig gives every setting, since kine has defaults only in its command
// line. History is compacted by the API server (every five minutes unless
// --etcd-compaction-interval says otherwise), and the watch cache follows that;
// a second compactor in kine could take away revisions that the first promised.
func kineConfig(options *Options) (*endpoint.Config, error) {
	socket, err := options.socket()
	if err != nil {
		return nil, err
	}
	address := options.Endpoint
	if options.Embedded() {
		address = "sqlite://" + filepath.Join(filepath.Dir(socket), databaseName) + "?" + sqliteParameters
	}
	config := &endpoint.Config{
		WaitGroup: &sync.WaitGroup{},
		Listener:  "unix://" + socket,
		Endpoint:  address,
		BackendTLSConfig: kinetls.Config{
			CAFile:   options.CAFile,
			CertFile: options.CertFile,
			KeyFile:  options.KeyFile,
		},
		MetricsRegisterer: tolerant{legacyregistry.Registerer()},

		// Own writes are announced at once; polling finds those of other replicas.
		PollInterval:  time.Second,
		PollBatchSize: 500,
		// The watch cache asks for progress to answer consistent reads.
		NotifyInterval:      5 * time.Second,
		EmulatedETCDVersion: "3.6.11",

		CompactInterval:  0,
		CompactTimeout:   5 * time.Second,
		CompactMinRetain: 1000,
		CompactBatchSize: 1000,
	}
	config.ConnectionPoolConfig.MaxIdle = 5
	config.ConnectionPoolConfig.MaxIdleTime = 2 * time.Minute
	if !options.Embedded() {
		config.ConnectionPoolConfig.MaxOpen = 50
	}
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
