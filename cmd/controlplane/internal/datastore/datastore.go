package datastore

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"github.com/k3s-io/kine/pkg/tls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"garret.dev/garret/pkg/storage/guarded"
)

const (
	// stopTimeout bounds how long open watches may delay a stop.
	stopTimeout = 2 * time.Second
	// remindInterval is how often a datastore that takes no writes is logged.
	remindInterval = time.Minute
	// pollAlone is how often a database that has no other writers is asked for changes:
	// own writes are announced at once.
	pollAlone = 10 * time.Second
)

// Config says which datastore to use and how to reach it.
type Config struct {
	// Endpoint is a data source name; empty means SQLite in Database.
	Endpoint string
	Database string
	// CAFile, CertFile and KeyFile secure the connection to Endpoint.
	CAFile, CertFile, KeyFile string
	// Socket is where kine listens.
	Socket string
	// ServingCertFile and ServingKeyFile put TLS on the socket;
	// ServingCAFile is what verifies them.
	ServingCertFile, ServingKeyFile, ServingCAFile string
}

// Embedded tells whether the database is the one in the data directory.
func (c Config) Embedded() bool { return c.Endpoint == "" }

// Datastore is what the API server connects to.
type Datastore struct {
	// Endpoints speak etcd's API.
	Endpoints []string
	// CAFile, CertFile and KeyFile are for the connection to Endpoints.
	CAFile, CertFile, KeyFile string
	// Shared tells that other servers may use the same data.
	Shared bool

	config   Config
	listener net.Listener
	grpc     *grpc.Server
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

// Open prepares the datastore without touching its data. The endpoints can be
// connected to from now on: connections wait for Start to answer them, so that
// clients can be built while the database is still being opened.
func Open(config Config) (*Datastore, error) {
	scheme, _, _ := strings.Cut(config.Endpoint, "://")
	switch scheme {
	case "http", "https":
		return &Datastore{
			Endpoints: strings.Split(config.Endpoint, ","),
			CAFile:    config.CAFile, CertFile: config.CertFile, KeyFile: config.KeyFile,
			Shared: true,
		}, nil
	case "", "sqlite", "mysql", "postgres", "postgresql":
	default:
		return nil, fmt.Errorf("--datastore-endpoint=%s://…: want sqlite, mysql, postgres, http or https", scheme)
	}
	listener, err := guarded.Listen(config.Socket)
	if err != nil {
		return nil, fmt.Errorf("datastore: %w", err)
	}
	d := &Datastore{
		Endpoints: []string{"unix://" + config.Socket},
		Shared:    scheme != "" && scheme != "sqlite",
		config:    config,
		listener:  listener,
	}
	if config.ServingCertFile != "" {
		d.Endpoints = []string{"unixs://" + config.Socket}
		d.CAFile = config.ServingCAFile
	}
	return d, nil
}

// Start opens the database and serves it until Stop, which is called after
// everything that uses it has ended: a stop drains the API server first.
func (d *Datastore) Start(ctx context.Context) error {
	if d.listener == nil {
		return nil
	}
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	config := guarded.Config()
	config.Endpoint = d.config.dsn()
	if d.config.Embedded() {
		// Compacted is what the API server says, as by etcd: it leaves minutes. A thousand rows
		// more, of large objects, would be more than the bound.
		config.CompactMinRetain = 0
		config.PollInterval = pollAlone
	}
	config.BackendTLSConfig = tls.Config{CAFile: d.config.CAFile, CertFile: d.config.CertFile, KeyFile: d.config.KeyFile}
	backend, err := guarded.Open(ctx, &d.wait, config)
	if err != nil {
		return d.config.describe(err)
	}
	backend = guarded.Guard(backend, logRefusals(ctx))
	if d.config.Embedded() {
		if backend, err = bound(backend); err != nil {
			return d.config.describe(err)
		}
	}
	return d.serve(backend)
}

func (d *Datastore) serve(backend server.Backend) error {
	var serving credentials.TransportCredentials
	if d.config.ServingCertFile != "" {
		config, err := tls.Config{CertFile: d.config.ServingCertFile, KeyFile: d.config.ServingKeyFile}.ServerConfig()
		if err != nil {
			return fmt.Errorf("datastore socket: %w", err)
		}
		serving = credentials.NewTLS(config)
	}
	d.grpc = guarded.NewServer(backend, serving)
	d.wait.Go(func() { _ = d.grpc.Serve(d.listener) })
	return nil
}

// Stop ends serving and closes the database, which moves SQLite's write-ahead
// log into the database file.
func (d *Datastore) Stop() {
	if d.grpc != nil {
		timer := time.AfterFunc(stopTimeout, d.grpc.Stop)
		d.grpc.GracefulStop()
		timer.Stop()
	}
	if d.listener != nil {
		d.listener.Close()
	}
	if d.cancel != nil {
		d.cancel()
	}
	d.wait.Wait()
}

// dsn adds what is chosen for SQLite to the name of its file.
func (c Config) dsn() string {
	if !c.Embedded() {
		return c.Endpoint
	}
	return "sqlite://" + c.Database + "?_journal_mode=WAL&_busy_timeout=30000&_synchronous=NORMAL&_txlock=immediate"
}

// describe names the datastore in an error without its data source name, which
// may hold a password.
func (c Config) describe(err error) error {
	if c.Embedded() {
		return fmt.Errorf("datastore %s: %w", c.Database, err)
	}
	scheme, _, _ := strings.Cut(c.Endpoint, "://")
	return fmt.Errorf("datastore of --datastore-endpoint=%s://…: %w", scheme, err)
}
