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

// Explanation tells of one object inside what is on the host for it, and why.
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
	// Host names the host object, also where it is yet to be made.
	Host *HostObject `json:"host,omitempty"`
	// Reasons say why there is no host object, or why it is not as the object inside asks.
	Reasons []Reason `json:"reasons,omitempty"`
	// Fields are compared one by one, in the order of their paths.
	Fields []Field `json:"fields,omitempty"`
	// Conditions are those that either side reports.
	Conditions []Condition `json:"conditions,omitempty"`
	// Events are those about the object, the latest last.
	Events []Event `json:"events,omitempty"`
	// Withheld says what is not told for want of a right inside.
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
	// Differs is OnHost, where a change inside is yet to reach the host, or is refused.
	Differs State = "Differs"
	// Refused objects are kept from the host.
	Refused State = "Refused"
	// Inside objects have no host object, and need none.
	Inside State = "Inside"
	// Pending objects are about to be made on the host.
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

// Verdict is what became of a field.
type Verdict string

const (
	// Copied fields have one value on both sides, because the host was asked for it.
	Copied Verdict = "Copied"
	// Translated fields have another value on the host, or another key, which the syncer chose.
	Translated Verdict = "Translated"
	// Added fields are on the written side alone, because the syncer asked for them.
	Added Verdict = "Added"
	// ChangedByHost fields are on the host as nobody inside asked for.
	ChangedByHost Verdict = "ChangedByHost"
	// Reported fields are the host's to decide, and are brought inside.
	Reported Verdict = "Reported"
	// Dropped fields are not carried to the other side.
	Dropped Verdict = "Dropped"
	// RefusedField fields keep their object from the host.
	RefusedField Verdict = "Refused"
	// NotCarried fields differ from what is asked for now.
	NotCarried Verdict = "NotCarried"
	// Kept fields of an object that is shown of the host were written inside, and are left alone.
	Kept Verdict = "Kept"
	// Unknown fields differ, and what would be asked for cannot be computed now.
	Unknown Verdict = "Unknown"
)

// Hidden stands for a value that is not told: a secret one, or one that only the host wrote.
const Hidden = "(hidden)"

// Field is what became of one field.
type Field struct {
	// Field is its path inside, or on the host where it is there alone. Items of lists and
	// maps stand in brackets, by their names where they have one.
	Field string `json:"field"`
	// HostField is its path on the host, where that is another.
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
