// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Annotation holds the Record of a host pod.
const Annotation = "garret.dev/containers"

// List is one of the three lists of containers in a pod's spec, by the name of the field.
type List string

// Lists of a pod's spec.
const (
	Main      List = "containers"
	Init      List = "initContainers"
	Ephemeral List = "ephemeralContainers"
)

// Record holds the names of the containers that the syncer asked for, by list.
type Record map[List][]string

// RecordOf reads what the host pod remembers. A pod that remembers nothing is about
// to be made, or was made by an earlier syncer. It has then what the pod inside was made
// with, which cannot change there; where ephemeral containers came from is not known.
func RecordOf(virtual, host *corev1.Pod) Record {
	if record := parse(host.Annotations[Annotation]); record != nil {
		return record
	}
	made := named(&virtual.Spec)
	delete(made, Ephemeral)
	return made
}

// With is the record with one more ephemeral container.
func (r Record) With(ephemeral string) Record {
	if r.has(Ephemeral, ephemeral) {
		return r
	}
	more := maps.Clone(r)
	more[Ephemeral] = append(slices.Clone(r[Ephemeral]), ephemeral)
	return more
}

// String is the annotation.
func (r Record) String() string {
	// Lists of names can always be written.
	text, _ := json.Marshal(r)
	return string(text)
}

func (r Record) has(list List, name string) bool { return slices.Contains(r[list], name) }

// parse returns nil for an annotation that is missing or that somebody has spoilt.
func parse(annotation string) Record {
	var record Record
	if json.Unmarshal([]byte(annotation), &record) != nil {
		return nil
	}
	return record
}

// named lists the names of the containers of a pod.
func named(spec *corev1.PodSpec) Record {
	names := Record{}
	for i := range spec.InitContainers {
		names[Init] = append(names[Init], spec.InitContainers[i].Name)
	}
	for i := range spec.Containers {
		names[Main] = append(names[Main], spec.Containers[i].Name)
	}
	for i := range spec.EphemeralContainers {
		names[Ephemeral] = append(names[Ephemeral], spec.EphemeralContainers[i].Name)
	}
	return names
}
