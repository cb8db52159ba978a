// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	clientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
)

const (
	// observeInterval is how often the control plane is looked at while something is wrong or has
	// just changed, calmInterval how often otherwise, and refreshInterval how often the
	// status is written though nothing changed.
	observeInterval = 5 * time.Second
	calmInterval    = 10 * time.Second
	refreshInterval = 30 * time.Second
	observeTimeout  = 4 * time.Second
	// rightsInterval is how often it is looked at while nobody can enter: the rules for that
	// follow within moments.
	rightsInterval        = 500 * time.Millisecond
	reasonRightsNotLoaded = "RightsNotLoaded"
	reportTimeout         = 10 * time.Second
	// settleTime is how long the first report waits for the syncer to be ready: one
	// that was restarted and goes on at once did not fail.
	settleTime = 2 * time.Second
)

// Reporter writes the syncer's part of the VirtualCluster's status.
//
// The part consists of the conditions ControlPlaneReady and SyncerReady, the
// version and the authority of the control plane. It goes to garret-apiserver through
// the host's API server; while one of them is away, it is tried again.
type Reporter struct {
	cluster   translate.Cluster
	client    clientv1.TenancyV1Interface
	virtual   kubernetes.Interface
	authority *pki.Authority
	clock     clock.WithTicker
	// Room, when set, is an error while the control plane cannot write.
	Room func() error
	// Confirm, when set, asks the control plane at each look whether its data are still the same.
	Confirm func(context.Context) error
	// Stopped, when set, is called while the API server does not run.
	Stopped func()

	// parts are the parts of the syncer; one that comes earlier matters more.
	parts []string

	mutex sync.Mutex
	// pending are the parts of the syncer that do not work yet, or no longer.
	pending map[string]trouble
	// access is how far spec.access is in place.
	access accessState
	// kubeconfig is what has become of the Secret of spec.kubeconfigSecret.
	kubeconfig secretState
	// orphans are the objects missing inside whose data the host keeps, by kind, and
	// undone is why a decision about them could not be carried out.
	orphans map[string][]string
	undone  string
	// quota is how much of what is used, as a QuotaStatus in JSON; empty where nothing is bounded.
	quota string
	// resting is the number of the sleep for which the syncer rests; zero for none.
	resting int64
	// used is when somebody used the virtual cluster last, in seconds of the Unix epoch; zero
	// for not since the syncer began.
	used int64
	// metrics is why the host does not tell what pods use.
	metrics metricsState
	// custom is what keeps kinds with a rule.
	custom customState
	// seen is what the last look at the control plane found, and when.
	seen   trouble
	seenAt time.Time
	// asked is when all checks passed last, and the control plane was asked whether it lets anybody
	// in. Run alone uses it.
	asked time.Time
	// changed has room for one note that something did.
	changed chan struct{}
}

// trouble is why something is not ready.
type trouble struct{ reason, message string }

// NewReporter returns a reporter on the cluster. Until every one of the parts has
// reported that it is done, the syncer is not ready, for the reason of the first
// that is not.
func NewReporter(cluster translate.Cluster, client clientv1.TenancyV1Interface, virtual kubernetes.Interface,
	authority *pki.Authority, clock clock.WithTicker, parts ...string) *Reporter {
	r := &Reporter{
		cluster: cluster, client: client, virtual: virtual, authority: authority, clock: clock, parts: parts,
		pending: map[string]trouble{}, orphans: map[string][]string{}, changed: make(chan struct{}, 1),
	}
	for _, part := range parts {
		r.pending[part] = trouble{"Starting", "the syncer is starting: " + part}
	}
	return r
}

// Pending says why a part does not work. The reason is one word in CamelCase.
func (r *Reporter) Pending(part, reason, message string) {
	r.change(func() { r.pending[part] = trouble{reason, message} })
}

// Done says that a part works.
func (r *Reporter) Done(part string) {
	r.change(func() { delete(r.pending, part) })
}

// Access says how far the spec.access of a generation is in place: an empty
// reason means wholly. Until it is called, nothing is reported about it.
func (r *Reporter) Access(generation int64, reason, message string) {
	r.change(func() { r.access = accessState{true, generation, trouble{reason, message}} })
}

// KubeconfigSecret reports the state of the Secret that a generation asks for. An empty reason
// means that it is written, an empty message that none exists. Before the first call, the
// Reporter says nothing about the Secret.
func (r *Reporter) KubeconfigSecret(generation int64, reason, message string) {
	next := secretState{true, generation, trouble{reason, message}}
	r.mutex.Lock()
	same := r.kubeconfig == next
	r.mutex.Unlock()
	if !same {
		r.change(func() { r.kubeconfig = next })
	}
}

// Orphans says which objects of a kind are missing inside without having been
// deleted, as namespace/name. The host keeps their data.
func (r *Reporter) Orphans(resource string, names []string) {
	r.mutex.Lock()
	same := slices.Equal(r.orphans[resource], names)
	r.mutex.Unlock()
	if !same {
		r.change(func() { r.orphans[resource] = names })
	}
}

// Undone says why a decision about orphans could not be carried out for all of
// them; nothing says that it was.
func (r *Reporter) Undone(why string) {
	r.change(func() { r.undone = why })
}

// Metrics says why the host does not tell what pods use of CPU and memory: an empty
// reason means that it does. Until it is called, nothing is reported about it.
func (r *Reporter) Metrics(reason, message string) {
	r.change(func() { r.metrics = metricsState{true, trouble{reason, message}} })
}

// CustomKinds says what keeps kinds with a rule: an empty reason means that all are
// synced. Until it is called, nothing is reported about them.
func (r *Reporter) CustomKinds(reason, message string) {
	next := customState{true, trouble{reason, message}}
	r.mutex.Lock()
	same := r.custom == next
	r.mutex.Unlock()
	if !same {
		r.change(func() { r.custom = next })
	}
}

// Quota says how much is used of what the virtual cluster may hold on the host.
func (r *Reporter) Quota(hard, used corev1.ResourceList) {
	text := ""
	if len(hard) > 0 {
		// A list of quantities can always be written.
		data, _ := json.Marshal(tenancyv1.QuotaStatus{Hard: hard, Used: used})
		text = string(data)
	}
	r.mutex.Lock()
	same := r.quota == text
	r.mutex.Unlock()
	if !same {
		r.change(func() { r.quota = text })
	}
}

// Resting says for which sleep the syncer has stopped carrying pods; zero for none.
func (r *Reporter) Resting(number int64) {
	r.mutex.Lock()
	same := r.resting == number
	r.mutex.Unlock()
	if !same {
		r.change(func() { r.resting = number })
	}
}

// Used says when somebody used the virtual cluster straight at its API server.
func (r *Reporter) Used(last time.Time) {
	r.change(func() { r.used = last.Unix() })
}

func (r *Reporter) change(do func()) {
	r.mutex.Lock()
	do()
	r.mutex.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// accessState is how far spec.access is in place.
type accessState struct {
	known      bool
	generation int64
	trouble    trouble
}

// secretState is what has become of a Secret with a kubeconfig. The message of what is no
// trouble has no reason.
type secretState struct {
	known      bool
	generation int64
	outcome    trouble
}

// metricsState is whether the host tells what pods use.
type metricsState struct {
	known   bool
	trouble trouble
}

// customState is whether the kinds with a rule are synced.
type customState struct {
	known   bool
	trouble trouble
}

// state is what is reported.
type state struct {
	access               accessState
	kubeconfig           secretState
	metrics              metricsState
	custom               customState
	controlPlane, syncer trouble
	// orphaned tells of orphans; empty when there are none.
	orphaned  string
	quota     string
	resting   int64
	used      int64
	version   string
	authority string
}

// Run reports until the context ends.
func (r *Reporter) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	writer := &writer{cluster: r.cluster, client: r.client, clock: r.clock}
	retry := func() wait.Backoff {
		return wait.Backoff{Duration: 100 * time.Millisecond, Factor: 1.7, Jitter: 0.2, Steps: 9, Cap: 5 * time.Second}
	}
	backoff := retry()
	r.settle(ctx)
	var last state
	var written time.Time
	for ctx.Err() == nil {
		now := r.observe(ctx, last)
		pause := observeInterval
		if now == last && now.controlPlane == (trouble{}) {
			pause = calmInterval
		}
		if written.IsZero() || now != last || r.clock.Since(written) >= refreshInterval {
			switch err := writer.write(ctx, now); {
			case err == nil:
				written, backoff = r.clock.Now(), retry()
				if now != last {
					logger.Info("Reported", "controlPlaneReady", now.controlPlane.reason == "", "syncerReady", now.syncer.reason == "", "reason", now.syncer.reason)
				}
			case ctx.Err() != nil:
			default:
				written, pause = time.Time{}, backoff.Step()
				logger.V(1).Info("Cannot report the status", "virtualCluster", klog.KRef(r.cluster.HostNamespace, r.cluster.Name), "err", err, "again", pause)
			}
		}
		if now.controlPlane.reason == reasonRightsNotLoaded {
			pause = min(pause, rightsInterval)
		}
		last = now
		select {
		case <-ctx.Done():
		case <-r.changed:
		case <-r.clock.After(pause):
		}
	}
	return nil
}

// settle waits until every part is done, for a while.
func (r *Reporter) settle(ctx context.Context) {
	over := r.clock.After(settleTime)
	for {
		r.mutex.Lock()
		pending := len(r.pending)
		r.mutex.Unlock()
		if pending == 0 {
			return
		}
		select {
		case <-r.changed:
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}
