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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/resources"
)

// Run renews tokens, and removes those of pods that are gone, until the context
// ends. It begins when all informers have synced: a pod that is not known yet is not gone.
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
	key, down := m.queue.Get()
	if down {
		return false
	}
	defer m.queue.Done(key)
	after, err := m.reconcile(ctx, key)
	switch {
	case err == nil:
		m.queue.Forget(key)
		if after > 0 {
			m.queue.AddAfter(key, after)
		}
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		// The cache is behind; it will say so itself, or this is tried again.
		m.queue.AddRateLimited(key)
	case ctx.Err() == nil:
		klog.FromContext(ctx).Error(err, "Cannot keep the tokens of a pod fresh", "pod", klog.KRef(key.Namespace, key.Name))
		m.queue.AddRateLimited(key)
	}
	return true
}

// reconcile brings the Secret of one pod up to date, and says when to look at it again.
func (m *Minter) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	pod, err := m.virtualPods.Pods(key.Namespace).Get(key.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("virtual pod: %w", err)
	}
	exists := err == nil
	secret, err := m.secrets.Secrets(m.translator.Cluster().HostNamespace).Get(m.secretName(key.Namespace, key.Name))
	if err != nil {
		if exists {
			return 0, m.restore(ctx, pod)
		}
		return 0, nil
	}
	identity, ours := m.translator.IdentityOf(secret)
	if !ours || identity.Kind != kindPod || secret.DeletionTimestamp != nil {
		return 0, nil
	}
	if !exists || pod.UID != identity.UID {
		klog.FromContext(ctx).V(2).Info("Removing the tokens of a pod that is gone", "secret", klog.KObj(secret))
		return 0, m.remove(ctx, secret)
	}
	return m.refresh(ctx, pod, secret)
}

// restore makes the Secret of a running pod again, when somebody on the host deleted it.
func (m *Minter) restore(ctx context.Context, pod *corev1.Pod) error {
	projections := resources.TokenProjections(pod)
	if len(projections) == 0 || pod.DeletionTimestamp != nil {
		return nil
	}
	if _, running, err := m.hostPod(pod); err != nil || !running {
		return err
	}
	_, _, err := m.Ensure(ctx, pod, projections)
	return err
}

// refresh renews the tokens in the pod's Secret when their time has come.
func (m *Minter) refresh(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) (time.Duration, error) {
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
	host, running, err := m.hostPod(pod)
	if err != nil || !running {
		return err
	}
	secret.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Pod", Name: host.Name, UID: host.UID,
		BlockOwnerDeletion: ptr.To(false),
	}}
	return nil
}

// hostPod finds the twin of this life of the pod.
func (m *Minter) hostPod(pod *corev1.Pod) (*corev1.Pod, bool, error) {
	host, err := m.hostPods.Pods(m.translator.Cluster().HostNamespace).Get(m.translator.HostName(pod.Namespace, pod.Name))
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("host pod: %w", err)
	}
	identity, ours := m.translator.IdentityOf(host)
	return host, ours && identity.UID == pod.UID && host.DeletionTimestamp == nil, nil
}

func sameOwner(a, b metav1.OwnerReference) bool { return a.UID == b.UID }
