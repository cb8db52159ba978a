// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// Pool is the authorities in files that the certificates of clients are verified with.
type Pool struct {
	files []string

	mutex  sync.Mutex
	stamps []stamp
	pool   *x509.CertPool
}

// NewPool returns the authorities in the files, which may appear later: until
// then no client is let in. A file whose name is empty never does.
func NewPool(files ...string) *Pool { return &Pool{files: files} }

// Current returns the authorities that the file holds now.
func (p *Pool) Current() (*x509.CertPool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var now []stamp
	for _, file := range p.files {
		if file == "" {
			return nil, errors.New("no certificate authority for clients is configured")
		}
		stamp, err := stampOf(file)
		if err != nil {
			return nil, err
		}
		now = append(now, stamp)
	}
	if p.pool != nil && slices.Equal(now, p.stamps) {
		return p.pool, nil
	}
	pool := x509.NewCertPool()
	for _, file := range p.files {
		bundle, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("authority of clients: %w", err)
		}
		if !pool.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("authority of clients %s: it holds no certificate", file)
		}
	}
	p.pool, p.stamps = pool, now
	return pool, nil
}

// Signed says whether one of the authorities signed a client's certificate. It is for
// servers whose clients have several authorities.
func (p *Pool) Signed(certificate *x509.Certificate) bool {
	roots, err := p.Current()
	if err != nil {
		return false
	}
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
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

// Multiplexed is the configuration, which offers HTTP/2 to those who call the server by one of
// the names. Under these nobody may open tunnels.
func Multiplexed(config *tls.Config, names []string) *tls.Config {
	several := config.Clone()
	several.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		var own *tls.Config
		if config.GetConfigForClient != nil {
			var err error
			if own, err = config.GetConfigForClient(hello); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(names, hello.ServerName) {
			return own, nil
		}
		if own == nil {
			own = config
		}
		own = own.Clone()
		own.NextProtos = append([]string{"h2"}, own.NextProtos...)
		return own, nil
	}
	return several
}
