// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	clusterAdmin = "cluster-admin"
	// settleTimeout is how long a new kubeconfig waits for the API server inside to
	// know its binding. It does within milliseconds, or is so loaded that the client
	// should continue and try.
	settleTimeout = 2 * time.Second
	unbindTimeout = 5 * time.Second
)

// Kubeconfigs makes and removes what gives kubeconfigs their rights.
type Kubeconfigs struct {
	virtual kubernetes.Interface
}

// NewKubeconfigs works with a client of the virtual cluster that has all rights.
func NewKubeconfigs(virtual kubernetes.Interface) *Kubeconfigs {
	return &Kubeconfigs{virtual: virtual}
}

// Check tells whether the ClusterRole of the grant is there, as an API error that
// names the field clusterRole when it is not.
func (k *Kubeconfigs) Check(ctx context.Context, grant *tenancyv1.KubeconfigGrant) error {
	_, err := k.role(ctx, grant)
	return err
}

func (k *Kubeconfigs) role(ctx context.Context, grant *tenancyv1.KubeconfigGrant) (*rbacv1.ClusterRole, error) {
	name := roleOf(grant)
	role, err := k.virtual.RbacV1().ClusterRoles().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		problem := field.Invalid(field.NewPath("clusterRole"), name, "the ClusterRole does not exist in the virtual cluster: create it first, or name another")
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: tenancyv1.GroupName, Kind: "CertificateRequest"}, grant.ID, field.ErrorList{problem})
	}
	if err != nil {
		return nil, fmt.Errorf("read ClusterRole %s: %w", name, err)
	}
	return role, nil
}

// Bind gives the group of the grant its rights, until expires. A binding of that
// name that is there already is never taken over: it is an API error, Conflict.
func (k *Kubeconfigs) Bind(ctx context.Context, grant *tenancyv1.KubeconfigGrant, expires time.Time) error {
	return k.bind(ctx, grant, grant.User(), expires, tenancyv1.AccessKubeconfig, tenancyv1.AnnotationHostUser, grant.HostUser)
}

// bind gives the group of the grant the rights of its role. The binding is of a kind of
// access, and an annotation says whose it is.
func (k *Kubeconfigs) bind(ctx context.Context, grant *tenancyv1.KubeconfigGrant, user string, expires time.Time, access, annotation, owner string) error {
	role, err := k.role(ctx, grant)
	if err != nil {
		return err
	}
	name := grant.Group()
	_, err = k.virtual.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{tenancyv1.LabelAccess: access},
			Annotations: map[string]string{annotation: owner, tenancyv1.AnnotationExpires: expires.UTC().Format(time.RFC3339)},
		},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	}, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerSyncer})
	if apierrors.IsAlreadyExists(err) {
		return apierrors.NewConflict(rbacv1.Resource("clusterrolebindings"), name, fmt.Errorf("the credential %s is in use", grant.ID))
	}
	if err != nil {
		return fmt.Errorf("create ClusterRoleBinding %s: %w", name, err)
	}
	k.settle(ctx, grant, user, role)
	return nil
}

// Unbind takes the rights back again, also when the request that gave them is over.
func (k *Kubeconfigs) Unbind(ctx context.Context, grant *tenancyv1.KubeconfigGrant) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unbindTimeout)
	defer cancel()
	err := k.virtual.RbacV1().ClusterRoleBindings().Delete(ctx, grant.Group(), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		// Nobody has the key, so it gives rights to nobody, and goes when it has expired.
		klog.FromContext(ctx).Error(err, "Cannot delete the binding of a credential that was not issued; it stays until it expires", "credential", grant.ID)
	}
}

// settle waits until the authorizer inside knows the binding, so that the first
// request with the kubeconfig is not refused.
func (k *Kubeconfigs) settle(ctx context.Context, grant *tenancyv1.KubeconfigGrant, user string, role *rbacv1.ClusterRole) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: []string{grant.Group()}}}
	if !about(&review.Spec, role.Rules) {
		return
	}
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, settleTimeout, true, func(ctx context.Context) (bool, error) {
		answer, err := k.virtual.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
	if err != nil {
		klog.FromContext(ctx).Info("The API server inside may not know a new credential's rights yet", "credential", grant.ID, "err", err)
	}
}

// about asks for the first thing that the rules allow; false where there is none.
func about(spec *authorizationv1.SubjectAccessReviewSpec, rules []rbacv1.PolicyRule) bool {
	at := slices.IndexFunc(rules, func(rule rbacv1.PolicyRule) bool {
		return len(rule.Verbs) > 0 && (len(rule.NonResourceURLs) > 0 || len(rule.APIGroups) > 0 && len(rule.Resources) > 0)
	})
	if at < 0 {
		return false
	}
	rule := rules[at]
	if len(rule.NonResourceURLs) > 0 {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: rule.Verbs[0], Path: rule.NonResourceURLs[0]}
		return true
	}
	resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: resource, Subresource: subresource}
	if len(rule.ResourceNames) > 0 {
		spec.ResourceAttributes.Name = rule.ResourceNames[0]
	}
	return true
}

// roleOf is the ClusterRole that a kubeconfig is held to.
func roleOf(grant *tenancyv1.KubeconfigGrant) string {
	if grant.ClusterRole == "" {
		return clusterAdmin
	}
	return grant.ClusterRole
}
