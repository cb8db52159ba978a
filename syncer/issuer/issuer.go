// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki"
)

const (
	// maxBody is many times what a request with a large RSA key takes.
	maxBody = 64 << 10
	// bodyTimeout is how long a client may take to send it.
	bodyTimeout = 10 * time.Second
	backdate    = time.Minute
)

// Issuer is the server. Its fields are not changed once it runs.
type Issuer struct {
	// Listener is where it serves.
	Listener net.Listener
	// Serving is the certificate that it shows.
	Serving *pki.Serving
	// Callers are the authorities of garret-apiserver's client certificate.
	Callers *pki.Pool
	// Signer is the virtual cluster's authority of clients.
	Signer *pki.Authority
	// Rights gives kubeconfigs what they may do inside.
	Rights Rights
	// Clock tells when a certificate begins.
	Clock clock.PassiveClock
	// Metrics are the syncer's, which the same caller may read. Nil for none.
	Metrics http.Handler
}

// Rights gives the group of a kubeconfig its rights inside; package
// syncer/access has the real one. What a caller should know of an error is an API error.
type Rights interface {
	// Check tells whether the grant can be made.
	Check(ctx context.Context, grant *tenancyv1.KubeconfigGrant) error
	// Bind makes it, once for each id.
	Bind(ctx context.Context, grant *tenancyv1.KubeconfigGrant, expires time.Time) error
	// Unbind takes it back.
	Unbind(ctx context.Context, grant *tenancyv1.KubeconfigGrant)
}

// Run serves until the context ends.
func (i *Issuer) Run(ctx context.Context) error {
	return pki.Serve(ctx, "issuer", i.Listener, pki.ServerConfig(i.Serving, i.Callers), i.Handler())
}

// Handler answers requests that came over mutual TLS.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(tenancyv1.IssuerPath, func(w http.ResponseWriter, r *http.Request) {
		response, err := i.serve(w, r)
		if err != nil {
			klog.FromContext(r.Context()).Info("Refused a certificate", "remote", r.RemoteAddr, "reason", err)
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, response)
	})
	if i.Metrics != nil {
		mux.HandleFunc("GET "+tenancyv1.SyncerMetricsPath, func(w http.ResponseWriter, r *http.Request) {
			if err := authorize(r); err != nil {
				writeError(w, err)
				return
			}
			i.Metrics.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, apierrors.NewGenericServerResponse(http.StatusNotFound, "get", tenancyv1.Resource("certificates"), "", "only "+tenancyv1.IssuerPath+" is served", 0, true))
	})
	return mux
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) (*tenancyv1.CertificateResponse, error) {
	// Who calls is checked before a byte of the body is read.
	if err := authorize(r); err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost {
		return nil, apierrors.NewMethodNotSupported(tenancyv1.Resource("certificates"), r.Method)
	}
	request, err := decode(w, r)
	if err != nil {
		return nil, err
	}
	asked, err := parse(request.Request)
	if err != nil {
		return nil, err
	}
	names, err := subject(asked, request.Kubeconfig)
	if err != nil {
		return nil, err
	}
	validity, err := life(request.ExpirationSeconds)
	if err != nil {
		return nil, err
	}
	der, err := i.grant(r.Context(), request, names, asked.PublicKey, validity)
	if err != nil || der == nil {
		return &tenancyv1.CertificateResponse{}, err
	}
	klog.FromContext(r.Context()).V(1).Info("Issued a certificate", "user", names.CommonName, "groups", names.Organization, "life", validity)
	return &tenancyv1.CertificateResponse{Certificate: pki.EncodeCertificate(der)}, nil
}

// grant signs, once the rights of what is signed are in place. It returns nothing
// for a dry run.
func (i *Issuer) grant(ctx context.Context, request *tenancyv1.CertificateRequest, names pkix.Name, public any, validity time.Duration) ([]byte, error) {
	// A certificate counts whole seconds, and so does the binding's annotation.
	now := i.Clock.Now().Truncate(time.Second)
	expires := now.Add(validity)
	kubeconfig := request.Kubeconfig
	switch {
	case request.DryRun && kubeconfig != nil:
		return nil, unlessKnown(ctx, i.Rights.Check(ctx, kubeconfig))
	case request.DryRun:
		return nil, nil
	case kubeconfig != nil:
		if err := i.Rights.Bind(ctx, kubeconfig, expires); err != nil {
			return nil, unlessKnown(ctx, err)
		}
	}
	der, err := i.Signer.Sign(&x509.Certificate{
		Subject:               names,
		NotBefore:             now.Add(-backdate),
		NotAfter:              expires,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, public)
	if err != nil {
		// The reason names files in the pod: it is for the log.
		klog.FromContext(ctx).Error(err, "Cannot sign")
		err = apierrors.NewServiceUnavailable("the certificate authority for clients is not available")
	} else if ctx.Err() != nil {
		err = apierrors.NewTimeoutError("the caller has gone away", 0)
	}
	if err != nil {
		if kubeconfig != nil {
			i.Rights.Unbind(ctx, kubeconfig)
		}
		return nil, err
	}
	return der, nil
}

// unlessKnown hides what is no API error for the caller: it is for the log.
func unlessKnown(ctx context.Context, err error) error {
	var known apierrors.APIStatus
	if err == nil || errors.As(err, &known) && !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
		return err
	}
	klog.FromContext(ctx).Error(err, "Cannot give a credential its rights")
	return apierrors.NewServiceUnavailable("the API server inside cannot give the credential its rights now")
}

// authorize lets garret-apiserver in. TLS has verified that the certificate is
// of its authority, and for clients.
func authorize(r *http.Request) error {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return apierrors.NewUnauthorized("a client certificate is required")
	}
	if name := r.TLS.VerifiedChains[0][0].Subject.CommonName; name != tenancyv1.APIServerUser {
		return forbidden("%.100q may not ask for certificates", name)
	}
	return nil
}

func decode(w http.ResponseWriter, r *http.Request) (*tenancyv1.CertificateRequest, error) {
	// Not every ResponseWriter has deadlines; the server's has.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("deadline: %w", err)
	}
	request := &tenancyv1.CertificateRequest{}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(request)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the limit is %d bytes", maxBody))
	}
	if err != nil {
		return nil, apierrors.NewBadRequest("body is not a certificate request in JSON: " + err.Error())
	}
	return request, nil
}

func writeError(w http.ResponseWriter, err error) {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	writeJSON(w, int(status.Code), status)
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// Nobody can tell a client that has gone away.
	_ = json.NewEncoder(w).Encode(body)
}
