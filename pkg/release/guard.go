// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
)

// The marks by which Helm knows the objects of a release.
const (
	managedByLabel      = "app.kubernetes.io/managed-by"
	managedByHelm       = "Helm"
	nameAnnotation      = "meta.helm.sh/release-name"
	namespaceAnnotation = "meta.helm.sh/release-namespace"
)

// ErrForeign says that an object of somebody else's stands where one of the
// release should be.
var ErrForeign = errors.New("an object of this name exists and is not part of the release: rename or delete it")

// manifestError says that a manifest is not one of the chart. The chart's own always
// is, so it is about a record.
type manifestError struct{ err error }

func (e *manifestError) Error() string { return e.err.Error() }
func (e *manifestError) Unwrap() error { return e.err }

// guard is Helm's client, restricted to the objects that one release can have.
type guard struct {
	*kube.Client
	kinds           kinds
	namespace, name string
}

var (
	_ kube.Interface                    = (*guard)(nil)
	_ kube.InterfaceDeletionPropagation = (*guard)(nil)
)

// IsReachable is asked by Helm before each action; the action's own requests tell
// as well.
func (g *guard) IsReachable() error { return nil }

// Build reads a manifest: the chart's, or one from a record that may be forged.
func (g *guard) Build(reader io.Reader, validate bool) (kube.ResourceList, error) {
	resources, err := g.Client.Build(reader, validate)
	if err != nil {
		// Building asks the host nothing, so it is the manifest.
		return nil, &manifestError{err}
	}
	for _, info := range resources {
		kind := info.Mapping.GroupVersionKind
		if !slices.Contains(g.kinds, kind) || info.Namespace != g.namespace || info.Name != g.name {
			return nil, &manifestError{fmt.Errorf("manifest of release %s/%s holds %s %s/%s, which is no part of the chart",
				g.namespace, g.name, kind.Kind, info.Namespace, info.Name)}
		}
	}
	return resources, nil
}

// Update changes and creates objects, after looking whose they are. Helm itself
// looks only at those that are new in a revision.
func (g *guard) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	if err := g.checkOwned(target); err != nil {
		return nil, err
	}
	return g.Client.Update(original, target, force)
}

// DeleteWithPropagationPolicy deletes those of the objects that are the release's own.
func (g *guard) DeleteWithPropagationPolicy(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	var own kube.ResourceList
	var errs []error
	for _, info := range resources {
		switch err := g.checkOwned(kube.ResourceList{info}); {
		case err == nil:
			own = append(own, info)
		case !errors.Is(err, ErrForeign):
			errs = append(errs, err)
		}
	}
	result, more := g.Client.DeleteWithPropagationPolicy(own, policy)
	return result, append(errs, more...)
}

func (g *guard) checkOwned(resources kube.ResourceList) error {
	for _, info := range resources {
		live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s %s/%s: %w", info.Mapping.GroupVersionKind.Kind, info.Namespace, info.Name, err)
		}
		object, err := meta.Accessor(live)
		if err != nil {
			return err
		}
		if !owned(object, g.namespace, g.name) {
			return fmt.Errorf("%s %s/%s: %w", info.Mapping.GroupVersionKind.Kind, info.Namespace, info.Name, ErrForeign)
		}
	}
	return nil
}

func owned(object metav1.Object, namespace, name string) bool {
	return object.GetLabels()[managedByLabel] == managedByHelm &&
		object.GetAnnotations()[nameAnnotation] == name &&
		object.GetAnnotations()[namespaceAnnotation] == namespace
}
