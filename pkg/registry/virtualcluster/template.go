// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/template"
)

// Templates reads the templates that virtual clusters are made from.
type Templates interface {
	rest.Getter
	// Default returns the template that is marked as default, or nil.
	Default(ctx context.Context) (*tenancy.VirtualClusterTemplate, error)
}

// completer completes the specs that clients send. It works between mutating
// and validating admission: what clients and policies have set is complete then,
// nobody can change afterwards what a template forces, and policies judge the
// whole. For server-side apply, nobody owns the fields that are filled in here.
type completer struct {
	templates Templates
	hosts     rest.Getter
}

// outcome is what becomes of the template in one write. It travels in the
// context from the completer to the strategy, which writes the status.
type outcome struct {
	// template is what is recorded, nil for none.
	template *tenancy.TemplateStatus
	// applied says that the template has been resolved by this write.
	applied bool
}

type outcomeKey struct{}

func withOutcome(ctx context.Context) (context.Context, *outcome) {
	o := &outcome{}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

func outcomeFrom(ctx context.Context) *outcome {
	o, _ := ctx.Value(outcomeKey{}).(*outcome)
	return o
}

var (
	specPath     = field.NewPath("spec")
	templatePath = specPath.Child("templateRef")
)

// create completes the spec of a new virtual cluster.
func (c *completer) create(ctx context.Context, vc *tenancy.VirtualCluster) (outcome, error) {
	if vc.Spec.TemplateRef == nil {
		ref, err := c.standard(ctx, vc)
		if err != nil {
			return outcome{}, err
		}
		vc.Spec.TemplateRef = ref
	}
	resolved, err := c.resolve(ctx, vc)
	if err != nil {
		return outcome{}, err
	}
	errs := template.Apply(&vc.Spec, template.Write{Now: resolved}, specPath)
	return outcome{template: resolved, applied: true}, c.bound(ctx, vc, nil, errs)
}

// update completes a changed spec. A template that has been chosen stays chosen,
// and is applied as it was recorded: what has become of it since never gets in the
// way of a write. It is applied again when the write asks for that, by another
// reference or by following from now on, and when the controller makes a write
// that says nothing, which is how later changes arrive.
func (c *completer) update(ctx context.Context, vc, old *tenancy.VirtualCluster, manager string) (outcome, error) {
	recorded := old.Status.Template
	if vc.Spec.TemplateRef == nil {
		vc.Spec.TemplateRef = old.Spec.TemplateRef.DeepCopy()
	}
	same := equality.Semantic.DeepEqual(vc.Spec, old.Spec)
	arrives := same && follows(vc) && manager == v1.FieldManagerController && old.DeletionTimestamp == nil && !metadataDiffers(vc, old)
	if same && !arrives {
		return outcome{template: recorded}, nil
	}
	now, again := recorded, arrives || !sameTemplate(vc.Spec.TemplateRef, old.Spec.TemplateRef) || follows(vc) && !follows(old)
	if again {
		var err error
		if now, err = c.resolve(ctx, vc); err != nil {
			return outcome{}, err
		}
	}
	errs := template.Apply(&vc.Spec, template.Write{Old: &old.Spec, Before: recorded, Now: now}, specPath)
	return outcome{template: now, applied: again}, c.bound(ctx, vc, &old.Spec, errs)
}

// bound holds the completed spec to the bounds of its host cluster, and adds to errs.
func (c *completer) bound(ctx context.Context, vc *tenancy.VirtualCluster, old *tenancy.VirtualClusterSpec, errs field.ErrorList) error {
	host, err := hostCluster(ctx, c.hosts, vc)
	if err != nil {
		return err
	}
	return invalid(vc, slices.Concat(errs, bound(&vc.Spec, old, host), boundStorage(&vc.Spec, old, vc.Namespace, host)))
}

// follows says whether later changes of the template are asked for.
func follows(vc *tenancy.VirtualCluster) bool {
	return vc.Spec.TemplateRef != nil && vc.Spec.TemplateRef.Sync
}

// standard is the reference that a virtual cluster gets that has none: the one
// of its host cluster, or else the template that is marked as default.
func (c *completer) standard(ctx context.Context, vc *tenancy.VirtualCluster) (*tenancy.TemplateReference, error) {
	host, err := hostCluster(ctx, c.hosts, vc)
	if err != nil {
		return nil, err
	}
	if host != nil && host.Spec.DefaultTemplateRef != nil {
		ref := host.Spec.DefaultTemplateRef
		return &tenancy.TemplateReference{Name: ref.Name, Version: ref.Version}, nil
	}
	chosen, err := c.templates.Default(clusterScoped(ctx))
	if err != nil || chosen == nil {
		return nil, err
	}
	return &tenancy.TemplateReference{Name: chosen.Name}, nil
}

// resolve returns nil where no template is asked for.
func (c *completer) resolve(ctx context.Context, vc *tenancy.VirtualCluster) (*tenancy.TemplateStatus, error) {
	ref := vc.Spec.TemplateRef
	if ref == nil || ref.Name == "" {
		return nil, nil
	}
	obj, err := c.templates.Get(clusterScoped(ctx), ref.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, invalid(vc, field.ErrorList{field.Invalid(templatePath.Child("name"), ref.Name,
			"there is no VirtualClusterTemplate of this name: name another, or none by an empty name")})
	}
	if err != nil {
		return nil, err
	}
	found, ok := obj.(*tenancy.VirtualClusterTemplate)
	if !ok {
		return nil, fmt.Errorf("storage of virtualclustertemplates holds a %T under %s", obj, ref.Name)
	}
	resolved, errs := template.Resolve(found, ref, templatePath)
	return resolved, invalid(vc, errs)
}

// hostCluster reads the host cluster of vc, nil if it is not there.
func hostCluster(ctx context.Context, hosts rest.Getter, vc *tenancy.VirtualCluster) (*tenancy.HostCluster, error) {
	name := vc.Spec.HostClusterRef.Name
	if name != v1.LocalHostCluster {
		// Validation refuses it, with words.
		return nil, nil
	}
	obj, err := hosts.Get(clusterScoped(ctx), name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	host, ok := obj.(*tenancy.HostCluster)
	if !ok {
		return nil, fmt.Errorf("storage of hostclusters holds a %T under %s", obj, name)
	}
	return host, nil
}

// clusterScoped is ctx for requests to kinds that have no namespace.
func clusterScoped(ctx context.Context) context.Context {
	return genericapirequest.WithNamespace(ctx, metav1.NamespaceNone)
}

// invalid is nil where there are no errors.
func invalid(vc *tenancy.VirtualCluster, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(tenancy.SchemeGroupVersion.WithKind("VirtualCluster").GroupKind(), nameOf(vc), errs)
}

// nameOf is what a refusal calls vc, which may not have a name yet.
func nameOf(vc *tenancy.VirtualCluster) string { return cmp.Or(vc.Name, vc.GenerateName) }

// sameTemplate says whether two references resolve to the same, as long as the template stays.
func sameTemplate(a, b *tenancy.TemplateReference) bool {
	if a == nil || b == nil {
		return (a == nil || a.Name == "") && (b == nil || b.Name == "")
	}
	return a.Name == b.Name && a.Version == b.Version && equality.Semantic.DeepEqual(a.Parameters, b.Parameters)
}

// metadataDiffers compares what a client can change.
func metadataDiffers(vc, old *tenancy.VirtualCluster) bool {
	return !maps.Equal(vc.Labels, old.Labels) || !maps.Equal(vc.Annotations, old.Annotations) ||
		!slices.Equal(vc.Finalizers, old.Finalizers) ||
		!equality.Semantic.DeepEqual(vc.OwnerReferences, old.OwnerReferences)
}
