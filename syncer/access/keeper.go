// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	rbaclisters "k8s.io/client-go/listers/rbac/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/own"
)

const (
	// The two things to do besides looking at one kubeconfig's binding, whose
	// name begins otherwise.
	keyRules    = "rules"
	keyStanding = "standing"

	// repairs a second are enough to win against a person, and too few to burn a
	// processor when something inside wants it otherwise again and again.
	repairRate, repairBurst = 5, 20

	longestRetry = 30 * time.Second
)

// Options are what a Keeper is made of.
type Options struct {
	// Own reports changes of the syncer's own VirtualCluster.
	Own *own.Cluster
	// Virtual is a client of the virtual cluster, with all rights.
	Virtual kubernetes.Interface
	// Standing restores the rights that every virtual cluster has. It is called when
	// one of those was changed inside.
	Standing func(context.Context) error
	// Report takes how far spec.access is in place.
	Report func(Outcome)
	// Credentials is called when the binding of a kubeconfig was made, changed or deleted. It
	// must return at once. Nil for nobody.
	Credentials func()
	// Clock tells when kubeconfigs have ended.
	Clock clock.PassiveClock
}

// Outcome says how far spec.access is in place.
type Outcome struct {
	// Generation is that of the spec.
	Generation int64
	// Reason and Message say what is amiss. Both are empty when nothing is.
	Reason, Message string
}

// Keeper keeps the bindings of people of the host.
type Keeper struct {
	Options
	own      *ownSpec
	bindings bindings
	queue    workqueue.TypedRateLimitingInterface[string]
	limiter  flowcontrol.RateLimiter
	factory  informers.SharedInformerFactory
	binding  rbaclisters.ClusterRoleBindingLister
	role     rbaclisters.ClusterRoleLister
	// reported is set once there was something to report. The one worker has it.
	reported bool
}

// NewKeeper returns a Keeper that has yet to be run.
func NewKeeper(o Options) (*Keeper, error) {
	k := &Keeper{
		Options:  o,
		bindings: bindings{virtual: o.Virtual},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, longestRetry)),
		limiter: flowcontrol.NewTokenBucketRateLimiter(repairRate, repairBurst),
		factory: informers.NewSharedInformerFactoryWithOptions(o.Virtual, 0, informers.WithTransform(slim)),
	}
	k.own = &ownSpec{changed: func() { k.queue.Add(keyRules) }}
	o.Own.Observe(k.own.observe)
	rbac := k.factory.Rbac().V1()
	k.binding, k.role = rbac.ClusterRoleBindings().Lister(), rbac.ClusterRoles().Lister()
	if _, err := rbac.ClusterRoleBindings().Informer().AddEventHandler(k.handler(k.bindingChanged)); err != nil {
		return nil, fmt.Errorf("watch ClusterRoleBindings: %w", err)
	}
	if _, err := rbac.ClusterRoles().Informer().AddEventHandler(k.handler(k.roleChanged)); err != nil {
		return nil, fmt.Errorf("watch ClusterRoles: %w", err)
	}
	return k, nil
}

// slim keeps of an object what the Keeper looks at. There may be many roles, of many rules.
func slim(object any) (any, error) {
	switch o := object.(type) {
	case *rbacv1.ClusterRole:
		o.ManagedFields, o.Annotations, o.Rules = nil, nil, nil
	case *rbacv1.ClusterRoleBinding:
		o.ManagedFields = nil
		if !strings.HasPrefix(o.Name, tenancyv1.GroupPrefix) {
			o.Annotations, o.Subjects = nil, nil
		}
	}
	return object, nil
}

// handler calls changed with the name of what appeared, changed or went, and
// whether it was there before.
func (k *Keeper) handler(changed func(name string, before bool)) cache.ResourceEventHandler {
	call := func(object any, before bool) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			changed(key, before)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { call(object, false) },
		UpdateFunc: func(_, object any) { call(object, true) },
		DeleteFunc: func(object any) { call(object, true) },
	}
}

func (k *Keeper) bindingChanged(name string, before bool) {
	switch {
	case strings.HasPrefix(name, tenancyv1.AccessPrefix):
		k.queue.Add(keyRules)
	case strings.HasPrefix(name, tenancyv1.KubeconfigPrefix):
		k.queue.Add(name)
		if k.Credentials != nil {
			k.Credentials()
		}
	case before && strings.HasPrefix(name, tenancyv1.GroupPrefix):
		k.queue.Add(keyStanding)
	}
}

func (k *Keeper) roleChanged(name string, before bool) {
	if before && strings.HasPrefix(name, tenancyv1.GroupPrefix) {
		k.queue.Add(keyStanding)
	}
	if own := k.own.get(); own != nil && slices.ContainsFunc(own.rules, func(rule tenancyv1.AccessRule) bool { return rule.ClusterRole == name }) {
		k.queue.Add(keyRules)
	}
}

// Run keeps the bindings until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	k.factory.StartWithContext(ctx)
	stop := context.AfterFunc(ctx, k.queue.ShutDown)
	defer stop()
	// What is there must be known before anything counts as superfluous or missing.
	if result := k.factory.WaitForCacheSyncWithContext(ctx); result.Err == nil {
		for k.next(ctx) {
		}
	}
	k.queue.ShutDown()
	k.factory.Shutdown()
	return nil
}

func (k *Keeper) next(ctx context.Context) bool {
	key, over := k.queue.Get()
	if over {
		return false
	}
	defer k.queue.Done(key)
	if (key == keyRules || key == keyStanding) && k.limiter.Wait(ctx) != nil {
		return false
	}
	if err := k.do(ctx, key); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "Cannot keep the bindings of the host's users", "what", key)
		k.queue.AddRateLimited(key)
		return true
	}
	k.queue.Forget(key)
	return true
}

func (k *Keeper) do(ctx context.Context, key string) error {
	switch key {
	case keyRules:
		return k.keepRules(ctx)
	case keyStanding:
		return k.Standing(ctx)
	default:
		return k.expire(ctx, key)
	}
}

// keepRules makes the bindings inside what spec.access says.
func (k *Keeper) keepRules(ctx context.Context) error {
	own := k.own.get()
	if own == nil {
		return nil
	}
	want := wanted(own.rules)
	have, err := k.binding.List(labels.Everything())
	if err != nil {
		return err
	}
	// Taking rights away comes first, and one that fails holds up no other.
	var errs []error
	for _, binding := range have {
		if strings.HasPrefix(binding.Name, tenancyv1.AccessPrefix) && want[binding.Name] == nil {
			errs = append(errs, k.bindings.remove(ctx, binding.Name, binding.UID))
		}
	}
	for _, binding := range want {
		errs = append(errs, k.bindings.ensure(ctx, binding))
	}
	var missing []string
	for _, rule := range own.rules {
		if _, err := k.role.Get(rule.ClusterRole); apierrors.IsNotFound(err) {
			missing = append(missing, rule.ClusterRole)
		}
	}
	err = errors.Join(errs...)
	k.report(own, missing, err)
	return err
}

func (k *Keeper) report(own *spec, missing []string, err error) {
	k.reported = k.reported || own.reported || len(own.rules) > 0 || err != nil
	if !k.reported {
		return
	}
	outcome := Outcome{Generation: own.generation}
	switch {
	case err != nil:
		outcome.Reason, outcome.Message = "BindingFailed", fmt.Sprintf("the syncer could not apply spec.access: %v", err)
	case len(missing) > 0:
		slices.Sort(missing)
		missing = slices.Compact(missing)
		outcome.Reason = "ClusterRoleNotFound"
		outcome.Message = fmt.Sprintf("spec.access names ClusterRoles that do not exist inside: %s. Create them, and the syncer binds them", strings.Join(missing, ", "))
	}
	k.Report(outcome)
}

// expire removes the binding of a kubeconfig that has ended, or comes back when it will have.
// What names no end was not made by the issuer, and is left alone.
func (k *Keeper) expire(ctx context.Context, name string) error {
	binding, err := k.binding.Get(name)
	if err != nil {
		return nil // it is gone
	}
	expires, err := time.Parse(time.RFC3339, binding.Annotations[tenancyv1.AnnotationExpires])
	if err != nil {
		return nil
	}
	if left := expires.Sub(k.Clock.Now()); left > 0 {
		k.queue.AddAfter(name, left)
		return nil
	}
	return k.bindings.remove(ctx, name, binding.UID)
}
