// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	switch {
	case errors.As(err, &credential):
		return access.Unavailable(cluster, retryUnreachable, "NoCredential", "no certificate for the relay: "+err.Error())
	case errors.As(err, &status):
		return status
	case errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &dial):
		return timeout(cluster, err)
	case isIdentityError(err):
		return access.Unavailable(cluster, retryUnreachable, "WrongIdentity", "what answered at its address is not its API server: "+err.Error())
	case errors.As(err, &dial):
		return access.Unavailable(cluster, retryUnreachable, "Unreachable", "no connection to its API server: "+err.Error())
	}
	return access.BadGateway(cluster, "ConnectionLost", "the connection to its API server failed while the request was under way: "+err.Error())
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
func writeError(w http.ResponseWriter, req *http.Request, cluster *tenancy.VirtualCluster, err error) {
	logger := klog.FromContext(req.Context()).WithValues("virtualCluster", klog.KObj(cluster))
	if errors.Is(err, context.Canceled) && req.Context().Err() != nil {
		logger.V(4).Info("The caller went away")
		return
	}
	status := toStatus(cluster, err).Status()
	status.Kind, status.APIVersion = "Status", "v1"
	logger.V(2).Info("Request not relayed", "method", req.Method, "code", status.Code, "reason", status.Reason, "err", err)
	body, err := json.Marshal(status)
	if err != nil {
		logger.Error(err, "Encode status")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	w.WriteHeader(int(status.Code))
	if _, err := w.Write(body); err != nil {
		logger.V(4).Info("The caller went away", "err", err)
	}
}
