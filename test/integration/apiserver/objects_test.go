// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
)

// newNamespace makes a namespace of the test's own.
func newNamespace(t *testing.T) string {
	t.Helper()
	return shared.host.NewNamespace(t, "test-")
}

// clusters are the virtual clusters of a new namespace, as the administrator sees them.
func clusters(t *testing.T) tenancyv1.VirtualClusterInterface {
	t.Helper()
	return shared.garret.Clients.TenancyV1().VirtualClusters(newNamespace(t))
}

func named(name string) *v1.VirtualCluster {
	return &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// create makes a virtual cluster or fails the test.
func create(t *testing.T, in tenancyv1.VirtualClusterInterface, object *v1.VirtualCluster) *v1.VirtualCluster {
	t.Helper()
	made, err := in.Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s: %v", object.Name, err)
	}
	return made
}

// gone waits until the object is not there any more.
func gone(t *testing.T, in tenancyv1.VirtualClusterInterface, name string) {
	t.Helper()
	eventually(t, name+" is gone", func(ctx context.Context) (bool, error) {
		_, err := in.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	framework.Eventually(t, what, condition)
}

// kubectl runs kubectl against the host with the input given, as the
// administrator unless flags say otherwise, and returns what it prints.
func kubectl(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	return framework.Kubectl(t, shared.host.Kubeconfig, input, args...)
}

// mustKubectl is kubectl where failing fails the test.
func mustKubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	return shared.host.MustKubectl(t, input, args...)
}

func conditionApply(c metav1.Condition) *applymetav1.ConditionApplyConfiguration {
	return applymetav1.Condition().WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).
		WithMessage(c.Message).WithLastTransitionTime(c.LastTransitionTime)
}
