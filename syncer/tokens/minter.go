// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
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
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/projected"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/translate"
)

const (
	// annotationRenew on the Secret is when its tokens are to be renewed, annotationNode
	// the node that they name.
	annotationRenew = "garret.dev/tokens-renew"
	annotationNode  = "garret.dev/tokens-node"

	// purpose stands in the name of the Secret, which is not the twin of one inside.
	purpose = "token"

	workers = 4
)

// Options are what a Minter is made of.
type Options struct {
	Translator *translate.Translator
	// Virtual mints.
	Virtual kubernetes.Interface
	// VirtualPods are the pods inside. HostPods and HostSecrets are those that the
	// syncer made on the host; HostSecrets keeps the tokens.
	VirtualPods, HostPods *engine.Store[*corev1.Pod]
	HostSecrets           *engine.Store[*corev1.Secret]
	Clock                 clock.WithTicker
	Evidence              engine.Evidence
	// Source has what the Secrets of pods hold beside tokens.
	Source Source
}

// Source has what a pod projects beside tokens. It is asked by one pass over a pod at a time.
type Source interface {
	// Follow has the controller, whose keys are pods inside, look at those again of which
	// something changes.
	Follow(controller *engine.Controller) error
	// Fill puts what it has for a pod with a node into the Secret, and returns when to be
	// called again; zero for when Follow tells.
	Fill(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) (time.Duration, error)
	// Forget drops what is remembered of a pod that is gone.
	Forget(pod types.NamespacedName)
}

// Minter makes the tokens of pods and keeps them fresh. It is safe for
// concurrent use.
type Minter struct {
	translator            *translate.Translator
	virtual               kubernetes.Interface
	virtualPods, hostPods *engine.Store[*corev1.Pod]
	secrets               *engine.Store[*corev1.Secret]
	clock                 clock.WithTicker
	evidence              engine.Evidence
	source                Source
}

// New returns a Minter.
func New(o Options) *Minter {
	return &Minter{
		translator: o.Translator, virtual: o.Virtual,
		virtualPods: o.VirtualPods, hostPods: o.HostPods, secrets: o.HostSecrets, clock: o.Clock, evidence: o.Evidence, source: o.Source,
	}
}

func (m *Minter) secretName(namespace, pod string) string {
	return m.translator.DerivedName(purpose, namespace, pod)
}

// Names returns the name of the host Secret that holds a token of the virtual
// cluster for each of the pod's projections, and the key of each in their order.
func (m *Minter) Names(pod *corev1.Pod, projections []corev1.ServiceAccountTokenProjection) (secret string, keys []string) {
	return m.secretName(pod.Namespace, pod.Name), keysOf(projections)
}

// Missing tells whether the pod has a node, and no Secret on the host that was filled for it.
func (m *Minter) Missing(pod *corev1.Pod) bool {
	if !resources.NeedsSecret(pod) || pod.Spec.NodeName == "" {
		return false
	}
	secret, found := m.secrets.Get(m.translator.Cluster().HostNamespace, m.secretName(pod.Namespace, pod.Name))
	if !found || !hasKeys(secret, keysOf(resources.TokenProjections(pod))) {
		return true
	}
	identity, ours := m.translator.IdentityOf(secret)
	return !ours || identity.UID != pod.UID || secret.Annotations[annotationNode] != pod.Spec.NodeName
}

// ensure returns once the Secret of a pod that needs one is there: empty until the pod
// has a node, with good tokens then. It says when to look at it again.
func (m *Minter) ensure(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	namespace, name := m.translator.Cluster().HostNamespace, m.secretName(pod.Namespace, pod.Name)
	if secret, found := m.secrets.Get(namespace, name); found && m.good(secret, pod, keysOf(resources.TokenProjections(pod))) {
		return 0, nil
	}
	secret := m.secretFor(pod, name)
	var after time.Duration
	if m.isBound(pod) {
		var err error
		if after, err = m.fill(ctx, pod, secret); err != nil {
			return 0, err
		}
	}
	_, err := m.secrets.Writer(namespace).Create(ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = m.replace(ctx, pod, secret)
	}
	if err != nil {
		return 0, engine.OnHost(fmt.Sprintf("secret %s/%s with the tokens of pod %s", namespace, name, klog.KObj(pod)), err)
	}
	return after, nil
}

// secretFor is an empty one.
func (m *Minter) secretFor(pod *corev1.Pod, name string) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.translator.Cluster().HostNamespace, Name: name},
		Type:       corev1.SecretTypeOpaque,
	}
	identity := translate.IdentityFor(pod)
	identity.Kind = tenancyv1.VirtualKindPod
	m.translator.Mark(secret, identity, nil, nil)
	m.own(pod, secret)
	return secret
}

// fill has the Secret of a pod with a node hold what the pod projects, and says when to
// look at it again. What is still good stays.
func (m *Minter) fill(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) (time.Duration, error) {
	var after time.Duration
	var failed error
	if projections := resources.TokenProjections(pod); len(projections) > 0 {
		if m.stale(secret, pod) || !hasKeys(secret, keysOf(projections)) {
			tokens, err := m.mint(ctx, pod, projections)
			if err == nil {
				tokens.put(secret)
				klog.FromContext(ctx).V(2).Info("Minted the tokens of a pod", "pod", klog.KObj(pod), "until", tokens.renew)
			}
			failed = err
		}
		after = max(m.renewal(secret).Sub(m.clock.Now()), time.Second)
	}
	if failed == nil {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, annotationNode, pod.Spec.NodeName)
	}
	again, err := m.source.Fill(ctx, pod, secret)
	return projected.Sooner(after, again), errors.Join(failed, err)
}

// replace takes the place of a Secret that a pod of the same name, or an earlier
// try for this one, left. The old one is deleted rather than changed: its owner
// is a host pod that may be on its way out, and would take it along. A good one,
// of which the cache did not know yet, stays: the pod may have it mounted.
func (m *Minter) replace(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) error {
	client := m.secrets.Writer(secret.Namespace)
	found, err := client.Get(ctx, secret.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil {
		if identity, ours := m.translator.IdentityOf(found); !ours || identity.Kind != tenancyv1.VirtualKindPod {
			return fmt.Errorf("the name belongs to an object that the syncer did not create")
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
	err := m.secrets.Writer(secret.Namespace).Delete(ctx, secret.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &secret.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return engine.OnHost("delete secret "+secret.Name, err)
	}
	return nil
}

// good says whether the Secret holds what the pod needs.
func (m *Minter) good(secret *corev1.Secret, pod *corev1.Pod, keys []string) bool {
	identity, ours := m.translator.IdentityOf(secret)
	if !ours || identity.UID != pod.UID || secret.DeletionTimestamp != nil {
		return false
	}
	if host, running := m.hostPod(pod); running && !slices.ContainsFunc(secret.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == host.UID }) {
		// It goes with an earlier host pod of this one.
		return false
	}
	return !m.isBound(pod) || len(keys) == 0 || hasKeys(secret, keys) && !m.stale(secret, pod)
}

// stale tells whether the tokens are to be minted again: their time has come, or they
// do not name the pod's node.
func (m *Minter) stale(secret *corev1.Secret, pod *corev1.Pod) bool {
	return !m.renewal(secret).After(m.clock.Now()) || secret.Annotations[annotationNode] != pod.Spec.NodeName
}

func hasKeys(secret *corev1.Secret, keys []string) bool {
	for _, key := range keys {
		if len(secret.Data[key]) == 0 {
			return false
		}
	}
	return true
}

// renewal is when the tokens are to be renewed: at once, if that is unknown.
func (m *Minter) renewal(secret *corev1.Secret) time.Time {
	renew, err := time.Parse(time.RFC3339, secret.Annotations[annotationRenew])
	if err != nil {
		return time.Time{}
	}
	return renew
}
