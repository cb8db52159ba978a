// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
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
	// observeInterval is how often the control plane is looked at, refreshInterval
	// how often the status is written though nothing changed.
	observeInterval = 5 * time.Second
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
	// asked is when the control plane was last asked whether it lets anybody in. Run alone
	// uses it.
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

// KubeconfigSecret says what has become of the Secret that a generation asks for: an empty
// reason means that it is written, and no message that there is none. Until it is called,
// nothing is reported about it.
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

// observe looks at the control plane and the parts.
func (r *Reporter) observe(ctx context.Context, last state) state {
	now := state{version: last.version, authority: last.authority}
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	if body, err := r.virtual.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Raw(); err != nil {
		now.controlPlane = trouble{"NotAnswering", "the API server inside is not ready: " + unready(body, err)}
		if r.Stopped != nil && utilnet.IsConnectionRefused(err) {
			r.Stopped()
		}
	} else if now.version == "" || last.controlPlane != (trouble{}) {
		// It may have come back as another version.
		if info, err := r.virtual.Discovery().ServerVersion(); err == nil {
			now.version = info.GitVersion
		}
	}
	if now.controlPlane == (trouble{}) && (last.controlPlane != (trouble{}) || r.clock.Since(r.asked) >= refreshInterval) {
		now.controlPlane = r.letsIn(ctx)
		r.asked = r.clock.Now()
	}
	if now.controlPlane == (trouble{}) && r.Room != nil {
		if err := r.Room(); err != nil {
			now.controlPlane = trouble{"VolumeFull", err.Error()}
		}
	}
	if bundle, err := r.authority.Bundle(); err == nil {
		now.authority = string(bundle)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.seen, r.seenAt = now.controlPlane, r.clock.Now()
	now.access, now.kubeconfig, now.metrics, now.custom = r.access, r.kubeconfig, r.metrics, r.custom
	now.quota, now.resting, now.used = r.quota, r.resting, r.used
	now.orphaned = describeOrphans(r.orphans, r.undone, r.cluster)
	for _, part := range r.parts {
		if found, pending := r.pending[part]; pending {
			now.syncer = found
			break
		}
	}
	return now
}

// ControlPlane is why the control plane is not ready, as the last look at it found, and
// whether anybody has looked of late.
func (r *Reporter) ControlPlane() (why string, known bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.seen.message, !r.seenAt.IsZero() && r.clock.Since(r.seenAt) < 2*observeInterval
}

// letsIn is why nobody gets in who has the right: the API server is ready before the rules
// are there by which the relay acts for users.
func (r *Reporter) letsIn(ctx context.Context) trouble {
	review, err := r.virtual.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: tenancyv1.RelayUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: "users"}},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return trouble{"NotAnswering", "the API server inside does not say who may enter: " + firstLine(err)}
	case !review.Status.Allowed:
		return trouble{reasonRightsNotLoaded, "the API server inside does not let Garret act for its users yet: the rules for that are being put in place or loaded"}
	}
	return trouble{}
}

// namedOrphans is how many orphans of a kind a condition names.
const namedOrphans = 5

// describeOrphans says which data the host keeps, and what to do; it is empty when
// there are none.
func describeOrphans(orphans map[string][]string, undone string, cluster translate.Cluster) string {
	var kinds []string
	for _, resource := range slices.Sorted(maps.Keys(orphans)) {
		names := orphans[resource]
		if len(names) == 0 {
			continue
		}
		more := ""
		if len(names) > namedOrphans {
			more = fmt.Sprintf(" and %d more", len(names)-namedOrphans)
			names = names[:namedOrphans]
		}
		kinds = append(kinds, resource+" "+strings.Join(names, ", ")+more)
	}
	if len(kinds) == 0 {
		return ""
	}
	message := fmt.Sprintf("The host keeps data of objects that are missing inside. Decide with: garret recover %s -n %s. ", cluster.Name, cluster.HostNamespace)
	if undone != "" {
		message += "The last decision failed for some: " + undone + ". "
	}
	message += "They are " + strings.Join(kinds, "; ")
	return message
}

// unready names the checks that fail, which an answer of /readyz lists among all
// others, or says why there is no such answer.
func unready(body []byte, err error) string {
	var failing []string
	for line := range strings.Lines(string(body)) {
		if check, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ := strings.Cut(strings.TrimSpace(check), " ")
			failing = append(failing, name)
		}
	}
	if len(failing) == 0 {
		return firstLine(err)
	}
	return "it waits for " + strings.Join(failing, ", ")
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

// writer applies states to the VirtualCluster.
type writer struct {
	cluster translate.Cluster
	client  clientv1.TenancyV1Interface
	clock   clock.PassiveClock
	// before are the conditions as they stand, nil until they were read.
	before []metav1.Condition
}

func (w *writer) write(ctx context.Context, now state) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if w.before == nil {
		if err := w.read(ctx); err != nil {
			return err
		}
	}
	result, err := w.client.VirtualClusters(w.cluster.HostNamespace).ApplyStatus(ctx, w.configuration(now),
		metav1.ApplyOptions{FieldManager: tenancyv1.FieldManagerSyncer, Force: true})
	if err != nil {
		return fmt.Errorf("status of virtual cluster %s/%s: %w", w.cluster.HostNamespace, w.cluster.Name, err)
	}
	w.before = conditionsOf(result)
	return nil
}

// read finds out since when conditions have been as they are: a restarted syncer
// goes on where the last one stopped.
func (w *writer) read(ctx context.Context) error {
	found := &tenancyv1.VirtualCluster{}
	err := w.client.RESTClient().Get().Namespace(w.cluster.HostNamespace).Resource("virtualclusters").
		Name(w.cluster.Name).SubResource("status").Do(ctx).Into(found)
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("read virtual cluster %s/%s: %w", w.cluster.HostNamespace, w.cluster.Name, err)
	}
	w.before = sinceWoken(found)
	return nil
}

// sinceWoken leaves out that control plane and syncer were ready before a sleep: neither was
// during it. garret-controller takes a report that is younger than the pod for the probes that
// the kubelet makes only seconds later.
func sinceWoken(cluster *tenancyv1.VirtualCluster) []metav1.Condition {
	conditions := conditionsOf(cluster)
	sleep := cluster.Status.Sleep
	if sleep == nil || sleep.Woken == nil || sleep.Woken.Time == nil {
		return conditions
	}
	return slices.DeleteFunc(conditions, func(c metav1.Condition) bool {
		ready := c.Type == tenancyv1.ConditionControlPlaneReady || c.Type == tenancyv1.ConditionSyncerReady
		return ready && c.LastTransitionTime.Before(sleep.Woken.Time)
	})
}

func conditionsOf(cluster *tenancyv1.VirtualCluster) []metav1.Condition {
	return append([]metav1.Condition{}, cluster.Status.Conditions...)
}
