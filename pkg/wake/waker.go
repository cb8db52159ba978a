// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

const (
	// DefaultMaxWait is how long a request waits at most.
	DefaultMaxWait = 2 * time.Minute
	// DefaultMaxEach and DefaultMaxAll are how many requests may wait for one virtual
	// cluster, and for all of them.
	DefaultMaxEach, DefaultMaxAll = 32, 128

	// answerWithin is how long before its own end a request that waited in vain gets its answer.
	answerWithin = time.Second
	// retryCrowded is after how many seconds to ask again where too many wait.
	retryCrowded = 2
	// retryAwake is the same where the wake takes longer than the request could wait.
	retryAwake = 2
)

// Need is what a request needs of a virtual cluster.
type Need int

const (
	// Answers is that the API server inside answers: enough to read.
	Answers Need = iota
	// Synced is that its syncer works, too, which has a say in what is written, and
	// through which every exec goes.
	Synced
	// Ready is that all of it is ready.
	Ready
)

// Statuses are those of virtual clusters.
type Statuses interface {
	// ChangeStatus lets change edit the stored status of a virtual cluster. It returns an error
	// of change, and then writes nothing.
	ChangeStatus(ctx context.Context, name types.NamespacedName, change func(*tenancy.VirtualCluster) error) error
	// Watch reports a virtual cluster as it is, and each change, until ctx ends.
	Watch(ctx context.Context, name types.NamespacedName) (watch.Interface, error)
}

// Options are what a Waker is made of.
type Options struct {
	Statuses Statuses
	// Probe is nil when the API server inside answers.
	Probe func(ctx context.Context, cluster *tenancy.VirtualCluster) error
	Clock clock.WithTicker
	// MaxWait, MaxEach and MaxAll bound the waiting. Zero means the defaults.
	MaxWait         time.Duration
	MaxEach, MaxAll int
}

// Waker wakes virtual clusters. It is safe for concurrent use.
type Waker struct {
	Options
	stopping chan struct{}
	stop     func()

	mu     sync.Mutex
	vigils map[types.UID]*vigil
	all    int
}

// New returns a Waker.
func New(o Options) *Waker {
	o.MaxWait, o.MaxEach, o.MaxAll = cmp.Or(o.MaxWait, DefaultMaxWait), cmp.Or(o.MaxEach, DefaultMaxEach), cmp.Or(o.MaxAll, DefaultMaxAll)
	w := &Waker{Options: o, stopping: make(chan struct{}), vigils: map[types.UID]*vigil{}}
	w.stop = sync.OnceFunc(func() { close(w.stopping) })
	return w
}

// Stop has all that wait, and all that come, ask another replica.
func (w *Waker) Stop() { w.stop() }

// Holds says whether requests wait until the virtual cluster is awake. One that is paused
// stays asleep.
func Holds(vc *tenancy.VirtualCluster) bool {
	return vc.DeletionTimestamp == nil && !vc.Spec.Paused && (asleep(vc) || vc.Status.Phase == tenancy.Phase(v1.PhaseWaking))
}

func asleep(vc *tenancy.VirtualCluster) bool {
	return vc.Status.Sleep != nil && vc.Status.Sleep.Since != nil
}

// mayWake says whether a request ends the sleep.
func mayWake(vc *tenancy.VirtualCluster) bool {
	return asleep(vc) && (vc.Status.Sleep.Reason == v1.SleepReasonInactive || vc.Status.Sleep.Reason == v1.SleepReasonScheduled)
}

// Awake waits until the virtual cluster has what the request needs, and returns it as it
// is then. It asks for the wake in the user's name, unless somebody has. Errors are API
// errors, or that of ctx.
func (w *Waker) Awake(ctx context.Context, vc *tenancy.VirtualCluster, user string, need Need) (*tenancy.VirtualCluster, error) {
	v, err := w.join(vc, user)
	if err != nil {
		return nil, err
	}
	defer w.leave(v)
	patience := w.MaxWait
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)-answerWithin)
	}
	over := w.Clock.NewTimer(patience)
	defer over.Stop()
	for {
		current, changed, err := v.look(need)
		if current != nil || err != nil {
			return current, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.stopping:
			return nil, access.Unavailable(vc, retryAwake, "ShuttingDown", "this replica of garret-apiserver is shutting down")
		case <-over.C():
			return nil, v.tooLate()
		}
	}
}

// join has one more request wait, if there is room.
func (w *Waker) join(vc *tenancy.VirtualCluster, user string) (*vigil, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.vigils[vc.UID]
	if w.all >= w.MaxAll || (v != nil && v.waiting >= w.MaxEach) {
		return nil, crowded(vc)
	}
	if v == nil {
		v = newVigil(w, vc, user)
		w.vigils[vc.UID] = v
	}
	w.all++
	v.waiting++
	return v, nil
}

// leave ends the vigil with the last request that waits.
func (w *Waker) leave(v *vigil) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if v.waiting--; v.waiting == 0 {
		v.end()
		delete(w.vigils, v.uid)
	}
}

func crowded(vc *tenancy.VirtualCluster) error {
	err := apierrors.NewTooManyRequests(fmt.Sprintf("virtual cluster %s/%s is being woken, and too many requests wait for that already", vc.Namespace, vc.Name), retryCrowded)
	err.ErrStatus.Details.Name, err.ErrStatus.Details.Kind, err.ErrStatus.Details.Group, err.ErrStatus.Details.UID = vc.Name, "virtualclusters", tenancy.GroupName, vc.UID
	return err
}

// tooLate is what a request is answered that waited in vain.
func tooLate(vc *tenancy.VirtualCluster) error {
	message := "it is being woken, and does not answer yet"
	if asleep(vc) {
		message = "it was asked to wake, and still sleeps"
	}
	if ready := meta.FindStatusCondition(vc.Status.Conditions, v1.ConditionReady); ready != nil && ready.Message != "" {
		message += ": " + ready.Reason + ": " + ready.Message
	}
	return access.Unavailable(vc, retryAwake, "Waking", message)
}
