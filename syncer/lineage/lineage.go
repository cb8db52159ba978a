// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package lineage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

const (
	// checkpointDelay gathers what is created in a burst under one checkpoint.
	checkpointDelay = time.Second
	// checkpointRetry is the pause after one that could not be written.
	checkpointRetry = 5 * time.Second

	fieldManager = "garret-syncer"

	keyIncarnation = "incarnation"
	keyCheckpoint  = "checkpoint"
	keyRevision    = "revision"
	keyWritten     = "written"
	keyDecision    = "decision"
)

// errUnsettled is the answer while it is not known, or not decided, what the data inside are.
var errUnsettled = errors.New("the syncer has not decided yet whether the control plane's data belong to the host objects")

// errWentBack has the syncer start over.
var errWentBack = errors.New("the data of the control plane went back in time, to after the last checkpoint: restarting")

// Options are what a Lineage is made of.
type Options struct {
	Cluster       translate.Cluster
	Virtual, Host kubernetes.Interface
	Clock         clock.Clock
}

// Lineage follows the history of one control plane's data. It is safe for
// concurrent use once Open or Accept succeeded.
type Lineage struct {
	Options
	// carried has room for one note that something was created on the host.
	carried chan struct{}
	// lost has room for the first loss that Confirm saw.
	lost chan error

	// writing is held from a look at the record until it is written: a decision and a
	// checkpoint at the same time must not undo each other.
	writing sync.Mutex

	mu   sync.Mutex
	last record
	// newest is the highest resourceVersion of the data inside that was seen.
	newest string
	// settled says that the data inside are those of the record.
	settled bool
}

// New returns a Lineage that has yet to be opened.
func New(o Options) *Lineage {
	return &Lineage{Options: o, carried: make(chan struct{}, 1), lost: make(chan error, 1)}
}

// Open compares the data inside with the host's record. Where both agree, or where
// there is nothing on the host that could be lost, it leaves a new checkpoint.
func (l *Lineage) Open(ctx context.Context) (*Loss, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	found, err := l.look(ctx)
	if err != nil {
		return nil, err
	}
	known, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	if known == nil {
		if loss, err := l.unrecorded(ctx, found); loss != nil || err != nil {
			return loss, err
		}
		known = &record{}
	} else if loss := judge(found, *known); loss != nil {
		l.remember(*known)
		return loss, nil
	}
	return nil, l.mark(ctx, found, *known)
}

// Accept continues with the data inside, whatever they are. Decision is the value of
// AnnotationRecover that asks for that, if any.
func (l *Lineage) Accept(ctx context.Context, decision string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	found, err := l.look(ctx)
	if err != nil {
		return err
	}
	known, _ := l.known()
	if decision != "" {
		known.decision, known.decided = decision, true
	}
	return l.mark(ctx, found, known)
}

// Decided remembers that the value of AnnotationRecover was acted on.
func (l *Lineage) Decided(ctx context.Context, decision string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	known, _ := l.known()
	known.decision, known.decided = decision, true
	if err := l.write(ctx, known); err != nil {
		return err
	}
	l.remember(known)
	return nil
}

// IsOpen tells whether the value of AnnotationRecover was not acted on yet. Where
// no record says what was, what is there already counts as acted on: it may be a
// decision of long ago. Sure says that the record knows.
func (l *Lineage) IsOpen(decision string) (open, sure bool) {
	known, _ := l.known()
	return decision != "" && known.decided && decision != known.decision, known.decided
}

// Presume takes the value that is there for one that was acted on. It is written
// with the next checkpoint.
func (l *Lineage) Presume(decision string) {
	l.mu.Lock()
	l.last.decision, l.last.decided = decision, true
	l.mu.Unlock()
	l.Carried()
}

// Confirm returns nil when the data inside are still those that the host's
// objects stand for. Somebody who calls it after finding an object missing knows
// that it was deleted. The error may be a *Loss.
//
// It has to be called now and then, too: watches that were opened in younger data
// wait in older ones for events that have been, and tell nothing meanwhile.
func (l *Lineage) Confirm(ctx context.Context) error {
	// What is known first: a checkpoint that follows meanwhile must not look like a loss.
	known, settled := l.known()
	if !settled {
		return errUnsettled
	}
	newest := l.seen("")
	found, err := l.look(ctx)
	if err != nil {
		return err
	}
	if loss := judge(found, known); loss != nil {
		err = loss
	} else if younger(newest, found.newest) {
		// Nothing is lost on the host, but what the caches hold is not what is inside.
		err = errWentBack
	} else {
		l.seen(found.newest)
		return nil
	}
	select {
	case l.lost <- err:
	default:
	}
	return err
}

// seen returns the highest resourceVersion that was seen, this one included.
func (l *Lineage) seen(version string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.newest == "" || younger(version, l.newest) {
		l.newest = version
	}
	return l.newest
}

// Carried notes that something was created on the host.
func (l *Lineage) Carried() {
	select {
	case l.carried <- struct{}{}:
	default:
	}
}

// Run leaves checkpoints until the context ends. It returns an error when the data
// inside turn out to be others.
func (l *Lineage) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-l.lost:
			return err
		case <-l.carried:
		}
		if !l.pause(ctx, checkpointDelay) {
			return nil
		}
		err := l.advance(ctx)
		if loss := (*Loss)(nil); errors.As(err, &loss) {
			return loss
		}
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot write a checkpoint", "again", checkpointRetry)
			if !l.pause(ctx, checkpointRetry) {
				return nil
			}
			l.Carried()
		}
	}
}

func (l *Lineage) pause(ctx context.Context, d time.Duration) bool {
	timer := l.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// advance leaves a checkpoint unless the data are others.
func (l *Lineage) advance(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		known, _ := l.known()
		found, err := l.look(ctx)
		if err != nil {
			return err
		}
		if loss := judge(found, known); loss != nil {
			return loss
		}
		return l.mark(ctx, found, known)
	})
}

// mark writes the next checkpoint, first inside and then on the host.
func (l *Lineage) mark(ctx context.Context, found inside, known record) error {
	found = found.believed(known)
	next := record{incarnation: found.incarnation, checkpoint: found.checkpoint.next(known.checkpoint), decision: known.decision, decided: known.decided, written: l.Clock.Now()}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": found.incarnation, "resourceVersion": found.revision,
		"annotations": map[string]string{annotationCheckpoint: next.checkpoint.String()},
	}})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	namespace, err := l.Virtual.CoreV1().Namespaces().Patch(ctx, metav1.NamespaceSystem, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("checkpoint inside: %w", err)
	}
	next.revision = namespace.ResourceVersion
	if err := l.write(ctx, next); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.last; now.decided && !next.decided {
		next.decision, next.decided = now.decision, now.decided
	}
	l.last, l.settled = next, true
	return nil
}

// known is the record, and whether the data inside are those of it.
func (l *Lineage) known() (record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.settled
}

func (l *Lineage) remember(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = r
}

// look asks the control plane itself, not a cache.
func (l *Lineage) look(ctx context.Context) (inside, error) {
	list, err := l.Virtual.CoreV1().Namespaces().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + metav1.NamespaceSystem})
	if err != nil {
		return inside{}, fmt.Errorf("checkpoint inside: %w", err)
	}
	if len(list.Items) != 1 {
		return inside{}, fmt.Errorf("checkpoint inside: there is no namespace %s", metav1.NamespaceSystem)
	}
	return insideOf(&list.Items[0], list.ResourceVersion), nil
}

// RecordName is the name of the ConfigMap on the host.
func RecordName(cluster translate.Cluster) string { return tenancyv1.LineageName(cluster.Name) }

// read returns nil when the host has no record of this virtual cluster.
func (l *Lineage) read(ctx context.Context) (*record, error) {
	found, err := l.Host.CoreV1().ConfigMaps(l.Cluster.HostNamespace).Get(ctx, RecordName(l.Cluster), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint on the host: %w", err)
	}
	if found.Labels[tenancyv1.LabelCluster] != l.Cluster.ID {
		// It is that of an earlier virtual cluster of the name.
		return nil, nil
	}
	known := &record{incarnation: types.UID(found.Data[keyIncarnation]), revision: found.Data[keyRevision]}
	known.decision, known.decided = found.Data[keyDecision]
	var marked bool
	if known.checkpoint, marked = parseCheckpoint(found.Data[keyCheckpoint]); !marked || known.incarnation == "" {
		return nil, fmt.Errorf("checkpoint on the host: somebody changed ConfigMap %s: delete it, and the syncer creates it again", found.Name)
	}
	// For messages only.
	known.written, _ = time.Parse(time.RFC3339, found.Data[keyWritten])
	return known, nil
}

func (l *Lineage) write(ctx context.Context, r record) error {
	client := l.Host.CoreV1().ConfigMaps(l.Cluster.HostNamespace)
	wanted := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: RecordName(l.Cluster), Labels: map[string]string{tenancyv1.LabelCluster: l.Cluster.ID}},
		Data: map[string]string{
			keyIncarnation: string(r.incarnation), keyCheckpoint: r.checkpoint.String(), keyRevision: r.revision,
			keyWritten: r.written.UTC().Format(time.RFC3339),
		},
	}
	if r.decided {
		wanted.Data[keyDecision] = r.decision
	}
	_, err := client.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: fieldManager})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return fmt.Errorf("checkpoint on the host: %w", err)
	}
	return nil
}

// unrecorded looks, where the record is missing, at what the claims on the host
// stand for. Those of retained data have no record; nor have those of a syncer
// that wrote none, or whose record somebody deleted.
func (l *Lineage) unrecorded(ctx context.Context, found inside) (*Loss, error) {
	claims, err := l.Host.CoreV1().PersistentVolumeClaims(l.Cluster.HostNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: tenancyv1.LabelCluster + "=" + l.Cluster.ID + ",!" + tenancyv1.LabelOrphan})
	if apierrors.IsForbidden(err) {
		return nil, nil // claims are not synced
	}
	if err != nil {
		return nil, fmt.Errorf("claims on the host: %w", err)
	}
	for i := range claims.Items {
		if before := types.UID(claims.Items[i].Annotations[tenancyv1.AnnotationIncarnation]); before != "" && before != found.incarnation {
			return replaced(before, found.incarnation), nil
		}
	}
	return nil, nil
}
