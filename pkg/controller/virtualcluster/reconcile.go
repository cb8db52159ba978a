// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/pkg/release"
	"garret.dev/garret/pkg/release/sealed"
)

var everything = labels.Everything()

const (
	// compareEvery is how often a release is compared with the host although
	// nothing seems to have changed.
	compareEvery = 10 * time.Minute
	// probeEvery is how often a ready virtual cluster is asked whether it still is.
	probeEvery = 30 * time.Second
	// probeAgain is the pause after an answer that failed to come.
	probeAgain = 200 * time.Millisecond
	// probesLost is how many answers must fail to come to end readiness.
	probesLost = 3
	// lookAgain is the pause where no watch will tell.
	lookAgain = 5 * time.Second
	// hopeAgain is the pause where only somebody's action can help, and no watch
	// will tell of it.
	hopeAgain = 30 * time.Second
)

// observation is what a pass found out, for the status.
type observation struct {
	trouble   *trouble
	clusterIP string
	release   release.Status
	kinds     customKinds
	// services are the sources that the spec names; found says that they were looked for.
	services []tenancyv1.FoundService
	found    bool
}

// reconcile makes one pass over an object and returns when the next is due without
// an event; zero is never.
func (c *Controller) reconcile(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	vc, err := c.watched.clusters.VirtualClusters(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		c.forget(name)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if vc.DeletionTimestamp != nil {
		ctx, end := step(ctx, stepTearDown)
		again, err := c.end(ctx, vc)
		end(err)
		return again, err
	}
	m := c.remember(name)
	if c.namespaceEnds(vc) != nil {
		return c.endNamespace(ctx, vc, m)
	}
	if vc, err = c.hold(ctx, vc); err != nil {
		return 0, err
	}
	c.tellOrphans(vc, m)
	if vc, err = c.takeUp(ctx, vc, m); err != nil {
		return 0, err
	}
	again, err := c.keep(ctx, vc, m)
	if err == nil {
		var gone bool
		if gone, err = c.expire(ctx, vc, m); gone || err != nil {
			return 0, err
		}
	}
	return c.sooner(vc, again), err
}

// keep makes one pass over an object that nobody deletes.
func (c *Controller) keep(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (time.Duration, error) {
	if again, done, err := c.sleep(ctx, vc, m); done || err != nil {
		return again, err
	}
	seen, failed := c.deploy(ctx, vc, m)
	if failed != nil {
		seen.trouble = deployTrouble(failed)
		// What works goes on working while the host has a hiccup.
		if apierrors.IsConflict(failed) || (isReady(vc) && !seen.trouble.final) {
			return 0, failed
		}
	} else {
		seen.trouble = c.health(ctx, vc, m, seen.clusterIP)
	}
	again, err := c.report(ctx, vc, m, seen)
	if err != nil {
		return 0, fmt.Errorf("status: %w", err)
	}
	if failed != nil {
		if !seen.trouble.final && !errors.As(failed, new(*trouble)) {
			return 0, failed
		}
		return again, nil
	}
	if err := c.keepID(ctx, vc, seen.trouble == nil); err != nil {
		return 0, err
	}
	left, err := c.clearUnsynced(ctx, vc, m, &seen.kinds)
	if err != nil {
		return 0, err
	}
	if left && (again == 0 || again > lookAgain) {
		return lookAgain, nil
	}
	return again, nil
}

// health is why a deployed virtual cluster is not ready; nil when it is.
func (c *Controller) health(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, clusterIP string) *trouble {
	found, said := c.diagnose(ctx, vc), reported(vc)
	if said != nil && said.final && (found == nil || found.progress) {
		// A syncer that waits for a decision is not ready, which looks like a start.
		return said
	}
	if found != nil {
		return found
	}
	if said != nil {
		return said
	}
	return c.answers(ctx, vc, m, clusterIP)
}

// deploy makes the release what the spec says.
func (c *Controller) deploy(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (observation, error) {
	m.Lock()
	seen := observation{release: m.release}
	m.Unlock()
	var err error
	if seen.kinds, err = c.customKinds(ctx, vc, m); err != nil {
		return seen, err
	}
	if err := c.readers(ctx, vc, &seen.kinds); err != nil {
		return seen, err
	}
	tenant, err := tenantValues(vc)
	if err != nil {
		return seen, &trouble{Reason: reasonInvalidValues, Message: err.Error(), final: true}
	}
	values, err := c.values(ctx, vc, &seen.kinds)
	if err != nil {
		return seen, err
	}
	values.ControlPlane.Stopped = vc.Status.Asleep()
	if seen.services, values.Isolation.NetworkPolicy.Services, err = c.findSources(ctx, vc); err != nil {
		return seen, err
	}
	seen.found = true
	merged, err := chart.Merge(values, tenant)
	if err != nil {
		return seen, &trouble{Reason: reasonInvalidValues, Message: err.Error(), final: true}
	}
	spec := release.Spec{Namespace: vc.Namespace, Name: tenancyv1.ReleaseName(vc.Name), Values: merged}
	if seen.clusterIP, err = c.clusterIP(ctx, spec); err != nil {
		return seen, err
	}
	values.Service.ClusterIP = seen.clusterIP
	if spec.Values, err = chart.Merge(values, tenant); err != nil {
		return seen, &trouble{Reason: reasonInvalidValues, Message: err.Error(), final: true}
	}
	if err := c.record(ctx, vc, m, seen.kinds.known, seen.kinds.withData); err != nil {
		return seen, err
	}
	seen.release, err = c.ensure(ctx, vc, spec, m)
	return seen, err
}

// clusterIP is the address of the Service, which comes first.
func (c *Controller) clusterIP(ctx context.Context, spec release.Spec) (string, error) {
	service, err := c.watched.services.Services(spec.Namespace).Get(spec.Name)
	if err == nil && service.Spec.ClusterIP != "" && service.DeletionTimestamp == nil {
		return service.Spec.ClusterIP, nil
	}
	return c.Releases.EnsureService(ctx, spec)
}

// ensure works on the release only when there is something to do: it costs the
// host a dozen requests.
func (c *Controller) ensure(ctx context.Context, vc *tenancyv1.VirtualCluster, spec release.Spec, m *memory) (release.Status, error) {
	digest, err := digestOf(vc, spec.Values)
	if err != nil {
		return release.Status{}, err
	}
	m.Lock()
	current := m.deployed == digest && !m.drifted && c.Clock.Since(m.deployedAt) < compareEvery
	undrifted, known := m.deployed, m.release
	if m.drifted {
		undrifted = ""
	}
	// Noted before the work: what changes during it is to be looked at again.
	m.drifted = false
	m.Unlock()
	if current {
		return known, nil
	}
	start := c.Clock.Now()
	ctx, end := step(ctx, stepDeploy)
	if wakes, err := onlyWakes(vc, spec.Values, undrifted); err == nil && wakes {
		c.startAhead(ctx, vc, m)
	}
	status, err := c.Releases.Ensure(ctx, spec)
	end(err)
	m.Lock()
	defer m.Unlock()
	if err != nil {
		m.deployed = ""
		return known, err
	}
	c.tellForeign(vc, spec, &status)
	m.deployed, m.deployedAt, m.release = digest, c.Clock.Now(), status
	c.Metrics.deployed(c.Clock.Since(start))
	if status != known {
		klog.FromContext(ctx).Info("Deployed", "release", spec.String(), "revision", status.Revision, "took", c.Clock.Since(start).Round(time.Millisecond),
			"sinceCreation", c.Clock.Since(vc.CreationTimestamp.Time).Round(time.Millisecond))
	}
	return status, nil
}

// tellForeign puts an event on the object when somebody else had written records of its
// release. A Garret that does not seal its records is somebody else, too.
func (c *Controller) tellForeign(vc *tenancyv1.VirtualCluster, spec release.Spec, status *release.Status) {
	if status.Foreign > 0 {
		c.Recorder.Event(vc, corev1.EventTypeWarning, reasonForeignRecords, fmt.Sprintf(
			"garret-controller deleted %d Secrets of type %s of the release %s unread, because it had not written them: an earlier Garret wrote them, or somebody forged them",
			status.Foreign, sealed.RecordType, spec.Name))
	}
	status.Foreign = 0
}

func digestOf(vc *tenancyv1.VirtualCluster, values map[string]any) (string, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("encode values: %w", err)
	}
	sum := sha256.Sum256(append(data, vc.UID...))
	return hex.EncodeToString(sum[:]), nil
}

// answers asks the API inside, unless it has answered lately and was ready since.
func (c *Controller) answers(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, clusterIP string) *trouble {
	m.Lock()
	recent := c.Clock.Since(m.answered) < probeEvery-time.Second && m.unanswered == 0
	m.Unlock()
	wasReady := isReady(vc)
	if recent && wasReady {
		return nil
	}
	probing, end := step(ctx, stepProbe)
	err := c.Prober.Probe(probing, vc, clusterIP, vc.Status.CertificateAuthorityData)
	end(err)
	m.Lock()
	defer m.Unlock()
	if err == nil {
		m.answered, m.unanswered = c.Clock.Now(), 0
		return nil
	}
	m.unanswered++
	klog.FromContext(ctx).V(1).Info("The API inside does not answer", "endpoint", endpoint(clusterIP), "times", m.unanswered, "err", err)
	if wasReady && m.unanswered < probesLost {
		return nil
	}
	return &trouble{Reason: reasonUnreachable, Message: fmt.Sprintf("the API at %s does not answer: %v", endpoint(clusterIP), err), retry: true}
}

// due is when the next pass is, although nothing happened.
func (c *Controller) due(m *memory, found *trouble, stallsIn time.Duration) time.Duration {
	m.Lock()
	defer m.Unlock()
	switch {
	case m.unanswered > 0:
		return min(probeAgain<<min(m.unanswered-1, 5), lookAgain)
	case found == nil:
		return probeEvery
	case found.final && found.retry:
		return hopeAgain
	case found.retry && stallsIn > 0:
		return min(lookAgain, stallsIn)
	case found.retry:
		return lookAgain
	default:
		return stallsIn
	}
}

// say puts an event on the object when there is something new.
func (c *Controller) say(vc *tenancyv1.VirtualCluster, m *memory, eventType, reason, message string) {
	m.Lock()
	repeated := m.said == reason
	m.said = reason
	m.Unlock()
	if repeated {
		return
	}
	if eventType == corev1.EventTypeWarning {
		c.Metrics.troubled(reason)
	}
	c.Recorder.Event(vc, eventType, reason, message)
}

// tellOrphans puts an event on the object when data on the host lost what they stood
// for inside, and when there is something else to be said about them.
func (c *Controller) tellOrphans(vc *tenancyv1.VirtualCluster, m *memory) {
	condition := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionOrphaned)
	if condition == nil || condition.Status != metav1.ConditionTrue {
		c.sayOnce(vc, m, &m.orphaned, "", "", "")
		return
	}
	c.sayOnce(vc, m, &m.orphaned, corev1.EventTypeWarning, tenancyv1.ConditionOrphaned, cmp.Or(condition.Message, condition.Reason))
}

// sayOnce puts an event on the object when its message is not the one told last.
func (c *Controller) sayOnce(vc *tenancyv1.VirtualCluster, m *memory, told *string, eventType, reason, message string) {
	m.Lock()
	repeated := *told == message
	*told = message
	m.Unlock()
	if !repeated && message != "" {
		c.Recorder.Event(vc, eventType, reason, message)
	}
}
