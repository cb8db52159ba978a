// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
)

const (
	// lookAgain is how long a failure waits for another try, and newCredentials the least time
	// between two credentials: somebody inside may delete each binding at once.
	lookAgain      = 5 * time.Second
	newCredentials = 10 * time.Second
)

// Rights gives credentials their rights inside; package syncer/access has the real one.
type Rights interface {
	// BindSecret gives a credential the rights of a ClusterRole.
	BindSecret(ctx context.Context, id, secret, clusterRole string, expires time.Time) error
	// EndSecrets takes the rights of other credentials, and says whether the one with the id
	// has its own. Without keep it takes those of all.
	EndSecrets(ctx context.Context, id, secret, clusterRole string, keep bool) (bound bool, err error)
}

// Options are what a Keeper is made of.
type Options struct {
	// Cluster is the virtual cluster, and Host a client of its host.
	Cluster translate.Cluster
	Host    kubernetes.Interface
	// Rights are those inside.
	Rights Rights
	// Clients is the authority that signs, Servers the one by which the API server inside is verified.
	Clients, Servers *pki.Authority
	// Clock tells when a credential is renewed.
	Clock clock.Clock
	// Report takes what has become of the Secret. It is called where there is, or was, one.
	Report func(Outcome)
}

// Outcome says what has become of the Secret.
type Outcome struct {
	// Generation is that of the spec.
	Generation int64
	// Reason says what is amiss, in one word; it is empty when nothing is.
	Reason string
	// Message is about the Secret; it is empty where the spec asks for none and none exists.
	Message string
}

// Keeper keeps the Secret as the spec asks.
type Keeper struct {
	Options
	changed chan struct{}

	mu   sync.Mutex
	last *spec

	// The rest is Run's alone. issued is when the last credential was made, issuedFor what the
	// spec asked for then, and unwritten why it is in no Secret.
	issued    time.Time
	issuedFor tenancyv1.KubeconfigSecret
	unwritten error
	// watched is the Secret that is watched, until unwatch is called.
	watched string
	unwatch context.CancelFunc
	// known says that there may be something to remove.
	known bool
}

// spec is what the VirtualCluster asks for, as it was read last.
type spec struct {
	generation int64
	secret     *tenancyv1.KubeconfigSecret
	// reported is set while the status tells of a former outcome.
	reported bool
}

// New returns a Keeper that has yet to be run.
func New(o Options) *Keeper {
	return &Keeper{Options: o, changed: make(chan struct{}, 1), unwatch: func() {}}
}

// Observe takes over what the VirtualCluster asks for.
func (k *Keeper) Observe(vc *tenancyv1.VirtualCluster) {
	now := &spec{
		generation: vc.Generation, secret: vc.Spec.KubeconfigSecret.DeepCopy(),
		reported: meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionKubeconfigSecret) != nil,
	}
	if vc.DeletionTimestamp != nil {
		now.secret = nil
	}
	k.mu.Lock()
	same := k.last != nil && k.last.generation == now.generation
	k.last = now
	k.mu.Unlock()
	if !same {
		k.Look()
	}
}

// Look has the Secret and its rights looked at soon.
func (k *Keeper) Look() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Run keeps the Secret until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	defer func() { k.unwatch() }()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.changed:
		case <-again:
		}
		k.mu.Lock()
		now := k.last
		k.mu.Unlock()
		if now == nil || now.secret == nil && !k.known && !now.reported {
			continue
		}
		again = k.Clock.After(k.pass(ctx, now))
	}
}

// pass does what there is to do, reports, and returns how long there is nothing more.
func (k *Keeper) pass(ctx context.Context, now *spec) time.Duration {
	k.known = true
	outcome, again, err := Outcome{}, life, k.removeOthers(ctx, now)
	if err == nil && now.secret != nil {
		k.watch(ctx, now.secret.Name)
		outcome, again, err = k.keep(ctx, now.secret)
	}
	if ctx.Err() != nil {
		return life
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot keep a kubeconfig in a Secret")
		outcome, again = troubleOf(err), lookAgain
	} else if now.secret == nil {
		k.watch(ctx, "")
		k.known = false
	}
	outcome.Generation = now.generation
	k.Report(outcome)
	return again
}

// trouble is an error that has a reason of its own.
type trouble struct{ reason, message string }

func (t *trouble) Error() string { return t.message }

// troubleOf says what keeps the Secret from being as it should.
func troubleOf(err error) Outcome {
	var known *trouble
	if errors.As(err, &known) {
		return Outcome{Reason: known.reason, Message: known.message}
	}
	return Outcome{Reason: "NotWritten", Message: "the syncer could not write the kubeconfig of spec.kubeconfigSecret: " + err.Error()}
}

// removeOthers ends what the spec does not ask for: rights inside first, then Secrets.
func (k *Keeper) removeOthers(ctx context.Context, now *spec) error {
	name := ""
	if now.secret != nil {
		name = now.secret.Name
	} else if _, err := k.Rights.EndSecrets(ctx, "", "", "", false); err != nil {
		return err
	}
	selector := labels.Set{tenancyv1.LabelCluster: k.Cluster.ID, tenancyv1.LabelKubeconfigOf: k.Cluster.ID}.String()
	list, err := k.Host.CoreV1().Secrets(k.Cluster.HostNamespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsForbidden(err) {
		// A syncer of neither pods nor secrets may read the one Secret that it writes.
		return k.removeWatched(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	for i := range list.Items {
		if secret := &list.Items[i]; secret.Name != name && isOwn(secret, k.Cluster) {
			if err := k.remove(ctx, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeWatched deletes the Secret that was written last, if another one is wanted.
func (k *Keeper) removeWatched(ctx context.Context, wanted string) error {
	if k.watched == "" || k.watched == wanted {
		return nil
	}
	secret, err := k.Host.CoreV1().Secrets(k.Cluster.HostNamespace).Get(ctx, k.watched, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err):
		return &trouble{"NotRemoved", fmt.Sprintf("the kubeconfig in Secret %s has lost its rights, but the syncer may not delete the Secret: delete it", k.watched)}
	case err != nil:
		return err
	case !isOwn(secret, k.Cluster):
		return nil
	}
	return k.remove(ctx, secret)
}

func (k *Keeper) remove(ctx context.Context, secret *corev1.Secret) error {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &secret.UID}}
	if err := k.Host.CoreV1().Secrets(secret.Namespace).Delete(ctx, secret.Name, options); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Secret %s: %w", secret.Name, err)
	}
	klog.FromContext(ctx).Info("Deleted a Secret with a kubeconfig", "secret", klog.KObj(secret))
	return nil
}

// keep has the Secret hold a credential that works, and returns when it is due again.
func (k *Keeper) keep(ctx context.Context, want *tenancyv1.KubeconfigSecret) (Outcome, time.Duration, error) {
	found, err := k.Host.CoreV1().Secrets(k.Cluster.HostNamespace).Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = nil, nil
	}
	if err != nil {
		return Outcome{}, 0, fmt.Errorf("read Secret %s: %w", want.Name, err)
	}
	if found != nil && !isOwn(found, k.Cluster) {
		_, err := k.Rights.EndSecrets(ctx, "", "", "", false)
		return Outcome{}, 0, errors.Join(err, &trouble{"SecretTaken", fmt.Sprintf("the namespace already has a Secret %s that does not belong to this virtual cluster: "+
			"delete it, or set another spec.kubeconfigSecret.name", want.Name)})
	}
	current := &credential{}
	readable := false
	if found != nil {
		certificate, key := held(found)
		if read, ok := readCredential(k.Clients, want.Name, certificate, key); ok {
			current, readable = read, true
		}
	}
	bound, err := k.Rights.EndSecrets(ctx, current.id, want.Name, want.ClusterRole, readable)
	if err != nil {
		return Outcome{}, 0, err
	}
	now := k.Clock.Now()
	if !bound || !now.Before(current.renewal()) {
		if *want == k.issuedFor && now.Before(k.issued.Add(newCredentials)) {
			return Outcome{}, 0, cmp.Or[error](k.unwritten, &trouble{"RightsTaken", fmt.Sprintf("the kubeconfig in Secret %s lost its rights seconds after the syncer wrote it: "+
				"find out who deletes ClusterRoleBindings inside, or who changes the Secret", want.Name)})
		}
		if current, err = k.issue(ctx, want, now); err != nil {
			return Outcome{}, 0, err
		}
	}
	if k.unwritten = k.write(ctx, want, found, current); k.unwritten != nil {
		return Outcome{}, 0, k.unwritten
	}
	message := fmt.Sprintf("Secret %s holds a kubeconfig with the rights of ClusterRole %s inside. It expires at %s, and the syncer renews it at %s", want.Name, want.ClusterRole,
		current.expiry.UTC().Format(time.RFC3339), current.renewal().UTC().Format(time.RFC3339))
	return Outcome{Message: message}, current.renewal().Sub(now), nil
}

// issue makes a credential with the rights of the ClusterRole.
func (k *Keeper) issue(ctx context.Context, want *tenancyv1.KubeconfigSecret, now time.Time) (*credential, error) {
	made, err := newCredential(k.Clients, want.Name, now, func(id string, expires time.Time) error {
		return k.Rights.BindSecret(ctx, id, want.Name, want.ClusterRole, expires)
	})
	if apierrors.IsInvalid(err) {
		return nil, &trouble{"ClusterRoleNotFound", fmt.Sprintf("the ClusterRole %s does not exist inside: create it, or set another spec.kubeconfigSecret.clusterRole", want.ClusterRole)}
	}
	if err != nil {
		// The next pass ends the rights of what nobody has.
		return nil, fmt.Errorf("issue a credential: %w", err)
	}
	k.issued, k.issuedFor = now, *want
	klog.FromContext(ctx).Info("Issued a credential for a Secret", "secret", klog.KRef(k.Cluster.HostNamespace, want.Name), "credential", made.id, "clusterRole", want.ClusterRole, "expires", made.expiry)
	return made, nil
}

// write has the Secret hold the credential in the form that is asked for. A Secret's type
// cannot be changed, nor can one that is immutable.
func (k *Keeper) write(ctx context.Context, want *tenancyv1.KubeconfigSecret, found *corev1.Secret, current *credential) error {
	authority, err := k.Servers.Bundle()
	if err != nil {
		return fmt.Errorf("authority of the API server inside: %w", err)
	}
	secret, err := secretFor(k.Cluster, want, authority, current)
	if err != nil {
		return err
	}
	client := k.Host.CoreV1().Secrets(k.Cluster.HostNamespace)
	if found != nil && (found.Type != secret.Type || found.Immutable != nil && *found.Immutable) {
		if err := k.remove(ctx, found); err != nil {
			return err
		}
		found = nil
	}
	if found == nil {
		if _, err := client.Create(ctx, secret, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerSyncer}); err != nil {
			return fmt.Errorf("create Secret %s: %w", want.Name, err)
		}
		return nil
	}
	changed := found.DeepCopy()
	changed.Data = secret.Data
	for _, key := range []string{labelArgoCD, labelClusterAPI} {
		delete(changed.Labels, key)
	}
	for key, value := range secret.Labels {
		changed.Labels[key] = value
	}
	if equality.Semantic.DeepEqual(found, changed) {
		return nil
	}
	if _, err := client.Update(ctx, changed, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerSyncer}); err != nil {
		return fmt.Errorf("update Secret %s: %w", want.Name, err)
	}
	return nil
}

// watch looks again whenever the Secret of this name changes; an empty one is for none.
func (k *Keeper) watch(ctx context.Context, name string) {
	if k.watched == name {
		return
	}
	k.unwatch()
	ctx, k.unwatch = context.WithCancel(ctx)
	k.watched = name
	if name == "" {
		return
	}
	factory := informers.NewSharedInformerFactoryWithOptions(k.Host, 0, informers.WithNamespace(k.Cluster.HostNamespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}),
		// What it holds is read when it is needed.
		informers.WithTransform(func(object any) (any, error) {
			if secret, ok := object.(*corev1.Secret); ok {
				secret.Data, secret.ManagedFields = nil, nil
			}
			return object, nil
		}))
	look := func(any) { k.Look() }
	// It fails once the informer was stopped only.
	_, _ = factory.Core().V1().Secrets().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: look, UpdateFunc: func(_, object any) { look(object) }, DeleteFunc: look,
	})
	factory.StartWithContext(ctx)
}
