// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/klog/v2"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/access"
)

const (
	// retryUnreachable is after how many seconds to try a server again that did
	// not accept a connection.
	retryUnreachable = 2
	// retryRenewed is the same where only a certificate was out of date.
	retryRenewed = 1
	// retryLater is when to try again what does not end by itself.
	retryLater = time.Minute
)

// dialError is that no connection came about, so nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// credentialError is that the relay got no credential, so nothing was sent.
type credentialError struct{ err error }

func (e *credentialError) Error() string { return e.err.Error() }
func (e *credentialError) Unwrap() error { return e.err }

// toStatus turns what went wrong on the way into an API error that says on
// which part of the way. Retry-After is given only when nothing was sent.
func toStatus(cluster *tenancy.VirtualCluster, err error) *apierrors.StatusError {
	var status *apierrors.StatusError
	var dial *dialError
	var credential *credentialError
	var caller *callerError
	switch {
	case errors.As(err, &caller):
		return apierrors.NewBadRequest("the caller's connection: " + err.Error())
	case errors.As(err, &credential):
		return access.Unavailable(cluster, retryUnreachable, "NoCredential", "no certificate for the relay: "+err.Error())
	case errors.As(err, &status):
		return status
	case errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &dial):
		return timeout(cluster, err)
	case isIdentityError(err):
		return access.Unavailable(cluster, 0, "WrongIdentity", "what answered at its address is not its API server: "+err.Error())
	case errors.As(err, &dial):
		return access.Unavailable(cluster, retryUnreachable, "Unreachable", "no connection to its API server: "+err.Error())
	}
	return access.BadGateway(cluster, "ConnectionLost", "the connection to its API server failed while the request was under way: "+err.Error())
}

// tooLarge is that a request's header is larger than the API server inside takes.
func tooLarge(size int) error {
	const code = http.StatusRequestHeaderFieldsTooLarge
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: metav1.StatusReasonBadRequest,
		Message: fmt.Sprintf("path, query and header of the request are %d bytes long, more than the %d that are relayed", size, maxRequestHeader),
	}}
}

func timeout(cluster *tenancy.VirtualCluster, err error) *apierrors.StatusError {
	status := access.BadGateway(cluster, "Timeout", "its API server did not answer in time: "+err.Error())
	status.ErrStatus.Code = http.StatusGatewayTimeout
	status.ErrStatus.Reason = metav1.StatusReasonTimeout
	return status
}

// isIdentityError tells whether the server's certificate was not the pinned one.
func isIdentityError(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

// isAlert tells whether the server broke the handshake off, as it does when it
// does not accept a certificate.
func isAlert(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert)
}

// writeError answers with a Status in JSON, which every client of Kubernetes
// reads, whatever it asked for.
func writeError(w http.ResponseWriter, req *http.Request, cluster *tenancy.VirtualCluster, rec *record, err error) {
	logger := klog.FromContext(req.Context())
	left := errors.Is(err, context.Canceled) && req.Context().Err() != nil
	if left {
		// A caller who only closed their half reads this, and must not read 200.
		err = &callerError{err}
	}
	failure := toStatus(cluster, err)
	if !left {
		rec.failed(failure)
	}
	status := failure.Status()
	status.Kind, status.APIVersion = "Status", "v1"
	logger.V(2).Info("Request not relayed", "method", req.Method, "code", status.Code, "reason", status.Reason, "err", err)
	body, err := json.Marshal(status)
	if err != nil {
		logger.Error(err, "Encode status")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if status.Code == http.StatusServiceUnavailable {
		// kubectl's discovery reads no Status, but shows warnings.
		if warning, err := utilnet.NewWarningHeader(299, "garret", status.Message); err == nil {
			w.Header().Add("Warning", warning)
		}
	}
	if after := retryAfter(status, time.Now()); after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(int(status.Code))
	if _, err := w.Write(body); err != nil {
		logger.V(4).Info("The caller went away", "err", err)
	}
}

// retryAfter is the header of that name: seconds, where somebody who waits will
// be served. What does not end by itself has a date instead, the header's other
// form: it means the same, but client-go, which would wait ten times in silence
// for a number of seconds, tells its user at once what is wrong.
func retryAfter(status metav1.Status, now time.Time) string {
	switch {
	case status.Details != nil && status.Details.RetryAfterSeconds > 0:
		return strconv.Itoa(int(status.Details.RetryAfterSeconds))
	case status.Code == http.StatusServiceUnavailable:
		return now.Add(retryLater).UTC().Format(http.TimeFormat)
	}
	return ""
}
