// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/klog/v2"
)

// checks sets up what /readyz and /livez ask, once all options are applied.
//
// Ready is who would answer a request: the datastore answers, callers can be
// told apart, the host can verify us, and what admission goes by is there. That
// all that is stored can be read is asked by the resources, see cached.
// Alive is who is not mended by a restart: a datastore or a key service that is
// gone is no reason, since a restart would only take the watches and streams away, too.
func (c *Config) checks() {
	c.generic.AddReadyzChecks(
		healthz.NamedCheck("client-authorities", c.knowsCallers),
		healthz.NamedCheck("certificates", c.verifiable),
		healthz.NamedCheck("host-objects", hostObjects(c.generic.SharedInformerFactory, time.Now)),
	)
	if datastore := c.options.datastore; datastore != nil {
		c.generic.AddReadyzChecks(healthz.NamedCheck("datastore", func(*http.Request) error { return datastore.Ready() }))
	}
	c.generic.LivezChecks = slices.DeleteFunc(c.generic.LivezChecks, func(check healthz.HealthChecker) bool {
		return check.Name() == "etcd" || isKeyServiceCheck(check)
	})
	for i, check := range c.generic.ReadyzChecks {
		c.generic.ReadyzChecks[i] = reasoned(check)
	}
}

// hostPatience is how long the host may take to list what admission goes by.
const hostPatience = 10 * time.Second

// hostObjects fails when the host has not listed all that admission goes by for some time, and
// names the kinds. The library's informer-sync fails from the beginning, and keeps its reason
// from the log.
func hostObjects(informers interface {
	WaitForCacheSync(stop <-chan struct{}) map[reflect.Type]bool
}, now func() time.Time) func(*http.Request) error {
	begun := now()
	// It does not wait: that is over when it begins.
	over := make(chan struct{})
	close(over)
	return func(*http.Request) error {
		if now().Sub(begun) < hostPatience {
			return nil
		}
		var missing []string
		for kind, synced := range informers.WaitForCacheSync(over) {
			if !synced {
				missing = append(missing, kind.Elem().String())
			}
		}
		if len(missing) == 0 {
			return nil
		}
		slices.Sort(missing)
		return fmt.Errorf("the host has not listed %s", strings.Join(missing, ", "))
	}
}

// verifiable fails while the host could not verify us, or syncers our client certificate.
func (c *Config) verifiable(req *http.Request) error {
	if err := c.keeper.Check(req); err != nil {
		return err
	}
	if !c.options.servesFiles() {
		return nil
	}
	certificate, key := c.generic.SecureServing.Cert.CurrentCertKeyContent()
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return errors.New("--tls-cert-file and --tls-private-key-file hold no pair")
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return fmt.Errorf("the certificate in --tls-cert-file has ended at %s", pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// logged writes down why a check fails, which /readyz itself keeps from callers
// who may be anybody, whenever the reason changes.
type logged struct {
	healthz.HealthChecker
	last *atomic.Pointer[string]
}

// failing says whether the check did when it was last asked.
func (l logged) failing() bool {
	last := l.last.Load()
	return last != nil && *last != ""
}

// loggedInGroup keeps the group, which lets /readyz?exclude= leave several out.
type loggedInGroup struct {
	logged
	healthz.GroupedHealthChecker
}

// Name implements healthz.HealthChecker.
func (l loggedInGroup) Name() string { return l.logged.Name() }

// Check implements healthz.HealthChecker.
func (l loggedInGroup) Check(req *http.Request) error { return l.logged.Check(req) }

func reasoned(check healthz.HealthChecker) healthz.HealthChecker {
	l := logged{HealthChecker: check, last: &atomic.Pointer[string]{}}
	if grouped, ok := check.(healthz.GroupedHealthChecker); ok {
		return loggedInGroup{logged: l, GroupedHealthChecker: grouped}
	}
	return l
}

// Check implements healthz.HealthChecker.
func (l logged) Check(req *http.Request) error {
	err := l.HealthChecker.Check(req)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	before := l.last.Swap(&reason)
	switch {
	case err != nil && (before == nil || *before != reason):
		said := []any{"check", l.Name()}
		if isKeyServiceCheck(l) {
			said = append(said, "remedy", keyServiceRemedy)
		}
		klog.FromContext(req.Context()).Error(err, "Not ready", said...)
	case err == nil && before != nil && *before != "":
		klog.FromContext(req.Context()).Info("Ready again", "check", l.Name(), "before", *before)
	}
	return err
}
