// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// annotationShownAs names, on an object inside with a mark, that object. Who copies one under
// another name copies the mark as well, and has an object of their own nevertheless.
const annotationShownAs = "garret.dev/shown-as"

// isShown says whether an object inside stands for one of the host: the label has the value, and
// the annotation, if there is one, names the object.
func isShown(object metav1.Object, label, value string) bool {
	as, named := object.GetAnnotations()[annotationShownAs]
	return object.GetLabels()[label] == value && (!named || as == shownAs(object))
}

// namesItself is isShown for what must not be deleted by a label alone: the annotation is there, too.
func (b *builder) namesItself(object *unstructured.Unstructured) bool {
	return object.GetAnnotations()[annotationShownAs] != "" && isShown(object, tenancyv1.LabelCluster, b.Translator.Cluster().ID)
}

// shownCleared deletes inside what was shown of a kind of the host that is off now.
func (b *builder) shownCleared(name string) {
	row, known := tenancyv1.CataloguedKind(name)
	if !known || row.Direction != tenancyv1.FromHost || name == tenancyv1.ResourceEvents || b.Rules.Virtual == nil {
		return
	}
	shown := engine.NewDynamicStore(b.Virtual.Informers, row.GroupVersionResource(), "", b.Rules.Virtual,
		engine.StoreOptions{LabelSelector: tenancyv1.LabelCluster + "=" + b.Translator.Cluster().ID})
	b.engine.AddTask(func(ctx context.Context) { engine.Clear(ctx, shown, b.namesItself) })
}

// show has an object inside stand for one of the host.
func show(object metav1.Object, label, value string) {
	labels, annotations := maps.Clone(object.GetLabels()), maps.Clone(object.GetAnnotations())
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[label], annotations[annotationShownAs] = value, shownAs(object)
	object.SetLabels(labels)
	object.SetAnnotations(annotations)
}

func shownAs(object metav1.Object) string { return engine.KeyOf(object).String() }

// onlyShownAs is what a cache without annotations has to keep of them.
func onlyShownAs(object metav1.Object) map[string]string {
	as, named := object.GetAnnotations()[annotationShownAs]
	if !named {
		return nil
	}
	return map[string]string{annotationShownAs: as}
}
