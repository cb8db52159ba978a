// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"bytes"
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// loser is a virtual cluster that loses its data. The test stands in for its syncer.
type loser struct {
	*testing.T
	in     tenancyv1.VirtualClusterInterface
	object *v1.VirtualCluster
	// owner may edit the namespace, and nothing else.
	owner framework.Client
}

func newLoser(t *testing.T) *loser {
	t.Helper()
	in, object := newDemo(t, nil)
	owner := shared.host.Certified(t, "owner-of-"+object.Namespace)
	shared.host.BindClusterRole(t, owner, object.Namespace, "edit")
	shared.host.AwaitAllowed(t, owner, authorizationv1.ResourceAttributes{
		Verb: "patch", Group: v1.GroupName, Resource: "virtualclusters", Namespace: object.Namespace, Name: object.Name})
	return &loser{T: t, in: in, object: object, owner: owner.Client(t, shared.host.Config.Host, shared.host.Config.CAData)}
}

// report sets the conditions that a syncer sets.
func (l *loser) report(syncer, orphaned *applymetav1.ConditionApplyConfiguration) {
	l.Helper()
	status := applyv1.VirtualClusterStatus().WithConditions(
		syncer.WithType(v1.ConditionSyncerReady).WithLastTransitionTime(metav1.Now()),
		orphaned.WithType(v1.ConditionOrphaned).WithLastTransitionTime(metav1.Now()))
	report := applyv1.VirtualCluster(l.object.Name, l.object.Namespace).WithUID(l.object.UID).WithStatus(status)
	if _, err := l.in.ApplyStatus(l.Context(), report, metav1.ApplyOptions{FieldManager: v1.FieldManagerSyncer}); err != nil {
		l.Fatal(err)
	}
}

func condition(is metav1.ConditionStatus, reason, message string) *applymetav1.ConditionApplyConfiguration {
	return applymetav1.Condition().WithStatus(is).WithReason(reason).WithMessage(message)
}

// lose makes a claim on the host that nothing inside is left of, and reports it.
func (l *loser) lose(claim string) {
	l.Helper()
	_, err := shared.host.Client.CoreV1().PersistentVolumeClaims(l.object.Namespace).Create(l.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name:        claim,
			Labels:      map[string]string{v1.LabelCluster: l.object.Status.ClusterID, v1.LabelOrphan: "true"},
			Annotations: map[string]string{v1.AnnotationVirtualNamespace: "shop", v1.AnnotationVirtualName: "db"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		l.Fatal(err)
	}
	l.report(condition(metav1.ConditionFalse, v1.ReasonDataReplaced, "2 pods have no object inside."), condition(metav1.ConditionTrue, "Kept", "1 claim: shop/db."))
}

// awaitDecision returns the verb that somebody decided by.
func (l *loser) awaitDecision(before string) (verb string) {
	l.Helper()
	framework.Eventually(l, "somebody has decided", func(ctx context.Context) (bool, error) {
		object, err := l.in.Get(ctx, l.object.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		value := object.Annotations[v1.AnnotationRecover]
		verb, _, _ = strings.Cut(value, " ")
		return value != "" && value != before, nil
	})
	return verb
}

// garret begins a command, and returns how to wait for what it tells.
func (l *loser) garret(args ...string) (end func() (told string, err error)) {
	l.Helper()
	var out, told bytes.Buffer
	command := l.owner.Command(l.Context(), "garret", append(args, "--namespace", l.object.Namespace)...)
	command.Stdout, command.Stderr = &out, &told
	if err := command.Start(); err != nil {
		l.Fatal(err)
	}
	return func() (string, error) {
		err := command.Wait()
		if out.Len() > 0 {
			l.Errorf("garret %s printed %q on standard output, want nothing there", strings.Join(args, " "), out.String())
		}
		return told.String(), err
	}
}

// TestRecover has an owner find out what was lost and decide about it, with the
// command line and no right but edit in the namespace.
func TestRecover(t *testing.T) {
	t.Parallel()
	for verb, does := range map[string]string{v1.RecoverAdopt: "makes the claim above again inside", v1.RecoverGiveUp: "deletes the claim above on the host"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			l := newLoser(t)
			l.lose("lost")
			claims := shared.host.Client.CoreV1().PersistentVolumeClaims(l.object.Namespace)

			table := l.owner.Garret(t, "list", "--orphans", "-n", l.object.Namespace, "--no-headers")
			if got := strings.Join(strings.Fields(table)[:5], " "); got != "demo PersistentVolumeClaim shop/db lost 1Gi" {
				t.Errorf("list --orphans: got %q", table)
			}
			if got := l.owner.Garret(t, "recover", "demo", "-n", l.object.Namespace); !strings.Contains(got, "shop/db") {
				t.Errorf("recover: got %q, want the claim", got)
			}
			if told, err := l.garret("recover", "demo", "--"+verb)(); err == nil || !strings.Contains(told, "--yes") {
				t.Errorf("without a terminal: %v, %q; want it refused with --yes as the remedy", err, told)
			}

			end := l.garret("recover", "demo", "--"+verb, "--yes")
			if got := l.awaitDecision(""); got != verb {
				t.Errorf("got the decision %q, want %s", got, verb)
			}
			var err error
			if verb == v1.RecoverGiveUp {
				err = claims.Delete(t.Context(), "lost", metav1.DeleteOptions{})
			} else {
				_, err = claims.Patch(t.Context(), "lost", types.MergePatchType, []byte(`{"metadata":{"labels":{"`+v1.LabelOrphan+`":null}}}`), metav1.PatchOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
			l.report(condition(metav1.ConditionTrue, "Syncing", ""), condition(metav1.ConditionFalse, "None", ""))
			told, err := end()
			for _, want := range []string{"DataReplaced: 2 pods", does, "recovered after", "garret use demo"} {
				if !strings.Contains(told, want) {
					t.Errorf("recover told %q (%v), want %q in it", told, err, want)
				}
			}
			if err != nil {
				t.Errorf("recover: %v", err)
			}
			// A claim that is given up is listed until it is gone.
			framework.Eventually(t, "no orphans are listed", func(context.Context) (bool, error) {
				return l.owner.Garret(t, "list", "--orphans", "-n", l.object.Namespace) == "", nil
			})
			if told, err := l.garret("recover", "demo", "--"+verb, "--yes")(); err == nil || !strings.Contains(told, "has lost nothing") {
				t.Errorf("decided once more: %v, %q; want it refused", err, told)
			}
		})
	}
}

// TestRecoverAnnounced has an owner announce a restore, by kubectl and by garret,
// and take it back.
func TestRecoverAnnounced(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	l.report(condition(metav1.ConditionTrue, "Syncing", ""), condition(metav1.ConditionFalse, "None", ""))
	kubectl := l.owner.In(l.object.Namespace)
	kubectl.Refused(t, "metadata.annotations["+v1.AnnotationRecover+"]", "annotate", "vc", "demo", v1.AnnotationRecover+"=adopt")
	kubectl.Do(t, "annotate", "vc", "demo", v1.AnnotationRecover+"=give-up 1")
	if told, err := l.garret("recover", "demo", "--adopt", "--beforehand", "--yes")(); err != nil || !strings.Contains(told, `"give-up 1" is set`) {
		t.Errorf("announced: %v, %q; want to be told what stood there", err, told)
	}
	if got := l.awaitDecision("give-up 1"); got != v1.RecoverAdopt {
		t.Errorf("announced: got %q, want adopt", got)
	}
	if told, err := l.garret("recover", "demo", "--cancel")(); err != nil {
		t.Errorf("taken back: %v, %q", err, told)
	}
	object, err := l.in.Get(t.Context(), "demo", metav1.GetOptions{})
	if _, ok := object.Annotations[v1.AnnotationRecover]; ok || err != nil {
		t.Errorf("taken back: %v (%v)", object.Annotations, err)
	}
}

// TestOrphansOfOthers asks for more than the host's RBAC lets one see.
func TestOrphansOfOthers(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	l.lose("lost")
	if _, err := l.owner.Tool("garret", "list", "--orphans", "-A"); err == nil || !strings.Contains(err.Error(), "--namespace") {
		t.Errorf("list --orphans -A: got %v, want a refusal that names --namespace", err)
	}
	if err := l.in.Delete(t.Context(), "demo", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	framework.Eventually(t, "the virtual cluster is gone", func(ctx context.Context) (bool, error) {
		_, err := l.in.Get(ctx, "demo", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if got := shared.host.Kubectl().Garret(t, "list", "--orphans", "-A", "-l", v1.LabelCluster+"="+l.object.Status.ClusterID); !strings.Contains(got, l.object.Namespace+"   (deleted)") {
		t.Errorf("list --orphans of a virtual cluster that is gone: got %q", got)
	}
}
