// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

// DefaultDataDir is where the embedded datastore lives.
const DefaultDataDir = "/var/lib/garret"

// EndpointEnv is the environment variable that may hold the address of a
// database instead of the flag, since flags are visible to all processes of a node.
const EndpointEnv = "GARRET_DATASTORE_ENDPOINT"

// schemes are those of kine's drivers that Garret supports.
var schemes = []string{"postgres", "postgresql", "mysql"}

// Options choose a datastore that is spoken to through kine.
type Options struct {
	// DataDir holds the embedded datastore, its lock, and the socket of kine.
	DataDir string
	// Endpoint is the address of a SQL database, such as
	// postgres://user:password@host:5432/garret or mysql://user:password@tcp(host:3306)/garret.
	// Empty means the embedded datastore. It may hold a password: never log it.
	Endpoint string
	// CAFile, CertFile and KeyFile secure the connection to the database.
	CAFile, CertFile, KeyFile string
}

// NewOptions returns the options of an embedded datastore.
func NewOptions() *Options {
	return &Options{DataDir: DefaultDataDir, Endpoint: os.Getenv(EndpointEnv)}
}

// AddFlags binds the options to flags.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.DataDir, "data-dir", o.DataDir,
		"Directory of the embedded datastore. Used unless --etcd-servers is given.")
	// The default is bound beforehand and not shown, since --help would print a password.
	endpoint := &secret{value: &o.Endpoint}
	fs.Var(endpoint, "datastore-endpoint",
		"Address of a SQL database to use instead of the embedded datastore: postgres://… or mysql://…. "+
			"Prefer the environment variable "+EndpointEnv+", which no other process can see.")
	fs.StringVar(&o.CAFile, "datastore-cafile", o.CAFile, "Certificate authority that the database is verified with.")
	fs.StringVar(&o.CertFile, "datastore-certfile", o.CertFile, "Client certificate for the database.")
	fs.StringVar(&o.KeyFile, "datastore-keyfile", o.KeyFile, "Key of the client certificate for the database.")
}

// Validate says what is wrong, never repeating the endpoint.
func (o *Options) Validate() []error {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("--data-dir: must name a directory"))
	}
	if path, err := o.socket(); err == nil && len(path) > maxSocketPath {
		errs = append(errs, fmt.Errorf("--data-dir: %q is too long for a unix socket in it, use at most %d characters",
			o.DataDir, maxSocketPath-len(socketName)-1))
	}
	if o.Endpoint != "" && !supported(o.Endpoint) {
		errs = append(errs, fmt.Errorf("--datastore-endpoint: must begin with one of %s://; use --etcd-servers for etcd",
			strings.Join(schemes, "://, ")))
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		errs = append(errs, errors.New("--datastore-certfile and --datastore-keyfile: give both or neither"))
	}
	return errs
}

// Embedded says whether the datastore is the one in the data directory.
func (o *Options) Embedded() bool { return o.Endpoint == "" }

func (o *Options) socket() (string, error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", o.DataDir, err)
	}
	return filepath.Join(dir, socketName), nil
}

// database is the path of the embedded database.
func (o *Options) database() (string, error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", o.DataDir, err)
	}
	return filepath.Join(dir, databaseName), nil
}

func supported(endpoint string) bool {
	scheme, _, found := strings.Cut(endpoint, "://")
	if !found {
		return false
	}
	for _, s := range schemes {
		if s == scheme {
			return true
		}
	}
	return false
}

// secret is a flag whose value is never printed.
type secret struct{ value *string }

func (s *secret) Set(value string) error { *s.value = value; return nil }
func (s *secret) Type() string           { return "string" }
func (s *secret) String() string         { return "" }
