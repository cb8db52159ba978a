// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package syncedtest is for tests. It lists host objects with all or some of the marks of a
// synced object, and says to whom they belong. Tests of every program that deletes by these
// marks use the same table.
package syncedtest

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// The virtual cluster that the table is about.
const (
	ID        = "0123456789"
	Namespace = "team"
)

// Row is an object of the host.
type Row struct {
	What   string
	Object metav1.ObjectMeta
	// Ours says that the syncer of the virtual cluster made it.
	Ours bool
}

// Table lists objects, each under a name of its own.
func Table() []Row {
	label := map[string]string{tenancyv1.LabelCluster: ID}
	name := map[string]string{tenancyv1.AnnotationVirtualName: "web"}
	in := func(object metav1.ObjectMeta, name string) metav1.ObjectMeta {
		object.Namespace, object.Name = Namespace, name
		return object
	}
	elsewhere := in(metav1.ObjectMeta{Labels: label, Annotations: name}, "elsewhere")
	elsewhere.Namespace = "other"
	nowhere := in(metav1.ObjectMeta{Labels: label, Annotations: name}, "nowhere")
	nowhere.Namespace = ""
	return []Row{
		{"an object with both marks", in(metav1.ObjectMeta{Labels: label, Annotations: name}, "synced"), true},
		{"one of cluster scope", nowhere, true},
		{"the label alone", in(metav1.ObjectMeta{Labels: label}, "labelled"), false},
		{"the annotation alone", in(metav1.ObjectMeta{Annotations: name}, "annotated"), false},
		{"neither", in(metav1.ObjectMeta{}, "plain"), false},
		{"an empty name inside", in(metav1.ObjectMeta{Labels: label, Annotations: map[string]string{tenancyv1.AnnotationVirtualName: ""}}, "nameless"), false},
		{"a name that no object can have", in(metav1.ObjectMeta{Labels: label, Annotations: map[string]string{tenancyv1.AnnotationVirtualName: strings.Repeat("x", 254)}}, "overlong"), false},
		{"the id of another virtual cluster", in(metav1.ObjectMeta{Labels: map[string]string{tenancyv1.LabelCluster: "ffffffffff"}, Annotations: name}, "of-another"), false},
		{"other annotations of a syncer", in(metav1.ObjectMeta{Labels: label, Annotations: map[string]string{
			tenancyv1.AnnotationVirtualUID: "u", tenancyv1.AnnotationVirtualNamespace: "default"}}, "described"), false},
		{"both marks in another namespace", elsewhere, false},
	}
}
