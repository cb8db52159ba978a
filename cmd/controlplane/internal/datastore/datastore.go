package datastore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/server"
	"github.com/k3s-io/kine/pkg/tls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	// The drivers of the documented endpoints register themselves.
	_ "github.com/k3s-io/kine/pkg/drivers/mysql"
	_ "github.com/k3s-io/kine/pkg/drivers/pgsql"
	_ "github.com/k3s-io/kine/pkg/drivers/remote"
	_ "github.com/k3s-io/kine/pkg/drivers/sqlite"
)

// kine has no defaults when it is embedded, so each figure is chosen here.
const (
	// notifyInterval is how often an idle watch learns the current revision;
	// the API server's consistent reads from cache wait for it.
	notifyInterval = 5 * time.Second
	// pollInterval bounds how late a write of another server is seen; writes
	// of this one are announced at once.
	pollInterval  = time.Second
	pollBatchSize = 500
	// Compaction is asked for by the API server (every five minutes), so kine
	// runs none of its own; these bound the work of one such request.
	compactTimeout   = 5 * time.Second
	compactMinRetain = 1000
	compactBatchSize = 1000
	// emulatedVersion is the etcd version claimed: one that answers requests
	// for watch progress, as kine does.
	emulatedVersion = "3.6.11"
	// stopTimeout bounds how long open watches may delay a stop.
	stopTimeout = 2 * time.Second

	maxRequestBytes = 2 * 1024 * 1024
	maxIdle         = 2 * time.Minute
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
	listener, err := listen(config.Socket)
	if err != nil {
		return nil, err
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
	_, backend, err := drivers.New(ctx, &d.wait, &drivers.Config{
		Endpoint:             d.config.dsn(),
		ConnectionPoolConfig: generic.ConnectionPoolConfig{MaxIdleTime: maxIdle},
		BackendTLSConfig:     tls.Config{CAFile: d.config.CAFile, CertFile: d.config.CertFile, KeyFile: d.config.KeyFile},
		CompactTimeout:       compactTimeout,
		CompactMinRetain:     compactMinRetain,
		CompactBatchSize:     compactBatchSize,
		PollBatchSize:        pollBatchSize,
		PollInterval:         pollInterval,
	})
	if err == nil {
		err = backend.Start(ctx)
	}
	if err != nil {
		return d.config.describe(err)
	}
	return d.serve(backend)
}

func (d *Datastore) serve(backend server.Backend) error {
	options := []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		// A list of everything may be larger than any limit worth setting.
		grpc.MaxSendMsgSize(1<<31 - 1),
	}
	scheme := "unix"
	if d.config.ServingCertFile != "" {
		scheme = "unixs"
		serving, err := tls.Config{CertFile: d.config.ServingCertFile, KeyFile: d.config.ServingKeyFile}.ServerConfig()
		if err != nil {
			return fmt.Errorf("datastore socket: %w", err)
		}
		options = append(options, grpc.Creds(credentials.NewTLS(serving)))
	}
	d.grpc = grpc.NewServer(options...)
	server.New(backend, scheme, notifyInterval, emulatedVersion).Register(d.grpc)
	d.wait.Go(func() { _ = d.grpc.Serve(d.listener) })
	return nil
}

// listen binds the socket, replacing the one that a killed server left behind:
// the lock on the data directory says that no other server uses it.
func listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("datastore socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		// A path longer than 107 bytes is refused with no more than
		// "invalid argument".
		return nil, fmt.Errorf("datastore socket %s (%d bytes, at most 107 are possible): %w", socket, len(socket), err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("datastore socket: %w", err)
	}
	return listener, nil
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
