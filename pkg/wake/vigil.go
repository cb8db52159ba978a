// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

const (
	// again is the pause after something of our own failed.
	again = 200 * time.Millisecond
	// probeAgain is the pause after the API server inside did not answer, probeLater the
	// same once it has taken longer than probeSoon.
	probeAgain = 50 * time.Millisecond
	probeLater = 500 * time.Millisecond
	probeSoon  = 15 * time.Second
	// probeTimeout bounds one try.
	probeTimeout = 3 * time.Second
	// maxUser bounds what is written of a user's name.
	maxUser = 256
)

// errAsked says that nobody needs to ask for the wake any more.
var errAsked = errors.New("the wake was asked for already")

// vigil follows one virtual cluster while requests wait for it.
type vigil struct {
	waker *Waker
	name  types.NamespacedName
	uid   types.UID
	// user is the one who came first.
	user string
	end  context.CancelFunc
	// waiting is how many wait; the waker's lock is held for it.
	waiting int

	mu sync.Mutex
	// vc is the virtual cluster as it was seen last.
	vc *tenancy.VirtualCluster
	// answers says that the API server inside has answered since it was awake.
	answers bool
	// failed is why nobody needs to wait.
	failed error
	// changed is closed, and replaced, when one of these changes.
	changed chan struct{}
}

func newVigil(w *Waker, vc *tenancy.VirtualCluster, user string) *vigil {
	if len(user) > maxUser {
		user = user[:maxUser]
	}
	ctx, end := context.WithCancel(context.Background())
	v := &vigil{
		waker: w, name: types.NamespacedName{Namespace: vc.Namespace, Name: vc.Name}, uid: vc.UID, user: user,
		end: end, vc: vc, changed: make(chan struct{}),
	}
	go v.follow(ctx)
	go v.probe(ctx)
	return v
}

// look returns the virtual cluster when it has what is needed, an error when it never
// will, or else what is closed when there is something new.
func (v *vigil) look(need Need) (*tenancy.VirtualCluster, <-chan struct{}, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.failed != nil:
		return nil, nil, v.failed
	case !asleep(v.vc) && v.has(need):
		return v.vc, nil, nil
	}
	return nil, v.changed, nil
}

// has says whether a virtual cluster that is awake has what is needed. Conditions are of
// before the sleep until the syncer has reported that it rests no more.
func (v *vigil) has(need Need) bool {
	status := &v.vc.Status
	is := func(condition string) bool { return meta.IsStatusConditionTrue(status.Conditions, condition) }
	switch need {
	case Answers:
		return v.answers
	case Synced:
		rests := status.Sleep != nil && status.Sleep.Number != 0 && status.RestingFor == status.Sleep.Number
		return v.answers && !rests && is(v1.ConditionControlPlaneReady) && is(v1.ConditionSyncerReady)
	}
	return access.Ready(v.vc) == nil
}

func (v *vigil) tooLate() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return tooLate(v.vc)
}

// set changes what is known, and has everybody look.
func (v *vigil) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
	close(v.changed)
	v.changed = make(chan struct{})
}

// pause returns false when the vigil has ended.
func (v *vigil) pause(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-v.waker.Clock.After(pause):
		return true
	}
}

// follow follows the object, and asks for the wake.
func (v *vigil) follow(ctx context.Context) {
	for {
		if err := v.watch(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot wake a virtual cluster", "virtualCluster", v.name, "again", again)
		}
		if !v.pause(ctx, again) {
			return
		}
	}
}

// watch returns when the watch ends, or the wake cannot be asked for.
func (v *vigil) watch(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events, err := v.waker.Statuses.Watch(ctx, v.name)
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		vc, ok := event.Object.(*tenancy.VirtualCluster)
		switch {
		case event.Type == watch.Error:
			return apierrors.FromObject(event.Object)
		case !ok:
			continue
		}
		v.observe(vc, event.Type == watch.Deleted)
		if err := v.ask(ctx, vc); err != nil && !errors.Is(err, errAsked) {
			return err
		}
	}
	return nil
}

// observe takes over what the object says.
func (v *vigil) observe(vc *tenancy.VirtualCluster, deleted bool) {
	v.set(func() {
		switch {
		case deleted, vc.UID != v.uid:
			v.failed = apierrors.NewNotFound(tenancy.Resource("virtualclusters"), v.name.Name)
			return
		case asleep(vc):
			v.answers = false
		}
		v.vc, v.failed = vc, hopeless(vc)
	})
}

// hopeless is why a virtual cluster does not wake, or cannot.
func hopeless(vc *tenancy.VirtualCluster) error {
	switch {
	case vc.DeletionTimestamp != nil:
		return access.Unavailable(vc, 0, "Deleting", "it is being deleted")
	case vc.Spec.Paused:
		return access.Asleep(vc)
	case !asleep(vc) && meta.IsStatusConditionTrue(vc.Status.Conditions, v1.ConditionStalled):
		return access.Ready(vc)
	}
	return nil
}

// ask asks for the wake, unless somebody has.
func (v *vigil) ask(ctx context.Context, vc *tenancy.VirtualCluster) error {
	needed := func(vc *tenancy.VirtualCluster) bool {
		return vc.UID == v.uid && Holds(vc) && mayWake(vc) &&
			(vc.Status.WakeRequest == nil || vc.Status.WakeRequest.Sleep != vc.Status.Sleep.Number)
	}
	if !needed(vc) {
		return nil
	}
	err := v.waker.Statuses.ChangeStatus(ctx, v.name, func(vc *tenancy.VirtualCluster) error {
		if !needed(vc) {
			return errAsked
		}
		now := metav1.NewTime(v.waker.Clock.Now().Truncate(time.Second))
		vc.Status.WakeRequest = &tenancy.WakeRequest{Sleep: vc.Status.Sleep.Number, Time: &now, User: v.user}
		return nil
	})
	if err == nil {
		klog.FromContext(ctx).Info("Asked a virtual cluster to wake", "virtualCluster", v.name, "sleep", vc.Status.Sleep.Number, "user", v.user)
	}
	return err
}

// probe asks the API server inside, as long as the virtual cluster is awake and it has not
// answered.
func (v *vigil) probe(ctx context.Context) {
	begun := v.waker.Clock.Now()
	for {
		v.mu.Lock()
		vc, changed, idle := v.vc, v.changed, v.answers || asleep(v.vc) || v.failed != nil
		v.mu.Unlock()
		if idle {
			begun = v.waker.Clock.Now()
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		if v.answered(ctx, vc) {
			v.set(func() { v.answers = !asleep(v.vc) })
			continue
		}
		pause := probeAgain
		if v.waker.Clock.Since(begun) > probeSoon {
			pause = probeLater
		}
		if !v.pause(ctx, pause) {
			return
		}
	}
}

func (v *vigil) answered(ctx context.Context, vc *tenancy.VirtualCluster) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return v.waker.Probe(ctx, vc) == nil
}
