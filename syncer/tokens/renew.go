// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/resources"
)

// Run renews tokens, and removes those of pods that are gone, until the context
// ends. It waits for the host's informers; the virtual pods have to be known
// before it is called.
func (m *Minter) Run(ctx context.Context) error {
	defer m.queue.ShutDown()
	if !cache.WaitForCacheSync(ctx.Done(), m.synced...) {
		return nil
	}
	stop := context.AfterFunc(ctx, m.queue.ShutDown)
	defer stop()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for m.next(ctx) {
			}
		})
	}
	group.Wait()
	return nil
}

func (m *Minter) next(ctx context.Context) bool {
	name, down := m.queue.Get()
	if down {
		return false
	}
	defer m.queue.Done(name)
	after, err := m.reconcile(ctx, name)
	switch {
	case err == nil:
		m.queue.Forget(name)
		if after > 0 {
			m.queue.AddAfter(name, after)
		}
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		// The cache is behind; it will say so itself, or this is tried again.
		m.queue.AddRateLimited(name)
	case ctx.Err() == nil:
		klog.FromContext(ctx).Error(err, "Cannot keep the tokens of a pod fresh", "secret", klog.KRef(m.translator.Cluster().HostNamespace, name))
		m.queue.AddRateLimited(name)
	}
	return true
}

// reconcile brings one Secret up to date, and says when to look at it again.
func (m *Minter) reconcile(ctx context.Context, name string) (time.Duration, error) {
	secret, err := m.secrets.Secrets(m.translator.Cluster().HostNamespace).Get(name)
	if err != nil {
		return 0, nil // It is gone.
	}
	identity, ours := m.translator.IdentityOf(secret)
	if !ours || identity.Kind != kindPod || secret.DeletionTimestamp != nil {
		return 0, nil
	}
	pod, err := m.virtualPods.Pods(identity.Namespace).Get(identity.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("virtual pod: %w", err)
	}
	if err != nil || pod.UID != identity.UID {
		klog.FromContext(ctx).V(2).Info("Removing the tokens of a pod that is gone", "secret", klog.KObj(secret))
		return 0, m.remove(ctx, secret)
	}
	wanted := secret.DeepCopy()
	if err := m.own(pod, wanted); err != nil {
		return 0, err
	}
	projections := resources.TokenProjections(pod)
	renew := m.renewal(secret)
	// An account whose pod is ending gets no further tokens, and needs none.
	if pod.DeletionTimestamp == nil && (!renew.After(m.clock.Now()) || !hasKeys(secret, keysOf(projections))) {
		tokens, err := m.mint(ctx, pod, projections)
		if err != nil {
			return 0, err
		}
		wanted.Data, renew = tokens.data, tokens.renew
		metav1.SetMetaDataAnnotation(&wanted.ObjectMeta, annotationRenew, renew.UTC().Format(time.RFC3339))
		klog.FromContext(ctx).V(2).Info("Renewed the tokens of a pod", "pod", klog.KObj(pod), "until", renew)
	}
	if !maps.EqualFunc(wanted.Data, secret.Data, slices.Equal) || !slices.EqualFunc(wanted.OwnerReferences, secret.OwnerReferences, sameOwner) {
		if _, err := m.host.CoreV1().Secrets(secret.Namespace).Update(ctx, wanted, metav1.UpdateOptions{}); err != nil {
			return 0, fmt.Errorf("update secret: %w", err)
		}
	}
	if pod.DeletionTimestamp != nil {
		return 0, nil
	}
	return max(renew.Sub(m.clock.Now()), time.Second), nil
}

// own makes the host pod the only owner: beside another one, its end would not
// take the Secret along.
func (m *Minter) own(pod *corev1.Pod, secret *corev1.Secret) error {
	host, err := m.hostPods.Pods(secret.Namespace).Get(m.translator.HostName(pod.Namespace, pod.Name))
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("host pod: %w", err)
	}
	if identity, ours := m.translator.IdentityOf(host); !ours || identity.UID != pod.UID {
		return nil
	}
	secret.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Pod", Name: host.Name, UID: host.UID,
		BlockOwnerDeletion: ptr.To(false),
	}}
	return nil
}

func sameOwner(a, b metav1.OwnerReference) bool { return a.UID == b.UID }
