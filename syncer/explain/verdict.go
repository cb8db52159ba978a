// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/syncer/isolation"
)

// Why a field has a verdict, where no table of isolation says it.
const (
	whyName        = "no two virtual clusters have the same name on the host"
	whyNamespace   = "all synced objects are in the namespace of the virtual cluster"
	whyKey         = "it has another key on the host, so that no selector of the host matches it"
	whyAnnotation  = "the syncer copies no annotations with this key; the host's administrator can allow it in the HostCluster"
	whyMetadata    = "only the API server inside uses it"
	whyTranslated  = "the syncer translates it to the host's names, or by the host's rules"
	whyAdded       = "the syncer adds it"
	whyOwn         = "the syncer keeps its records in it"
	whyAnswered    = "the host's admission changed what the syncer wrote, and the change stays"
	whyHosts       = "the syncer did not set it: the host did"
	whyTaken       = "the syncer set it when it created the object, and the host does not have it"
	whySettled     = "nobody can change it after creation; the syncer would set another value now"
	whyOthers      = "the host added some; the syncer does not show them inside"
	whyReported    = "the host decides it, and the syncer copies it inside"
	whyDropped     = "nothing on the host needs it"
	whyNotYet      = "the host does not have it yet"
	whyTakenBack   = "the syncer reverts it with its next write"
	whyUnknown     = "the syncer cannot compute now what it would set"
	whyStays       = "it stays on the host"
	whyShown       = "the syncer computes it from what the host reports"
	whyWrittenHere = "somebody inside wrote it, and the syncer leaves it alone"
	whyPutBack     = "the syncer reverts it"
)

// toHost judges a field of a kind whose host object follows from the one inside.
func (c *comparison) toHost(at place, f four) v1alpha1.Field {
	field := v1alpha1.Field{Inside: text(f.inside), Host: text(f.host)}
	if !c.known(f, f.host) {
		conceal(&field.Host)
	}
	field.Verdict, field.Why = c.verdict(at, f)
	return field
}

// known tells whether a value on the host is the tenant's, or was asked for on its behalf,
// or can be about nobody.
func (c *comparison) known(f four, value any) bool {
	return harmless(value) || reflect.DeepEqual(value, f.inside) || reflect.DeepEqual(value, f.asked)
}

func (c *comparison) verdict(at place, f four) (v1alpha1.Verdict, string) {
	same := reflect.DeepEqual(f.inside, f.host)
	switch {
	case !reflect.DeepEqual(f.next, f.host) && c.answered(at):
		return v1alpha1.ChangedByHost, whyAnswered
	case !reflect.DeepEqual(f.next, f.host) && f.next == nil:
		return v1alpha1.NotCarried, whyTakenBack
	case !reflect.DeepEqual(f.next, f.host):
		return v1alpha1.NotCarried, whyNotYet
	case at.own:
		return v1alpha1.Added, whyOwn
	case c.look.Asked == nil && !same:
		return v1alpha1.Unknown, whyUnknown
	case f.inside != nil && f.asked == nil && (f.host == nil || at.decision == isolation.LeftOut):
		return v1alpha1.Dropped, c.why(at, whyDropped)
	case f.host == nil:
		return v1alpha1.ChangedByHost, whyTaken
	case same && f.asked == nil:
		return v1alpha1.Reported, whyReported
	case same && at.rekeyed:
		return v1alpha1.Translated, whyKey
	case same:
		return v1alpha1.Copied, ""
	case f.asked == nil:
		return v1alpha1.ChangedByHost, whyHosts
	case !reflect.DeepEqual(f.asked, f.host):
		return v1alpha1.ChangedByHost, whySettled
	case f.inside == nil:
		return v1alpha1.Added, c.why(at, whyAdded)
	}
	return v1alpha1.Translated, c.why(at, whyTranslated)
}

// answered tells whether the host's admission made something else of the field.
func (c *comparison) answered(at place) bool {
	return slices.ContainsFunc(c.look.Answered, func(field string) bool {
		rest, within := strings.CutPrefix(at.host, field)
		return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// why is the reason that isolation gives, or that of metadata, or the one given.
func (c *comparison) why(at place, otherwise string) string {
	metadata, is := strings.CutPrefix(at.inside, "metadata.")
	switch {
	case at.why != "":
		return at.why
	case !is:
		return otherwise
	case metadata == "name":
		return whyName
	case metadata == "namespace":
		return whyNamespace
	case otherwise == whyDropped && strings.HasPrefix(metadata, "annotations["):
		return whyAnnotation
	case otherwise == whyDropped:
		return whyMetadata
	}
	return otherwise
}

// fromHost judges a field of a kind whose object inside follows from what the host has.
func (c *comparison) fromHost(at place, f four) v1alpha1.Field {
	field := v1alpha1.Field{Inside: text(f.inside), Host: text(f.host)}
	if !c.known(f, f.host) {
		conceal(&field.Host)
	}
	same := reflect.DeepEqual(f.inside, f.host)
	switch {
	case !reflect.DeepEqual(f.next, f.inside):
		field.Verdict, field.Why = v1alpha1.NotCarried, whyPutBack
	case f.inside == nil:
		field.Verdict, field.Why = v1alpha1.Dropped, whyStays
	case !reflect.DeepEqual(f.asked, f.inside):
		field.Verdict, field.Why = v1alpha1.Kept, whyWrittenHere
	case same:
		field.Verdict = v1alpha1.Copied
	case f.host == nil:
		field.Verdict, field.Why = v1alpha1.Added, whyShown
	default:
		field.Verdict, field.Why = v1alpha1.Translated, whyShown
	}
	return field
}

// isSecret tells whether the values of the field are nobody's to read here.
func (c *comparison) isSecret(at place) bool {
	if _, is := c.look.Virtual.(*corev1.Secret); !is {
		return false
	}
	return !strings.HasPrefix(at.inside, "metadata.") && at.inside != "type" && at.inside != "immutable" || strings.HasPrefix(at.inside, "metadata.annotations")
}
