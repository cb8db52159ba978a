// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// GroupName and Version are the API's.
const (
	GroupName = "explain.garret.dev"
	Version   = "v1alpha1"
	Kind      = "Explanation"
	// Path is where the API is served.
	Path = "/apis/" + GroupName + "/" + Version
)

// Explanation says which host object belongs to one object inside, and why it is as it is.
type Explanation struct {
	metav1.TypeMeta `json:",inline"`
	// Metadata name the object inside.
	metav1.ObjectMeta `json:"metadata"`
	// Resource is the object's kind, such as ingresses.networking.k8s.io.
	Resource string `json:"resource"`
	// Direction says which side is written: ToHost or FromHost.
	Direction Direction `json:"direction"`
	// State says whether there is a host object.
	State State `json:"state"`
	// Host names the host object, even before it exists.
	Host *HostObject `json:"host,omitempty"`
	// Reasons say why there is no host object, or why it differs from what the object inside
	// asks for.
	Reasons []Reason `json:"reasons,omitempty"`
	// Fields are compared one by one, in the order of their paths.
	Fields []Field `json:"fields,omitempty"`
	// Conditions are those that either side reports.
	Conditions []Condition `json:"conditions,omitempty"`
	// Events are those about the object, the latest last.
	Events []Event `json:"events,omitempty"`
	// Withheld says what is left out because the caller lacks a right inside.
	Withheld string `json:"withheld,omitempty"`
}

// Direction says which side is written.
type Direction string

// Directions of a kind.
const (
	ToHost   Direction = "ToHost"
	FromHost Direction = "FromHost"
)

// State says whether there is a host object.
type State string

const (
	// OnHost objects are on both sides.
	OnHost State = "OnHost"
	// Differs is OnHost, where the host does not have a change inside yet, or refuses it.
	Differs State = "Differs"
	// Refused objects do not reach the host.
	Refused State = "Refused"
	// Inside objects have no host object, and need none.
	Inside State = "Inside"
	// Pending objects do not exist on the host yet.
	Pending State = "Pending"
)

// HostObject names an object of the host.
type HostObject struct {
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid,omitempty"`
}

// Reason is why something does not reach the host.
type Reason struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Verdict is what happened to a field.
type Verdict string

const (
	// Copied fields have the same value on both sides, because the syncer copied it.
	Copied Verdict = "Copied"
	// Translated fields have another value on the host, or another key, which the syncer chose.
	Translated Verdict = "Translated"
	// Added fields exist only on the written side, because the syncer added them.
	Added Verdict = "Added"
	// ChangedByHost fields have a value on the host that nobody inside asked for.
	ChangedByHost Verdict = "ChangedByHost"
	// Reported fields are decided by the host, and copied inside.
	Reported Verdict = "Reported"
	// Dropped fields are not copied to the other side.
	Dropped Verdict = "Dropped"
	// RefusedField fields keep their object from the host.
	RefusedField Verdict = "Refused"
	// NotCarried fields differ from what is asked for now.
	NotCarried Verdict = "NotCarried"
	// Kept fields were written inside, on an object of the host that is shown there, and the
	// syncer leaves them alone.
	Kept Verdict = "Kept"
	// Unknown fields differ, and the syncer cannot compute now what it would set.
	Unknown Verdict = "Unknown"
)

// Hidden stands for a value that the syncer does not show: a secret one, or one that only the
// host wrote.
const Hidden = "(hidden)"

// Field is what happened to one field.
type Field struct {
	// Field is its path inside, or on the host where only that has it. Items of lists and maps
	// are in brackets, by their names where they have one.
	Field string `json:"field"`
	// HostField is its path on the host, where that differs.
	HostField string  `json:"hostField,omitempty"`
	Verdict   Verdict `json:"verdict"`
	// Inside and Host are the values: texts as they are, everything else in JSON.
	// An empty one is missing, or an empty text.
	Inside string `json:"inside,omitempty"`
	Host   string `json:"host,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Side is where something was said.
type Side string

// Sides of an object.
const (
	SideInside Side = "inside"
	SideHost   Side = "host"
)

// Condition is one that a side reports.
type Condition struct {
	Side    Side   `json:"side"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Event is one about the object.
type Event struct {
	Side    Side        `json:"side"`
	Type    string      `json:"type"`
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
	Count   int32       `json:"count,omitempty"`
	Last    metav1.Time `json:"last"`
}
