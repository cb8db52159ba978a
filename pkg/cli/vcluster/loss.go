// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/cmd/get"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
)

// loss is what a virtual cluster has lost: what the syncer reports, and what the
// user can see on the host.
type loss struct {
	object *tenancyv1.VirtualCluster
	// orphans are the host objects that hold its data; nil where the user may
	// not list them, and hidden is then why.
	orphans *unstructured.UnstructuredList
	hidden  error
}

// look finds what a virtual cluster has lost.
func look(ctx context.Context, cluster *host.Cluster, client versioned.Interface, name string) (*loss, error) {
	object, err := find(ctx, client, cluster.Namespace, name)
	if err != nil {
		return nil, err
	}
	selector := orphaned + "," + tenancyv1.LabelCluster + "=" + object.Status.ClusterID
	orphans, err := findOrphans(ctx, cluster, object.Namespace, selector)
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	if orphans == nil {
		return &loss{object: object, hidden: err}, nil
	}
	own := []tenancyv1.VirtualCluster{*object}
	unlisted := append(addCustomOrphans(ctx, cluster, object.Namespace, selector, own, orphans), addWideOrphans(ctx, cluster, object.Namespace, selector, func(kind string) bool { return anySyncs(own, kind) }, orphans)...)
	return &loss{object: object, orphans: orphans, hidden: errors.Join(unlisted...)}, nil
}

// find reads a virtual cluster by a list, which is all that viewers are granted.
func find(ctx context.Context, client versioned.Interface, namespace, name string) (*tenancyv1.VirtualCluster, error) {
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	list, err := client.TenancyV1().VirtualClusters(namespace).List(ctx, metav1.ListOptions{FieldSelector: only})
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, apierrors.NewNotFound(tenancyv1.Resource("virtualclusters"), name)
	}
	return &list.Items[0], nil
}

// stopped is the condition that says why the syncer has stopped; nil unless data were lost.
func stopped(object *tenancyv1.VirtualCluster) *metav1.Condition {
	ready := meta.FindStatusCondition(object.Status.Conditions, tenancyv1.ConditionSyncerReady)
	if ready == nil || ready.Status != metav1.ConditionFalse || ready.Reason != tenancyv1.ReasonDataReplaced && ready.Reason != tenancyv1.ReasonDataOlder {
		return nil
	}
	return ready
}

// kept is the condition that says what data are kept on the host; nil where none are.
func kept(object *tenancyv1.VirtualCluster) *metav1.Condition {
	condition := meta.FindStatusCondition(object.Status.Conditions, tenancyv1.ConditionOrphaned)
	if condition == nil || condition.Status != metav1.ConditionTrue {
		return nil
	}
	return condition
}

// reported says whether the syncer waits for a decision.
func reported(object *tenancyv1.VirtualCluster) bool {
	return stopped(object) != nil || kept(object) != nil
}

// recovered says whether nothing is left to decide, and objects are synced.
func recovered(object *tenancyv1.VirtualCluster) (bool, error) {
	return meta.IsStatusConditionTrue(object.Status.Conditions, tenancyv1.ConditionSyncerReady) && kept(object) == nil, nil
}

// describeLoss puts into one line what is between a virtual cluster and its recovery.
func describeLoss(object *tenancyv1.VirtualCluster) string {
	parts := []string{describeSyncer(object)}
	if condition := kept(object); condition != nil {
		parts = append(parts, "the host keeps data without an object inside: "+reason(condition))
	}
	return strings.Join(parts, "; ")
}

func describeSyncer(object *tenancyv1.VirtualCluster) string {
	ready := meta.FindStatusCondition(object.Status.Conditions, tenancyv1.ConditionSyncerReady)
	switch {
	case ready == nil:
		return "the syncer has reported nothing yet"
	case stopped(object) != nil:
		return "the syncer has stopped: " + reason(ready)
	case ready.Status != metav1.ConditionTrue:
		return "the syncer is not ready: " + reason(ready)
	default:
		return "the syncer works"
	}
}

func reason(condition *metav1.Condition) string {
	if condition.Message == "" {
		return condition.Reason
	}
	return condition.Reason + ": " + condition.Message
}

// sameLoss says whether a decision about one is a decision about the other.
func sameLoss(a, b *tenancyv1.VirtualCluster) bool {
	same := func(a, b *metav1.Condition) bool {
		return (a == nil) == (b == nil) && (a == nil || a.Reason == b.Reason && a.Message == b.Message)
	}
	return a.UID == b.UID && a.Annotations[tenancyv1.AnnotationRecover] == b.Annotations[tenancyv1.AnnotationRecover] &&
		same(stopped(a), stopped(b)) && same(kept(a), kept(b))
}

// write tells a person what was lost, with the table on an output of its own.
func (l *loss) write(told, table io.Writer) error {
	fmt.Fprintf(told, "virtual cluster %s in namespace %s: %s\n", l.object.Name, l.object.Namespace, describeSyncer(l.object))
	if condition := kept(l.object); condition != nil {
		fmt.Fprintf(told, "the host keeps data without an object inside: %s\n", reason(condition))
	}
	if value := l.object.Annotations[tenancyv1.AnnotationRecover]; value != "" {
		fmt.Fprintf(told, "the decision %q is set; the syncer acts on it once, now or at the next loss\n", value)
	}
	if l.hidden != nil {
		fmt.Fprintf(told, "what the host keeps cannot all be shown: %v\n", l.hidden)
		if l.orphans == nil {
			return nil
		}
	}
	if len(l.orphans.Items) > 0 {
		names := map[place]string{{l.object.Namespace, l.object.Status.ClusterID}: l.object.Name}
		return printOrphans(table, l.orphans, names, get.NewGetOptions("", genericiooptions.IOStreams{}))
	}
	return nil
}

// unreported says whether the host keeps what the syncer has not told of yet.
func (l *loss) unreported() bool {
	return kept(l.object) == nil && l.orphans != nil && len(l.orphans.Items) > 0
}

// claims are the claims, and other objects that hold data, that a decision is about.
func (l *loss) claims() string {
	switch {
	case l.orphans == nil:
		return "claims that are kept"
	case len(l.orphans.Items) == 1:
		return l.word() + " above"
	default:
		return fmt.Sprintf("%d %ss above", len(l.orphans.Items), l.word())
	}
}

// word is what the user sees above.
func (l *loss) word() string {
	if slices.ContainsFunc(l.orphans.Items, func(o unstructured.Unstructured) bool { return !isClaim(&o) }) {
		return "object"
	}
	return "claim"
}

// hasOrphans says whether the decision is about any claims at all.
func (l *loss) hasOrphans() bool { return l.orphans == nil || len(l.orphans.Items) > 0 }

// consequences are sentences about what a decision does now.
func (l *loss) consequences(verb string) []string {
	var sentences []string
	subject := "The syncer"
	if stopped(l.object) != nil {
		sentences = []string{
			"The syncer goes on with the data that are inside now.",
			"It deletes on the host what has no object inside and holds no data, such as pods and services.",
		}
		subject = "It"
	}
	switch {
	case !l.hasOrphans():
		return append(sentences, "The host keeps no claims without an object inside.")
	case verb == tenancyv1.RecoverGiveUp:
		return append(sentences, subject+" deletes the "+l.claims()+" on the host, with all data. Nobody can bring them back.")
	default:
		return append(sentences, subject+" makes the "+l.claims()+" again inside, with all data.")
	}
}

// consequencesBeforehand are sentences about what a decision does at the next loss.
func consequencesBeforehand(verb string) []string {
	sentences := []string{
		"When the data inside are next replaced or restored, the syncer continues with them and asks nobody.",
		"It deletes on the host what has no object inside and holds no data, such as pods and services.",
	}
	if verb == tenancyv1.RecoverGiveUp {
		return append(sentences, "It deletes claims and other data without an object inside on the host. Nobody can bring them back.")
	}
	return append(sentences, "It makes claims, and other objects that hold data, again inside where they are missing.")
}
