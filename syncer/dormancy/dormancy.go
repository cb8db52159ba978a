// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dormancy keeps a virtual cluster whole while it falls asleep and wakes.
//
// During a sleep, the host has no pods, and inside every pod is as it was. To the syncer that
// looks as if somebody on the host had deleted them all. Two things prevent this mistake.
//
// The VirtualCluster says that it falls asleep. Then the syncer starts no reconcile of a pod
// any more, and reports that it rests once the last one has ended. Only then does
// garret-controller stop pods.
//
// garret-controller writes a record on the host, a ConfigMap, before it stops the first pod.
// The record names the sleeping pods, and their pods on the host. When the virtual cluster
// wakes, a pod of the record runs again, or stays as it ended. It leaves the record when it has
// a node again, or is gone inside.
//
// While the syncer knows neither, nothing that is missing on the host counts as deleted.
package dormancy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

const (
	// retry is the pause after a request of the host that failed.
	retry = time.Second
	// writeDelay gathers what leaves the record.
	writeDelay = time.Second
)

// Options are what a Dormancy is made of.
type Options struct {
	Cluster translate.Cluster
	Host    kubernetes.Interface
	Clock   clock.WithTicker
	// Pods says that pods are synced. Otherwise there is nothing to record.
	Pods bool
	// Report gets the number of the sleep for which the syncer rests, and zero when the syncer
	// works again.
	Report func(number int64)
}

// Dormancy says whether pods may be carried, and which were put to sleep. It is safe
// for concurrent use.
type Dormancy struct {
	Options
	// passing is held for reading by every pass over a pod.
	passing sync.RWMutex
	// changed has room for one note that the VirtualCluster was seen.
	changed chan struct{}

	mu sync.Mutex
	// ordered is the number of the sleep that the VirtualCluster asks for; zero for none.
	ordered  int64
	observed bool
	// known says that the record was read since the virtual cluster was awake last.
	known, resting bool
	// slept are the UIDs on the host of the pods that were put to sleep, by those inside.
	slept map[types.UID]types.UID
	// up are those that are to leave the record, rose all that have left it since the virtual
	// cluster woke.
	up, rose map[types.UID]bool
	record   types.UID
	awake    []func()
}

// New returns a Dormancy that knows nothing yet.
func New(o Options) *Dormancy {
	return &Dormancy{Options: o, changed: make(chan struct{}, 1), slept: map[types.UID]types.UID{}, up: map[types.UID]bool{}, rose: map[types.UID]bool{}}
}

// OnAwake has the function called whenever passes may begin again. It must come before Run.
func (d *Dormancy) OnAwake(do func()) { d.awake = append(d.awake, do) }

// Observe takes over what the VirtualCluster says.
func (d *Dormancy) Observe(vc *tenancyv1.VirtualCluster) {
	d.mu.Lock()
	d.observed, d.ordered = true, 0
	if vc.Status.Asleep() {
		d.ordered = vc.Status.Sleep.Number
	}
	d.mu.Unlock()
	d.note()
}

func (d *Dormancy) note() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Enter begins a pass over a pod, unless the syncer rests. Leave ends the pass.
func (d *Dormancy) Enter() (leave func(), open bool) {
	d.passing.RLock()
	if d.Rests() {
		d.passing.RUnlock()
		return nil, false
	}
	return d.passing.RUnlock, true
}

// Rests says whether no pod is carried.
func (d *Dormancy) Rests() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.resting
}

// Known says whether it is known which pods were put to sleep.
func (d *Dormancy) Known() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known
}

// Slept returns what the pod inside was on the host, if it was put to sleep and has not
// been run again.
func (d *Dormancy) Slept(uid types.UID) (host types.UID, slept bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	host, slept = d.slept[uid]
	return host, slept
}

// Up notes that the pod inside runs on the host again, or is gone.
func (d *Dormancy) Up(uid types.UID) {
	d.mu.Lock()
	_, slept := d.slept[uid]
	if slept {
		delete(d.slept, uid)
		d.up[uid], d.rose[uid] = true, true
	}
	d.mu.Unlock()
	if slept {
		d.note()
	}
}

// Wakes says whether the pod inside was put to sleep and is run again on the host, or may be.
// Whether it runs by now is for the host to tell.
func (d *Dormancy) Wakes(uid types.UID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, slept := d.slept[uid]
	return !d.resting && (!d.known || slept || d.rose[uid])
}

// Prune removes the pods from the record that no longer exist inside.
func (d *Dormancy) Prune(inside map[types.UID]bool) {
	d.mu.Lock()
	slept := maps.Clone(d.slept)
	d.mu.Unlock()
	for uid := range slept {
		if !inside[uid] {
			d.Up(uid)
		}
	}
}

// Run follows the VirtualCluster until the context ends.
func (d *Dormancy) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
		}
		if err := d.follow(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot keep the record of pods that fell asleep", "again", retry)
			d.pause(ctx, retry)
			d.note()
		}
	}
}

func (d *Dormancy) pause(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-d.Clock.After(pause):
	}
}

func (d *Dormancy) follow(ctx context.Context) error {
	d.mu.Lock()
	ordered, observed, known, leaving := d.ordered, d.observed, d.known, len(d.up) > 0
	d.mu.Unlock()
	switch {
	case !observed:
		return nil
	case ordered != 0:
		d.rest(ctx, ordered)
		return nil
	case !known:
		return d.getUp(ctx)
	case leaving:
		d.pause(ctx, writeDelay)
		return d.write(ctx)
	}
	return nil
}

// rest returns when no pass over a pod runs, and none will.
func (d *Dormancy) rest(ctx context.Context, number int64) {
	d.mu.Lock()
	before := d.resting
	d.resting, d.known = true, false
	d.mu.Unlock()
	// A pass that began before holds this.
	d.passing.Lock()
	d.passing.Unlock() //nolint:staticcheck // it was waited for
	if !before {
		klog.FromContext(ctx).Info("Resting: the virtual cluster falls asleep", "sleep", number)
	}
	d.Report(number)
}

// getUp reads which pods were put to sleep, and lets passes begin.
func (d *Dormancy) getUp(ctx context.Context) error {
	slept, record, err := d.read(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.ordered != 0 {
		d.mu.Unlock()
		d.note()
		return nil
	}
	rested := d.resting
	d.slept, d.record, d.up, d.rose = slept, record, map[types.UID]bool{}, map[types.UID]bool{}
	d.resting, d.known = false, true
	d.mu.Unlock()
	if len(slept) > 0 {
		klog.FromContext(ctx).Info("Running again the pods that fell asleep", "pods", len(slept))
	}
	if rested {
		d.Report(0)
	}
	for _, do := range d.awake {
		do()
	}
	return nil
}

func (d *Dormancy) read(ctx context.Context) (map[types.UID]types.UID, types.UID, error) {
	slept := map[types.UID]types.UID{}
	if !d.Pods {
		return slept, "", nil
	}
	found, err := d.Host.CoreV1().ConfigMaps(d.Cluster.HostNamespace).Get(ctx, tenancyv1.SleepRecordName(d.Cluster.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return slept, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read record of pods: %w", err)
	}
	if found.Labels[tenancyv1.LabelCluster] != d.Cluster.ID {
		return slept, "", nil // that of an earlier virtual cluster of the name
	}
	for inside, host := range found.Data {
		slept[types.UID(inside)] = types.UID(host)
	}
	return slept, found.UID, nil
}

// write takes out of the record what is up. Garret-controller writes it, too, so that
// every entry goes by itself.
func (d *Dormancy) write(ctx context.Context) error {
	d.mu.Lock()
	up, record := maps.Clone(d.up), d.record
	d.mu.Unlock()
	data := map[types.UID]any{}
	for uid := range up {
		data[uid] = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": record}, "data": data})
	if err != nil {
		return err
	}
	_, err = d.Host.CoreV1().ConfigMaps(d.Cluster.HostNamespace).Patch(ctx, tenancyv1.SleepRecordName(d.Cluster.Name), types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerSyncer})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("write record of pods: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for uid := range up {
		delete(d.up, uid)
	}
	return nil
}
