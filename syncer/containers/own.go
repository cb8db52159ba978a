// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Reasons why a container inside is not on the host.
const (
	// ReasonOccupied is that of a container whose name one of the host's has.
	ReasonOccupied = "NameOccupied"
	// ReasonRemoved is that of a container which the host took out of the pod.
	ReasonRemoved = "RemovedByHost"
)

// hostContainer stands in messages for the name of a container of the host. No
// container can have it for its own name.
const hostContainer = "(host-container)"

// word is what may be the name of a container, with what makes it part of something
// longer, as the path of an image.
var word = regexp.MustCompile(`[A-Za-z0-9_./:@-]+`)

// place is how the kubelet names a container in an Event's field path.
var place = regexp.MustCompile(`^spec\.(initContainers|containers|ephemeralContainers)\{([^}]+)\}$`)

// InFieldPath returns the container that the field path of an Event names.
func InFieldPath(path string) (List, string, bool) {
	parts := place.FindStringSubmatch(path)
	if parts == nil {
		return "", "", false
	}
	return List(parts[1]), parts[2], true
}

// Own tells the containers that are on both sides of a pod from those on one side alone.
type Own struct {
	// own are the tenant's by name: no two containers of a pod have the same.
	own map[string]List
	// host has the names of the others that the host pod has.
	host   map[string]bool
	absent []Absent
}

// Absent is a container inside that the host pod does not have, and will not get.
type Absent struct {
	List List
	Name string
	// Reason and Message are for the tenant.
	Reason, Message string
}

// OwnOf compares a pod inside with its host pod, and what that remembers.
func OwnOf(virtual, host *corev1.Pod) *Own { return RecordOf(virtual, host).Own(virtual, host) }

// Own compares a pod inside with its host pod, of which the record tells what was asked for.
func (r Record) Own(virtual, host *corev1.Pod) *Own {
	inside := named(&virtual.Spec)
	o := &Own{own: map[string]List{}, host: map[string]bool{}}
	for list, names := range named(&host.Spec) {
		for _, name := range names {
			if inside.has(list, name) && r.has(list, name) {
				o.own[name] = list
			} else {
				o.host[name] = true
			}
		}
	}
	for _, list := range []List{Init, Main} {
		for _, name := range inside[list] {
			switch {
			case o.Has(list, name):
			case o.host[name]:
				o.lacks(list, name, ReasonOccupied, "the host cluster's admission added another container of that name to the pod there")
			default:
				o.lacks(list, name, ReasonRemoved, "the host cluster's admission removed it from the pod there")
			}
		}
	}
	for i := range virtual.Spec.EphemeralContainers {
		name, target := virtual.Spec.EphemeralContainers[i].Name, virtual.Spec.EphemeralContainers[i].TargetContainerName
		_, targeted := o.own[target]
		switch {
		case o.Has(Ephemeral, name):
		case o.host[name]:
			o.lacks(Ephemeral, name, ReasonOccupied, "the host cluster has added a container of that name to the pod there: choose another name")
		case target != "" && !targeted:
			// It would share the processes of a container of the host.
			o.lacks(Ephemeral, name, ReasonRemoved, "its targetContainerName "+target+" is not one of this pod's own containers on the host cluster: choose another target")
		}
	}
	return o
}

func (o *Own) lacks(list List, name, reason, why string) {
	o.absent = append(o.absent, Absent{list, name, reason, fmt.Sprintf("spec.%s{%s}: %s", list, name, why)})
}

// Has says whether the container is the tenant's, in this list.
func (o *Own) Has(list List, name string) bool { return o.own[name] == list }

// Find returns the list in which the tenant's container of this name is.
func (o *Own) Find(name string) (List, bool) {
	list, found := o.own[name]
	return list, found
}

// Absent are the containers inside that the host pod does not have, and will not get.
// An ephemeral one that is yet to be asked for is not among them.
func (o *Own) Absent() []Absent { return o.absent }

// Lacks returns the absent container of this name.
func (o *Own) Lacks(name string) (Absent, bool) {
	for _, absent := range o.absent {
		if absent.Name == name {
			return absent, true
		}
	}
	return Absent{}, false
}

// HostOnly says whether the host has containers in the pod that are not the tenant's.
func (o *Own) HostOnly() bool { return len(o.host) > 0 }

// Conceal takes the names of the host's own containers out of a message of the host.
func (o *Own) Conceal(message string) string {
	if len(o.host) == 0 || message == "" {
		return message
	}
	return word.ReplaceAllStringFunc(message, func(found string) string {
		// What ends a sentence or leads on belongs to no name.
		name := strings.TrimRight(found, ".:")
		if !o.host[name] {
			return found
		}
		return hostContainer + found[len(name):]
	})
}
