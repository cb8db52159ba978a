// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// SecretName is the Secret that the replicas share.
const SecretName = "garret-apiserver-certs"

// Keeper holds the current material and keeps it current.
type Keeper struct {
	client    kubernetes.Interface
	namespace string
	lives     Lives
	identity  Identity
	clock     clock.WithTicker
	metrics   *Metrics

	current atomic.Pointer[Material]
	// served is what the serving certificate is taken from: the current pair, or
	// the one before while others have yet to learn about a strange authority.
	served atomic.Pointer[Pair]
	// former is the client certificate from before the Secret was exchanged.
	former atomic.Pointer[former]
	// published is the bundle that others are known to have been given.
	published atomic.Pointer[[]*x509.Certificate]

	mu        sync.Mutex
	listeners []dynamiccertificates.Listener
}

// NewKeeper makes a Keeper of the Secret in namespace.
func NewKeeper(client kubernetes.Interface, namespace string, identity Identity, lives Lives) *Keeper {
	return &Keeper{client: client, namespace: namespace, identity: identity, lives: lives, clock: clock.RealClock{}}
}

// WithClock has the Keeper go by another clock than the machine's.
func (k *Keeper) WithClock(clock clock.WithTicker) *Keeper {
	k.clock = clock
	return k
}

// WithMetrics has the keeper say until when its certificates are good.
func (k *Keeper) WithMetrics(metrics *Metrics) *Keeper {
	k.metrics = metrics
	return k
}

// Load reads, creates or renews the Secret, and returns when the server has a certificate to
// serve with. It retries until ctx ends.
func (k *Keeper) Load(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		if last = k.Sync(ctx); last != nil {
			klog.FromContext(ctx).Error(last, "Certificates are not there yet")
		}
		return last == nil, nil
	})
	return errors.Join(err, last)
}

// Run renews in time, and takes over what another replica renewed, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	changes := watchOne(ctx, k.client.CoreV1().RESTClient(), "secrets", k.namespace, SecretName, &corev1.Secret{})
	loop(ctx, k.clock, k.lives.check(), "Certificates", changes, k.Sync)
}

// Sync brings Secret and memory to what they should be now.
func (k *Keeper) Sync(ctx context.Context) error {
	secrets := k.client.CoreV1().Secrets(k.namespace)
	secret, err := secrets.Get(ctx, SecretName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("secret %s/%s: %w", k.namespace, SecretName, err)
	}
	exists := err == nil
	write := !exists

	// What is in memory is better than nothing: with a new authority, whoever
	// learned about the old one would turn us away.
	kept := k.current.Load()
	if exists {
		decoded, err := decode(secret.Data)
		if err == nil {
			write = k.acquaint(ctx, decoded)
			kept = decoded
		} else {
			klog.FromContext(ctx).Error(err, "Replacing a Secret that cannot be used", "secret", klog.KRef(k.namespace, SecretName))
			write = true
		}
	}
	material, changed, err := Renew(k.clock.Now(), kept, k.livesFor(kept), k.identity)
	if err != nil {
		return fmt.Errorf("renew certificates: %w", err)
	}
	if changed || write {
		if err := k.store(ctx, secret, exists, material); err != nil {
			return err
		}
	}
	k.use(ctx, material)
	return nil
}

// store writes the Secret. That another replica was faster is an error like
// others: the next try reads what that one wrote.
func (k *Keeper) store(ctx context.Context, secret *corev1.Secret, exists bool, material *Material) error {
	data, err := encode(material)
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", k.namespace, SecretName, err)
	}
	secrets := k.client.CoreV1().Secrets(k.namespace)
	if !exists {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Name: SecretName, Namespace: k.namespace,
				Labels: map[string]string{"app.kubernetes.io/name": "garret", "app.kubernetes.io/component": "apiserver"},
			},
			Type: corev1.SecretTypeOpaque,
			Data: data,
		}, metav1.CreateOptions{})
	} else {
		secret = secret.DeepCopy()
		secret.Data = data
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", k.namespace, SecretName, err)
	}
	return nil
}

// use puts the material to work and tells those who listen, if it is new.
func (k *Keeper) use(ctx context.Context, material *Material) {
	old := k.current.Swap(material)
	if old != nil && same(old, material) {
		return
	}
	klog.FromContext(ctx).Info("Certificates in use",
		"authority", material.Authority.Certificate.Subject.CommonName,
		"authorityNotAfter", material.Authority.Certificate.NotAfter,
		"servingNotAfter", material.Serving.Certificate.NotAfter,
		"clientNotAfter", material.Client.Certificate.NotAfter,
		"successor", material.Successor != nil)
	k.metrics.observe(material)
	k.serve()
	k.notify()
}

func (k *Keeper) notify() {
	k.mu.Lock()
	listeners := append([]dynamiccertificates.Listener{}, k.listeners...)
	k.mu.Unlock()
	for _, listener := range listeners {
		listener.Enqueue()
	}
}

func same(a, b *Material) bool {
	x, y := a.Bundle(), b.Bundle()
	if len(x) != len(y) || !a.Serving.Certificate.Equal(b.Serving.Certificate) || !a.Client.Certificate.Equal(b.Client.Certificate) {
		return false
	}
	for i := range x {
		if !x[i].Equal(y[i]) {
			return false
		}
	}
	return true
}

// Bundle is, PEM encoded, what others verify garret-apiserver with.
func (k *Keeper) Bundle() []byte {
	return encodeCertificates(k.current.Load().Bundle()...)
}

// ClientCertificate gives the certificate for connections to syncers; it is
// asked on every handshake, so that a renewed one is used at once.
func (k *Keeper) ClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	client := k.clientPair()
	return &tls.Certificate{
		Certificate: [][]byte{client.Certificate.Raw}, PrivateKey: client.Key, Leaf: client.Certificate,
	}, nil
}

// AddListener has listener told about changes.
func (k *Keeper) AddListener(listener dynamiccertificates.Listener) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, listener)
}

// Serving offers the serving certificate to the API machinery.
func (k *Keeper) Serving() dynamiccertificates.CertKeyContentProvider { return serving{k} }

type serving struct{ *Keeper }

func (serving) Name() string { return "garret-apiserver-certs" }

func (s serving) CurrentCertKeyContent() ([]byte, []byte) {
	pair := s.served.Load()
	key, err := encodeKey(pair.Key)
	if err != nil {
		// The key came from this package, in a form that it encoded before.
		return nil, nil
	}
	return encodeCertificates(pair.Certificate), key
}
