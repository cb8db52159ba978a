// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/syncer/engine"
)

// Reasons that are none of the engine's.
const (
	reasonNotWanted = "NotWanted"
	reasonSettled   = "NotMadeAnew"
)

// Of returns the explanation of an object that was looked at, but for its Events.
func Of(look *engine.Look) (*v1alpha1.Explanation, error) {
	e := &v1alpha1.Explanation{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupName + "/" + v1alpha1.Version, Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: look.Virtual.GetNamespace(), Name: look.Virtual.GetName(),
			UID: look.Virtual.GetUID(), CreationTimestamp: look.Virtual.GetCreationTimestamp()},
		Resource:  look.Resource.GroupResource().String(),
		Direction: v1alpha1.ToHost,
	}
	if look.FromHost {
		e.Direction = v1alpha1.FromHost
	}
	if look.HostKey.Name != "" {
		e.Host = &v1alpha1.HostObject{Namespace: look.HostKey.Namespace, Name: look.HostKey.Name}
	}
	if look.Host != nil {
		e.Host.UID = look.Host.GetUID()
	}
	e.Reasons = reasons(look)
	if look.Host != nil || look.FromHost && look.Asked != nil {
		fields, err := compare(look)
		if err != nil {
			return nil, err
		}
		e.Fields = fields
	}
	for _, told := range look.Told {
		for _, field := range told.Fields {
			e.Fields = append(e.Fields, v1alpha1.Field{Field: field.Path, Verdict: v1alpha1.RefusedField, Why: field.Why})
		}
	}
	e.State = state(look, e.Fields)
	if e.State == v1alpha1.Inside {
		e.Host = nil
	}
	e.Conditions = conditions(look)
	return e, nil
}

func reasons(look *engine.Look) []v1alpha1.Reason {
	var all []v1alpha1.Reason
	if look.Unwanted != "" {
		all = append(all, v1alpha1.Reason{Reason: reasonNotWanted, Message: look.Unwanted})
	}
	for _, told := range look.Told {
		all = append(all, v1alpha1.Reason{Reason: told.Reason, Message: told.Message})
	}
	if look.Unasked != "" {
		all = append(all, v1alpha1.Reason{Reason: reasonSettled, Message: "the syncer could not create it now: " + look.Unasked})
	}
	return all
}

func state(look *engine.Look, fields []v1alpha1.Field) v1alpha1.State {
	there := look.Host != nil || look.FromHost && look.Asked != nil
	differs := slices.ContainsFunc(fields, func(field v1alpha1.Field) bool {
		return field.Verdict == v1alpha1.NotCarried || field.Verdict == v1alpha1.RefusedField
	})
	switch {
	case !there && look.Unwanted != "":
		return v1alpha1.Inside
	case !there && slices.ContainsFunc(look.Told, func(told engine.Told) bool { return told.Reason != engine.ReasonWaiting }):
		return v1alpha1.Refused
	case !there:
		return v1alpha1.Pending
	case differs, look.Unwanted != "", len(look.Told) > 0:
		return v1alpha1.Differs
	}
	return v1alpha1.OnHost
}

// conditions are those of both sides. What the host says is put as the tenant knows it.
func conditions(look *engine.Look) []v1alpha1.Condition {
	all := conditionsOf(v1alpha1.SideInside, look.Virtual, func(message string) string { return message })
	// A host object of a kind that the host drives may tell of what others have there.
	if look.Host != nil && !look.FromHost {
		all = append(all, conditionsOf(v1alpha1.SideHost, look.Host, look.Readable)...)
	}
	return all
}

func conditionsOf(side v1alpha1.Side, object engine.Object, readable func(string) string) []v1alpha1.Condition {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil
	}
	var all []v1alpha1.Condition
	for _, item := range items(valueOf(content["status"], "conditions")) {
		all = append(all, v1alpha1.Condition{Side: side, Type: text(valueOf(item, "type")), Status: text(valueOf(item, "status")),
			Reason: text(valueOf(item, "reason")), Message: readable(text(valueOf(item, "message")))})
	}
	return all
}
