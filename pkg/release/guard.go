// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

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
		if !slices.Contains(g.kinds, kind) || info.Namespace != g.namespace || !slices.Contains(namesOf(kind.Kind, g.name), info.Name) {
			return nil, &manifestError{fmt.Errorf("manifest of release %s/%s holds %s %s/%s, which is no part of the chart",
				g.namespace, g.name, kind.Kind, info.Namespace, info.Name)}
		}
	}
	return resources, nil
}

// namesOf are the names that objects of a kind can have in a release: that of the
// release, or one for its workloads. No other release has any, since its name has no dot.
func namesOf(kind, release string) []string {
	switch kind {
	case "NetworkPolicy":
		return []string{release, release + ".workloads", release + ".policed"}
	case "ServiceAccount":
		return []string{release, release + ".workloads"}
	}
	return []string{release}
}

// Update changes and creates objects, after looking whose they are. Helm itself
// looks only at those that are new in a revision. And it goes from one object to
// the next: here all are looked at together, and what is missing is made together,
// kind by kind.
func (g *guard) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	missing, err := g.inspect(target)
	if err != nil {
		return nil, err
	}
	if len(missing) == 0 {
		return g.Client.Update(original, target, force)
	}
	created, err := g.Client.Create(missing)
	if err != nil {
		return &kube.Result{}, fmt.Errorf("failed to create resource: %w", err)
	}
	there := func(info *resource.Info) bool { return missing.Get(info) == nil }
	result, err := g.Client.Update(original.Filter(there), target.Filter(there), force)
	if result != nil {
		result.Created = append(created.Created, result.Created...)
	}
	return result, err
}

// DeleteWithPropagationPolicy deletes those of the objects that are the release's own.
func (g *guard) DeleteWithPropagationPolicy(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	var own kube.ResourceList
	var errs []error
	for _, info := range resources {
		switch _, err := g.inspect(kube.ResourceList{info}); {
		case err == nil:
			own = append(own, info)
		case !errors.Is(err, ErrForeign):
			errs = append(errs, err)
		}
	}
	result, more := g.Client.DeleteWithPropagationPolicy(own, policy)
	return result, append(errs, more...)
}

// inspect returns those of the objects that the host does not have, and an error
// when one that it has is somebody else's.
func (g *guard) inspect(resources kube.ResourceList) (missing kube.ResourceList, err error) {
	found, errs := make([]bool, len(resources)), make([]error, len(resources))
	var asked sync.WaitGroup
	for i, info := range resources {
		asked.Go(func() { found[i], errs[i] = g.inspectOne(info) })
	}
	asked.Wait()
	for i, info := range resources {
		if errs[i] == nil && !found[i] {
			missing = append(missing, info)
		}
	}
	return missing, errors.Join(errs...)
}

func (g *guard) inspectOne(info *resource.Info) (found bool, err error) {
	kind := info.Mapping.GroupVersionKind.Kind
	live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s %s/%s: %w", kind, info.Namespace, info.Name, err)
	}
	object, err := meta.Accessor(live)
	if err != nil {
		return false, err
	}
	if !owned(object, g.namespace, g.name) {
		return true, fmt.Errorf("%s %s/%s: %w", kind, info.Namespace, info.Name, ErrForeign)
	}
	return true, nil
}

func owned(object metav1.Object, namespace, name string) bool {
	return object.GetLabels()[managedByLabel] == managedByHelm &&
		object.GetAnnotations()[nameAnnotation] == name &&
		object.GetAnnotations()[namespaceAnnotation] == namespace
}
