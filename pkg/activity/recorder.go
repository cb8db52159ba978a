// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// retry is the pause after a write that failed.
	retry = 5 * time.Second
	// writeTimeout bounds one write.
	writeTimeout = 10 * time.Second
)

var (
	// errNothing says that there is nothing to write.
	errNothing = errors.New("the time is written already")
	// errLater says that a write would come too soon after another.
	errLater = errors.New("a time was written a moment ago")
	// errOther says that the virtual cluster is not the one that was used.
	errOther = errors.New("another virtual cluster has the name")
)

// Statuses writes the statuses of virtual clusters.
type Statuses interface {
	// ChangeStatus has change edit the status of a virtual cluster as it is stored. An
	// error of change is returned, and nothing is written then.
	ChangeStatus(ctx context.Context, name types.NamespacedName, change func(*tenancy.VirtualCluster) error) error
}

// Recorder writes down when virtual clusters were used. It is safe for concurrent use.
type Recorder struct {
	statuses Statuses
	clock    clock.WithTicker
	queue    workqueue.TypedDelayingInterface[types.UID]

	// mu is held for writing when an entry comes or goes.
	mu      sync.RWMutex
	entries map[types.UID]*entry

	// begun is set when Run begins, and ended is closed when it returns.
	begun atomic.Bool
	ended chan struct{}
}

// entry is a virtual cluster that is used, or was a moment ago. As long as there is one,
// it is in the queue, or will be.
type entry struct {
	name types.NamespacedName
	// last is when it was used, in nanoseconds of the Unix epoch; open is how many
	// streams there are, which use it as long as they are open.
	last, open atomic.Int64

	// The rest belongs to the one who works on the queue.

	// written is what this process wrote last, when it did at wroteAt.
	written, wroteAt time.Time
	// due is before what time nothing may be written.
	due time.Time
}

// NewRecorder returns a Recorder, whose Run does the writing.
func NewRecorder(statuses Statuses, clock clock.WithTicker) *Recorder {
	return &Recorder{
		statuses: statuses, clock: clock, entries: map[types.UID]*entry{}, ended: make(chan struct{}),
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[types.UID]{Clock: clock}),
	}
}

// Seen notes that the virtual cluster is used now.
func (r *Recorder) Seen(vc *tenancy.VirtualCluster) { r.note(vc, 0) }

// Stays notes that the virtual cluster is used until the function that it returns is called.
func (r *Recorder) Stays(vc *tenancy.VirtualCluster) (leaves func()) {
	e := r.note(vc, 1)
	return sync.OnceFunc(func() {
		r.mu.RLock()
		defer r.mu.RUnlock()
		e.note(r.clock.Now(), -1)
	})
}

func (r *Recorder) note(vc *tenancy.VirtualCluster, open int64) *entry {
	now := r.clock.Now()
	r.mu.RLock()
	e := r.entries[vc.UID]
	if e != nil {
		e.note(now, open)
	}
	r.mu.RUnlock()
	if e != nil {
		return e
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e = r.entries[vc.UID]; e == nil {
		e = &entry{name: types.NamespacedName{Namespace: vc.Namespace, Name: vc.Name}}
		r.entries[vc.UID] = e
		r.queue.Add(vc.UID)
	}
	e.note(now, open)
	return e
}

func (e *entry) note(now time.Time, open int64) {
	e.last.Store(now.UnixNano())
	if open != 0 {
		e.open.Add(open)
	}
}

// used is when the virtual cluster was used last, to the second: a status holds no more.
func (e *entry) used(now time.Time) time.Time {
	if e.open.Load() > 0 {
		return now.Truncate(time.Second)
	}
	return time.Unix(0, e.last.Load()).Truncate(time.Second)
}

// Run writes until ctx ends or End is called, and then what is left to write.
func (r *Recorder) Run(ctx context.Context) {
	r.begun.Store(true)
	defer close(r.ended)
	defer context.AfterFunc(ctx, r.queue.ShutDown)()
	for {
		uid, over := r.queue.Get()
		if over {
			break
		}
		if again := r.work(ctx, uid); again > 0 {
			r.queue.AddAfter(uid, again)
		}
		r.queue.Done(uid)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	r.flush(ctx)
}

// End has Run write what is left, and waits until it has. It is for a server that is about to
// stop: afterwards nothing can be written.
func (r *Recorder) End() {
	r.queue.ShutDown()
	if r.begun.Load() {
		<-r.ended
	}
}

// flush writes what others cannot know of. It is best effort: a replica may just as well
// be killed.
func (r *Recorder) flush(ctx context.Context) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for uid, e := range r.entries {
		if e.used(r.clock.Now()).After(e.written) && !r.clock.Now().Before(e.due) {
			_ = r.write(ctx, uid, e)
		}
	}
}

// work writes the time of one entry, if there is a new one and it may be written, and
// returns when to look again; zero is never, for the entry is gone.
func (r *Recorder) work(ctx context.Context, uid types.UID) time.Duration {
	r.mu.RLock()
	e := r.entries[uid]
	r.mu.RUnlock()
	if e == nil {
		return 0
	}
	now := r.clock.Now()
	if wait := e.due.Sub(now); wait > 0 {
		return wait
	}
	switch err := r.write(ctx, uid, e); {
	case err == nil:
		return v1.ActivityInterval
	case errors.Is(err, errLater):
		return max(e.due.Sub(now), time.Millisecond)
	case errors.Is(err, errNothing):
		if !r.forget(uid, e) {
			return v1.ActivityInterval
		}
	case errors.Is(err, errOther), apierrors.IsNotFound(err):
		r.drop(uid)
	case ctx.Err() == nil:
		klog.FromContext(ctx).Error(err, "Cannot write when a virtual cluster was used", "virtualCluster", e.name, "again", retry)
		return retry
	}
	return 0
}

// forget takes out an entry that was not used for a while.
func (r *Recorder) forget(uid types.UID, e *entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if now.Sub(e.used(now)) < v1.ActivityInterval {
		return false
	}
	delete(r.entries, uid)
	return true
}

// drop takes out the entry of a virtual cluster that is gone.
func (r *Recorder) drop(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, uid)
}

// write writes when the entry was used last.
func (r *Recorder) write(ctx context.Context, uid types.UID, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var used time.Time
	err := r.statuses.ChangeStatus(ctx, e.name, func(vc *tenancy.VirtualCluster) error {
		if vc.UID != uid {
			return errOther
		}
		now := r.clock.Now()
		used = e.used(now)
		var known time.Time
		if before := vc.Status.LastActivityTime; before != nil {
			known = before.Time
		}
		if !used.After(known) {
			return errNothing
		}
		if e.due = e.notBefore(known); now.Before(e.due) {
			return errLater
		}
		vc.Status.LastActivityTime = &metav1.Time{Time: used}
		return nil
	})
	if err == nil {
		e.written, e.wroteAt = used, r.clock.Now()
		e.due = e.wroteAt.Add(v1.ActivityInterval)
	}
	return err
}

// notBefore is when the next time may be written, after one that stands. Another's may
// have been written a minute after it.
func (e *entry) notBefore(known time.Time) time.Time {
	switch {
	case known.IsZero():
		return time.Time{}
	case known.Equal(e.written):
		return e.wroteAt.Add(v1.ActivityInterval)
	}
	return known.Add(2 * v1.ActivityInterval)
}
