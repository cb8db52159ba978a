// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package lineage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// annotationCheckpoint is on the namespace kube-system inside.
const annotationCheckpoint = "garret.dev/checkpoint"

// maxLead is how far a checkpoint inside can be ahead of the host's, where the
// host's record was restored. One that is further ahead was made up by somebody.
const maxLead = 1 << 30

// idLength makes ids of two histories differ where their numbers do not.
const idLength = 10

// checkpoint is a point in the history of a control plane's data.
type checkpoint struct {
	number int64
	id     string
}

func (c checkpoint) String() string { return fmt.Sprintf("%d-%s", c.number, c.id) }

// next is a checkpoint after both.
func (c checkpoint) next(other checkpoint) checkpoint {
	return checkpoint{max(c.number, other.number) + 1, rand.String(idLength)}
}

// parseCheckpoint is false for what no syncer wrote.
func parseCheckpoint(s string) (checkpoint, bool) {
	digits, id, found := strings.Cut(s, "-")
	number, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || number <= 0 || number > math.MaxInt64/2 || len(id) != idLength {
		return checkpoint{}, false
	}
	return checkpoint{number, id}, true
}

// inside is what the control plane says about its data.
type inside struct {
	incarnation types.UID
	checkpoint  checkpoint
	// marked says that there is a checkpoint.
	marked bool
	// revision is the resourceVersion of the namespace kube-system, newest that of
	// all the data.
	revision, newest string
}

func insideOf(namespace *corev1.Namespace, newest string) inside {
	found, marked := parseCheckpoint(namespace.Annotations[annotationCheckpoint])
	return inside{namespace.UID, found, marked, namespace.ResourceVersion, newest}
}

// believed leaves out a checkpoint that no syncer can have left.
func (i inside) believed(known record) inside {
	if i.marked && i.checkpoint.number > known.checkpoint.number+maxLead {
		i.checkpoint, i.marked = checkpoint{}, false
	}
	return i
}

// record is what the host remembers of it.
type record struct {
	incarnation types.UID
	checkpoint  checkpoint
	// revision is the resourceVersion that the namespace got with the checkpoint.
	revision string
	// written is when the checkpoint was.
	written time.Time
	// decision is the value of AnnotationRecover that was acted on last. It is not
	// decided while that is unknown, as it is to a new record.
	decision string
	decided  bool
}

// Loss says that the data inside are not those that the host's objects stand for.
// It is an error for whoever needs them to be.
type Loss struct {
	// Reason is one of the reasons of the condition SyncerReady.
	Reason string
	// Message says what happened, in one sentence.
	Message string
}

// Error is the message.
func (l *Loss) Error() string { return l.Message }

// judge compares both sides; nil means that the data are the same.
func judge(found inside, known record) *Loss {
	if found.incarnation != known.incarnation {
		return replaced(known.incarnation, found.incarnation)
	}
	found = found.believed(known)
	if found.marked && (found.checkpoint == known.checkpoint || found.checkpoint.number > known.checkpoint.number) {
		return nil
	}
	if !found.marked && younger(found.revision, known.revision) {
		// Somebody took the annotation away.
		return nil
	}
	was := "there is none"
	if found.marked {
		was = "the last is number " + strconv.FormatInt(found.checkpoint.number, 10)
	}
	return &Loss{tenancyv1.ReasonDataOlder, fmt.Sprintf("The data of the control plane went back in time: the syncer wrote checkpoint number %d into them at %s, and now %s.",
		known.checkpoint.number, known.written.UTC().Format(time.RFC3339), was)}
}

func replaced(before, now types.UID) *Loss {
	return &Loss{tenancyv1.ReasonDataReplaced, fmt.Sprintf("The control plane's data do not belong to the host objects: "+
		"its namespace kube-system has the UID %s, and had %s before.", now, before)}
}

// younger compares resourceVersions of one control plane. It is false where one is unknown.
func younger(found, known string) bool {
	order, err := resourceversion.CompareResourceVersion(found, known)
	return err == nil && order > 0
}
