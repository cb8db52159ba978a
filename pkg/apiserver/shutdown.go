// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"
)

const (
	// watchDrain is how long watches are given to end by themselves.
	watchDrain = 5 * time.Second
	// closing is how long connections are waited for after the streams on them
	// have been ended.
	closing = 2 * time.Second
)

var errInFlight = errors.New("shut down with requests still in flight")

// Run serves until ctx ends. Then it shuts down in this order:
//  1. It serves for the shutdown delay while /readyz fails, so that the host sends nobody more.
//  2. It accepts no new requests, ends watches, and lets requests and relayed streams finish.
//  3. It closes the streams that are left after their grace.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.drain(ctx, stopped)
	}()
	result := make(chan error, 1)
	go func() { result <- s.generic.PrepareRun().RunWithContext(ctx) }()
	var err error
	select {
	case err = <-result:
	case <-s.lastMoment(ctx):
		err = errInFlight
	}
	close(stopped)
	<-drained
	return err
}

// withFarewell asks clients to come by another connection next time, once the
// end was asked for: a new one leads to another replica. Over HTTP/1.1 that
// loses nothing. Over HTTP/2 the server takes no request that was on its way
// when it said so, and a client that cannot repeat one, such as the host's
// aggregation layer with a body, has to give it up; so replicas that are to be
// replaced without a lost write speak HTTP/1.1, see --disable-http2-serving.
func withFarewell(handler http.Handler, ending <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		select {
		case <-ending:
			if req.Header.Get("Upgrade") == "" {
				w.Header().Set("Connection", "close")
			}
		default:
		}
		handler.ServeHTTP(w, req)
	})
}

// withOwnConnection has watches and other long requests over HTTP/1.1 take their
// connection along when they end. They all end at once when a replica does, and
// clients that pool connections take the one that was used last: the next write
// would be sent on one that is being closed, and could not be repeated.
func withOwnConnection(handler http.Handler, longRunning apirequest.LongRunningRequestCheck) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, ok := apirequest.RequestInfoFrom(req.Context())
		if ok && req.ProtoMajor == 1 && req.Header.Get("Upgrade") == "" && longRunning(req, info) {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, req)
	})
}

// drain ends relayed streams when new requests are no longer taken.
func (s *Server) drain(ctx context.Context, stopped <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-stopped:
		return
	}
	select {
	case <-time.After(s.generic.ShutdownDelayDuration):
	case <-stopped:
	}
	logger := klog.FromContext(ctx)
	logger.Info("Draining relayed streams", "grace", s.streamGrace)
	grace, cancel := context.WithTimeout(klog.NewContext(context.Background(), logger), s.streamGrace)
	defer cancel()
	s.waker.Stop()
	s.relay.Drain(grace)
}

// lastMoment comes when even requests that hang are waited for no longer: the
// datastore is to be closed before the process is killed.
func (s *Server) lastMoment(ctx context.Context) <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(ctx, func() {
		time.AfterFunc(s.generic.ShutdownDelayDuration+s.streamGrace+closing+watchDrain, func() { close(over) })
	})
	return over
}
