// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/resources"
)

// Controller returns one that makes the tokens of pods on the host, renews them, and
// removes those of pods that are gone.
func (m *Minter) Controller(metrics *engine.Metrics) (*engine.Controller, error) {
	controller := engine.NewController(engine.ControllerOptions{
		Name: "tokens", Workers: workers, Reconciler: m, Metrics: metrics, Clock: m.clock,
	})
	m.virtualPods.Follow()
	if err := controller.Watch(m.secrets.Informer(), m.podOf(tenancyv1.VirtualKindPod)); err != nil {
		return nil, err
	}
	// One that comes without a node has them made by who binds it.
	of := m.podOf("")
	err := controller.WatchNew(m.hostPods.Informer(), func(object any) []types.NamespacedName {
		if object.(*corev1.Pod).Spec.NodeName == "" {
			return nil
		}
		return of(object)
	})
	if err != nil {
		return nil, err
	}
	if err := m.source.Follow(controller); err != nil {
		return nil, err
	}
	return controller, controller.WatchGone(m.hostPods.Informer(), of)
}

// Since is how old the pod is.
func (m *Minter) Since(key types.NamespacedName) time.Time { return m.virtualPods.Since(key) }

// podOf names the virtual pod that a host object of this kind of identity stands for.
func (m *Minter) podOf(kind string) func(object any) []types.NamespacedName {
	return func(object any) []types.NamespacedName {
		if identity, ours := m.translator.IdentityOf(object.(metav1.Object)); ours && identity.Kind == kind {
			return []types.NamespacedName{identity.NamespacedName}
		}
		return nil
	}
}

// Reconcile brings the Secret of one pod up to date, and says when to look at it again.
func (m *Minter) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	after, err := m.reconcile(ctx, key)
	if apierrors.IsNotFound(err) && !engine.IsRefusal(err) {
		return 0, engine.Again("the cache is behind: " + err.Error())
	}
	return after, err
}

func (m *Minter) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	pod, exists, err := m.pod(ctx, key)
	if err != nil {
		return 0, err
	}
	secret, found := m.secrets.Get(m.translator.Cluster().HostNamespace, m.secretName(key.Namespace, key.Name))
	if found {
		identity, ours := m.translator.IdentityOf(secret)
		if !ours || identity.Kind != tenancyv1.VirtualKindPod {
			return 0, nil
		}
		if !exists || pod.UID != identity.UID || !m.isHosted(pod) {
			if err := m.discard(ctx, secret, !exists || pod.UID != identity.UID); err != nil {
				return 0, err
			}
			found = false
		}
	}
	switch {
	case !exists:
		m.source.Forget(key)
		return 0, nil
	case !found:
		return m.restore(ctx, pod)
	case secret.DeletionTimestamp != nil:
		return 0, engine.Again("the secret of a pod is being deleted")
	}
	return m.refresh(ctx, pod, secret)
}

// pod is the one inside. That it has a node is not in the cache yet when it was bound a
// moment ago, and the host's kubelet waits.
func (m *Minter) pod(ctx context.Context, key types.NamespacedName) (*corev1.Pod, bool, error) {
	pod, exists := m.virtualPods.Get(key.Namespace, key.Name)
	if !exists || pod.Spec.NodeName != "" {
		return pod, exists, nil
	}
	if host, running := m.hostPod(pod); !running || host.Spec.NodeName == "" {
		return pod, true, nil
	}
	now, err := m.virtual.CoreV1().Pods(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return nil, false, fmt.Errorf("read pod %s: %w", key, err)
	}
	if now.UID != pod.UID {
		return nil, false, engine.Again("somebody created another pod of this name meanwhile")
	}
	return now, true, nil
}

// discard removes the Secret of a pod that is missing, inside or on the host.
func (m *Minter) discard(ctx context.Context, secret *corev1.Secret, inside bool) error {
	if secret.DeletionTimestamp != nil {
		return nil
	}
	if inside {
		if err := m.evidence.Confirm(ctx); err != nil {
			return fmt.Errorf("tokens of a pod that is missing: %w", err)
		}
	}
	klog.FromContext(ctx).V(2).Info("Removing the tokens of a pod that is gone", "secret", klog.KObj(secret))
	return m.remove(ctx, secret)
}

// restore makes the Secret of a pod on the host, also when somebody there deleted it.
func (m *Minter) restore(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	if !resources.NeedsSecret(pod) || pod.DeletionTimestamp != nil {
		return 0, nil
	}
	if _, running := m.hostPod(pod); !running {
		return 0, nil
	}
	return m.ensure(ctx, pod)
}

// refresh brings the pod's Secret up to date.
func (m *Minter) refresh(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) (time.Duration, error) {
	wanted := secret.DeepCopy()
	m.own(pod, wanted)
	var after time.Duration
	var missing error
	// An account whose pod is ending gets no further tokens, and needs none.
	if pod.DeletionTimestamp == nil && m.isBound(pod) {
		after, missing = m.fill(ctx, pod, wanted)
	}
	if !maps.EqualFunc(wanted.Data, secret.Data, bytes.Equal) || !maps.Equal(wanted.Annotations, secret.Annotations) ||
		!slices.EqualFunc(wanted.OwnerReferences, secret.OwnerReferences, sameOwner) {
		if _, err := m.secrets.Writer(secret.Namespace).Update(ctx, wanted, metav1.UpdateOptions{}); err != nil {
			return 0, errors.Join(missing, engine.OnHost("update secret "+secret.Name, err))
		}
	}
	return after, missing
}

// own makes the host pod the only owner: beside another one, its end would not
// take the Secret along.
func (m *Minter) own(pod *corev1.Pod, secret *corev1.Secret) {
	host, running := m.hostPod(pod)
	if !running {
		return
	}
	secret.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Pod", Name: host.Name, UID: host.UID,
		BlockOwnerDeletion: ptr.To(false),
	}}
}

// hostPod finds the twin of this life of the pod.
func (m *Minter) hostPod(pod *corev1.Pod) (*corev1.Pod, bool) {
	host, found := m.hostPods.Get(m.translator.Cluster().HostNamespace, m.translator.HostName(pod.Namespace, pod.Name))
	if !found {
		return nil, false
	}
	identity, ours := m.translator.IdentityOf(host)
	return host, ours && identity.UID == pod.UID && host.DeletionTimestamp == nil
}

// isBound tells whether the pod has a node, inside and on the host. The API server
// inside writes it into the tokens, so that none are minted before.
func (m *Minter) isBound(pod *corev1.Pod) bool {
	host, running := m.hostPod(pod)
	return running && host.Spec.NodeName != "" && pod.Spec.NodeName != ""
}

// isHosted tells whether this life of the pod is on the host, be it to end.
func (m *Minter) isHosted(pod *corev1.Pod) bool {
	host, found := m.hostPods.Get(m.translator.Cluster().HostNamespace, m.translator.HostName(pod.Namespace, pod.Name))
	if !found {
		return false
	}
	identity, ours := m.translator.IdentityOf(host)
	return ours && identity.UID == pod.UID
}

func sameOwner(a, b metav1.OwnerReference) bool { return a.UID == b.UID }
