// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/lru"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

const (
	// reasonAnnotations is the reason of Events about annotations that stay inside.
	reasonAnnotations = "AnnotationsLeftOut"
	// knownNotices is how many notices the syncer remembers to have given.
	knownNotices = 10_000
)

// Marker writes the metadata of host objects, and holds what else is decided about them.
type Marker struct {
	Translator *translate.Translator
	Metadata   isolation.Metadata
	// rules have labels and annotations for all pods.
	rules podRules
	// Exceptions are what the host's administrator opens to the tenant.
	Exceptions isolation.Exceptions
	// EmbeddedDNS says that the syncer answers names itself.
	EmbeddedDNS bool
	// notices tell what stays inside; nil tells nobody.
	notices *notices
}

// mark gives the twin of a virtual object who it is, what of the tenant's metadata
// travels, and further annotations of the syncer's own.
func (m Marker) mark(resource string, virtual, host engine.Object, annotations map[string]string) {
	passed, leftOut := m.Metadata.Annotations(resource, virtual.GetNamespace(), virtual.GetAnnotations(), func(secret string) string {
		return m.Translator.HostName(virtual.GetNamespace(), secret)
	})
	labels := m.Metadata.Labels(resource, virtual.GetLabels())
	if resource == tenancyv1.ResourcePods {
		// What a pod says of itself must not stand in their place.
		labels, passed = with(labels, m.rules.Labels), with(passed, m.rules.Annotations)
	}
	translate.Pass(host, labels, passed)
	m.Translator.Mark(host, translate.IdentityFor(virtual), virtual.GetLabels(), annotations)
	if m.notices == nil || virtual.GetUID() == "" {
		return
	}
	message := ""
	if len(leftOut) > 0 {
		message = fmt.Sprintf("The syncer does not copy the annotations %s to the host: an administrator of the host can add them to spec.isolation.allowedAnnotations of HostCluster local", strings.Join(leftOut, ", "))
	}
	m.notices.tell(virtual, reasonAnnotations, message)
}

// notices are Events on objects inside, each given when it says something new.
type notices struct {
	recorder record.EventRecorder
	told     *lru.Cache
}

func newNotices(recorder record.EventRecorder) *notices {
	return &notices{recorder: recorder, told: lru.New(knownNotices)}
}

// notice is what the last Event of a reason was about.
type notice struct {
	uid    types.UID
	reason string
}

// tell puts an Event on the object when the message is another one than before. An
// empty message says that there is nothing to tell any more.
func (n *notices) tell(virtual engine.Object, reason, message string) {
	key := notice{virtual.GetUID(), reason}
	before, _ := n.told.Get(key)
	n.told.Add(key, message)
	if message != "" && before != message {
		n.recorder.Event(virtual, corev1.EventTypeWarning, reason, message)
	}
}
