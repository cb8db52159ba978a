// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

// callerError is that the caller's own connection failed.
type callerError struct{ err error }

func (e *callerError) Error() string { return e.err.Error() }
func (e *callerError) Unwrap() error { return e.err }

// forward carries an ordinary request. What it returns has not been written to
// w. When an answer breaks off that has begun, it panics with
// http.ErrAbortHandler, so that nobody takes the answer for complete.
func (r *Relay) forward(w http.ResponseWriter, req *http.Request, e entry) error {
	out := (&http.Request{
		Method: req.Method, URL: e.target, Host: e.target.Host,
		Header: requestHeader(req),
	}).WithContext(req.Context())
	if req.ContentLength != 0 && req.Body != nil {
		// The sender may read on after an early answer, until this is closed.
		defer req.Body.Close()
		out.Body, out.ContentLength = &callerBody{req.Body, r.metrics}, req.ContentLength
	}
	e.record.sent = time.Now()
	response, err := (&roundTripper{connections: r.connections, entry: e}).RoundTrip(out)
	if err != nil {
		return err
	}
	e.record.answered = time.Now()
	defer func() { response.Body.Close() }()
	if err := checkAnswer(e.cluster, response); err != nil {
		return err
	}
	// What is of known length ends by itself.
	if e.record.long && response.ContentLength < 0 {
		kind := kindOther
		if e.record.verb == "watch" {
			kind = kindWatch
		}
		defer r.metrics.open(kind)()
		r.drain.follow(response, kind == kindWatch)
	}
	e.record.code = response.StatusCode
	answerHeader(w.Header(), response)
	w.WriteHeader(response.StatusCode)
	if !hasBody(req.Method, response.StatusCode) {
		return nil
	}
	if err := r.copyAnswer(w, response, e.record.long); err != nil {
		breakOff(req.Context(), err)
	}
	return nil
}

// callerBody tells the caller's failures from those of the way inside.
type callerBody struct {
	io.ReadCloser
	metrics *Metrics
}

func (b *callerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.metrics.carried(directionIn, n)
	if err != nil && err != io.EOF {
		err = &callerError{fmt.Errorf("read the request's body: %w", err)}
	}
	return n, err
}

// breakOff breaks the caller's connection, unless it is the caller who went, as
// at the end of every watch: that is no fault, and nobody is left to mislead.
func breakOff(ctx context.Context, err error) {
	klog.FromContext(ctx).V(4).Info("Answer broken off", "err", err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	panic(http.ErrAbortHandler)
}

// copyAnswer copies the body with one buffer: as long as the caller does not
// take what was read, no more is read. A caller who takes nothing for too long
// is given up.
func (r *Relay) copyAnswer(w http.ResponseWriter, response *http.Response, long bool) error {
	controller := http.NewResponseController(w)
	stalled := time.AfterFunc(r.callerStall, func() { _ = controller.SetWriteDeadline(time.Now()) })
	defer stalled.Stop()
	buffer := r.buffers.Get()
	defer r.buffers.Put(buffer)

	// A watch without an event is begun, too, and what it brings is sent at once.
	// All else is sent when no more of it is there, unless the end is: each
	// flush is a call of the kernel.
	left := response.ContentLength
	flush := long
	for {
		if flush {
			if err := controller.Flush(); err != nil {
				return &callerError{err}
			}
		}
		stalled.Stop()
		n, err := response.Body.Read(buffer)
		if n > 0 {
			stalled.Reset(r.callerStall)
			if _, err := w.Write(buffer[:n]); err != nil {
				return &callerError{err}
			}
			r.metrics.carried(directionOut, n)
		}
		left -= int64(n)
		flush = long || n < len(buffer) && left != 0
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// hasBody tells whether an answer can have a body.
func hasBody(method string, code int) bool {
	return method != http.MethodHead && code != http.StatusNoContent && code != http.StatusNotModified
}
