// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Pool is the authorities in a file that the certificates of clients are verified with.
type Pool struct {
	file string

	mutex sync.Mutex
	stamp stamp
	pool  *x509.CertPool
}

// NewPool returns the authorities in the file, which may appear later: until
// then no client is let in.
func NewPool(file string) *Pool { return &Pool{file: file} }

// Current returns the authorities that the file holds now.
func (p *Pool) Current() (*x509.CertPool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.file == "" {
		return nil, errors.New("no authority of clients is configured")
	}
	now, err := stampOf(p.file)
	if err != nil {
		return nil, err
	}
	if p.pool != nil && now == p.stamp {
		return p.pool, nil
	}
	bundle, err := os.ReadFile(p.file)
	if err != nil {
		return nil, fmt.Errorf("authority of clients: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("authority of clients %s: no certificate in it", p.file)
	}
	p.pool, p.stamp = pool, now
	return pool, nil
}

// ServerConfig is for a server that shows the certificate. With clients, every
// connection needs a client certificate of one of those authorities; with none, any is taken.
func ServerConfig(serving *Serving, clients *Pool) *tls.Config {
	base := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: serving.GetCertificate,
		// Tunnels take over their connection, which HTTP/2 does not allow.
		NextProtos: []string{"http/1.1"},
	}
	if clients == nil {
		return base
	}
	base.ClientAuth = tls.RequireAndVerifyClientCert
	// Resumed sessions would outlive a change of authorities.
	base.SessionTicketsDisabled = true
	verified := base.Clone()
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool, err := clients.Current()
		if err != nil {
			return nil, err
		}
		config := verified.Clone()
		config.ClientCAs = pool
		return config, nil
	}
	return base
}
