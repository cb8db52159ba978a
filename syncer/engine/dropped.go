// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ReasonDropped is the reason of Events about fields that the host left out of what it was asked for.
const ReasonDropped = "HostDroppedFields"

// tellDropped makes an Event for fields that are not in what the host made of the object. An API server
// silently drops fields that its minor does not know, or that a feature gate of its own closes.
func (t *Twin[T]) tellDropped(virtual, sent, made T) {
	fields := dropped(sent, made)
	if len(fields) == 0 {
		return
	}
	t.recorder.Event(virtual, corev1.EventTypeWarning, ReasonDropped, t.readableNames(virtual).Replace(fmt.Sprintf(
		"the host cluster left out %s: its version does not know the field, or its administrator keeps it out; the rest of the object is there",
		strings.Join(fields, ", "))))
}

// readableNames replaces names of the host with those that the tenant gave.
func (t *Twin[T]) readableNames(virtual T) *strings.Replacer {
	names := []string{virtual.GetName()}
	if referrer, ok := t.kind.(Referrer[T]); ok {
		names = append(names, referrer.References(virtual)...)
	}
	return t.translator.Readable(virtual.GetNamespace(), names...)
}

// dropped are the paths of the fields of the spec that were sent and of which nothing was made.
func dropped(sent, made Object) []string {
	before, err := runtime.DefaultUnstructuredConverter.ToUnstructured(sent)
	if err != nil {
		return nil
	}
	after, err := runtime.DefaultUnstructuredConverter.ToUnstructured(made)
	if err != nil {
		return nil
	}
	return missing("spec", before["spec"], after["spec"])
}

// missing are the paths below one of what is in sent and not in made. Of lists, it compares items of the
// same name, and lists of other items only where both have as many: the host's admission may add some.
func missing(path string, sent, made any) []string {
	var paths []string
	switch sent := sent.(type) {
	case map[string]any:
		made, _ := made.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(sent)) {
			value, kept := made[key]
			switch at := path + "." + key; {
			case kept:
				paths = append(paths, missing(at, sent[key], value)...)
			case !isNothing(sent[key]):
				paths = append(paths, at)
			}
		}
	case []any:
		made, _ := made.([]any)
		for i, item := range sent {
			name, named := nameIn(item)
			at := slices.IndexFunc(made, func(other any) bool {
				of, is := nameIn(other)
				return named && is && of == name
			})
			switch {
			case at >= 0:
				paths = append(paths, missing(fmt.Sprintf("%s[%s]", path, name), item, made[at])...)
			case !named && len(made) == len(sent):
				paths = append(paths, missing(fmt.Sprintf("%s[%d]", path, i), item, made[i])...)
			}
		}
	}
	return paths
}

// nameIn is the name of an item of a list.
func nameIn(item any) (string, bool) {
	fields, _ := item.(map[string]any)
	name, is := fields["name"].(string)
	return name, is
}

// isNothing tells whether a value is as good as none. A false or a zero that is written down is not.
func isNothing(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return value == nil
}
