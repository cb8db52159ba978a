// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// annotationRenew on the Secret is when its tokens are to be renewed.
	annotationRenew = "garret.dev/tokens-renew"

	// purpose stands in the name of the Secret, kind in its identity: it is not
	// the twin of a Secret inside.
	purpose = "token"
	kindPod = "Pod"

	workers = 4
)

// Options are what a Minter is made of.
type Options struct {
	Translator *translate.Translator
	// Virtual mints, Host keeps the secrets.
	Virtual, Host kubernetes.Interface
	// VirtualPodInformer has the pods inside. HostPodInformer and HostSecretInformer
	// have those that the syncer made on the host, and tell of changes.
	VirtualPodInformer, HostPodInformer, HostSecretInformer cache.SharedIndexInformer
	Clock                                                   clock.WithTicker
}

// Minter makes the tokens of pods and keeps them fresh. It is safe for
// concurrent use.
type Minter struct {
	translator            *translate.Translator
	virtual, host         kubernetes.Interface
	virtualPods, hostPods corev1listers.PodLister
	secrets               corev1listers.SecretLister
	synced                []cache.InformerSynced
	queue                 workqueue.TypedRateLimitingInterface[types.NamespacedName]
	clock                 clock.WithTicker
}

// New returns a Minter. The informers are run by somebody else.
func New(o Options) (*Minter, error) {
	m := &Minter{
		translator: o.Translator, virtual: o.Virtual, host: o.Host,
		virtualPods: corev1listers.NewPodLister(o.VirtualPodInformer.GetIndexer()),
		hostPods:    corev1listers.NewPodLister(o.HostPodInformer.GetIndexer()),
		secrets:     corev1listers.NewSecretLister(o.HostSecretInformer.GetIndexer()),
		synced:      []cache.InformerSynced{o.VirtualPodInformer.HasSynced, o.HostPodInformer.HasSynced, o.HostSecretInformer.HasSynced},
		clock:       o.Clock,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](200*time.Millisecond, time.Minute),
			workqueue.TypedRateLimitingQueueConfig[types.NamespacedName]{Name: "tokens", Clock: o.Clock}),
	}
	if err := m.follow(o.HostSecretInformer, kindPod); err != nil {
		return nil, err
	}
	// A host pod that comes becomes the Secret's owner, one that goes has it removed.
	return m, m.follow(o.HostPodInformer, "")
}

// follow queues the virtual pods that host objects of this kind of identity stand for.
func (m *Minter) follow(informer cache.SharedIndexInformer, kind string) error {
	add := func(object any) {
		if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = unknown.Obj
		}
		meta, ok := object.(metav1.Object)
		if !ok {
			return
		}
		if identity, ours := m.translator.IdentityOf(meta); ours && identity.Kind == kind {
			m.queue.Add(identity.NamespacedName)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add,
		// A host pod changes often, and what matters of it here never does.
		UpdateFunc: func(_, object any) {
			if _, pod := object.(*corev1.Pod); !pod {
				add(object)
			}
		},
		DeleteFunc: add,
	})
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return nil
}

func (m *Minter) secretName(namespace, pod string) string {
	return m.translator.DerivedName(purpose, namespace, pod)
}

// Ensure returns, once it is there, the name of the host Secret that holds a token
// of the virtual cluster for each of the pod's projections, and the key of each
// projection in their order.
func (m *Minter) Ensure(ctx context.Context, pod *corev1.Pod, projections []corev1.ServiceAccountTokenProjection) (string, []string, error) {
	name, keys := m.secretName(pod.Namespace, pod.Name), keysOf(projections)
	namespace := m.translator.Cluster().HostNamespace
	if secret, err := m.secrets.Secrets(namespace).Get(name); err == nil && m.good(secret, pod, keys) {
		return name, keys, nil
	}
	tokens, err := m.mint(ctx, pod, projections)
	if err != nil {
		return "", nil, err
	}
	secret := m.secretFor(pod, name, tokens)
	_, err = m.host.CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = m.replace(ctx, pod, secret)
	}
	if err != nil {
		return "", nil, engine.OnHost(fmt.Sprintf("secret %s/%s with the tokens of pod %s", namespace, name, klog.KObj(pod)), err)
	}
	return name, keys, nil
}

func (m *Minter) secretFor(pod *corev1.Pod, name string, tokens *minted) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.translator.Cluster().HostNamespace, Name: name},
		Type:       corev1.SecretTypeOpaque,
		Data:       tokens.data,
	}
	identity := translate.IdentityFor(pod)
	identity.Kind = kindPod
	m.translator.Mark(secret, identity, nil, map[string]string{annotationRenew: tokens.renew.UTC().Format(time.RFC3339)})
	return secret
}

// replace takes the place of a Secret that a pod of the same name, or an earlier
// try for this one, left. The old one is deleted rather than changed: its owner
// is a host pod that may be on its way out, and would take it along. A good one,
// of which the cache did not know yet, stays: the pod may have it mounted.
func (m *Minter) replace(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) error {
	client := m.host.CoreV1().Secrets(secret.Namespace)
	found, err := client.Get(ctx, secret.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil {
		if identity, ours := m.translator.IdentityOf(found); !ours || identity.Kind != kindPod {
			return fmt.Errorf("the name belongs to an object that the syncer did not make")
		}
		if m.good(found, pod, slices.Collect(maps.Keys(secret.Data))) {
			return nil
		}
		if err := m.remove(ctx, found); err != nil {
			return err
		}
	}
	_, err = client.Create(ctx, secret, metav1.CreateOptions{})
	return err
}

func (m *Minter) remove(ctx context.Context, secret *corev1.Secret) error {
	err := m.host.CoreV1().Secrets(secret.Namespace).Delete(ctx, secret.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &secret.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// good says whether the Secret holds what the pod needs.
func (m *Minter) good(secret *corev1.Secret, pod *corev1.Pod, keys []string) bool {
	identity, ours := m.translator.IdentityOf(secret)
	if !ours || identity.UID != pod.UID || secret.DeletionTimestamp != nil || !m.renewal(secret).After(m.clock.Now()) {
		return false
	}
	return hasKeys(secret, keys)
}

func hasKeys(secret *corev1.Secret, keys []string) bool {
	for _, key := range keys {
		if len(secret.Data[key]) == 0 {
			return false
		}
	}
	return true
}

// renewal is when the tokens are to be renewed: at once, if that cannot be told.
func (m *Minter) renewal(secret *corev1.Secret) time.Time {
	renew, err := time.Parse(time.RFC3339, secret.Annotations[annotationRenew])
	if err != nil {
		return time.Time{}
	}
	return renew
}
