// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

// TestServiceAccounts wants a pod to run as the copy of its own account, which has nothing that an
// account lends but what the host gives it.
func TestServiceAccounts(t *testing.T) {
	s := setUp(t)
	s.stop()
	s.accounts = true
	s.start()
	ctx := t.Context()
	_, err := s.virtual.CoreV1().ServiceAccounts(s.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		AutomountServiceAccountToken: ptr.To(true), ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}}, Secrets: []corev1.ObjectReference{{Name: "token"}}}, metav1.CreateOptions{})
	s.must(err)
	spec := podSpec()
	spec.ServiceAccountName = "robot"
	s.createPod("web", spec)
	name := s.translator.HostName(s.namespace, "robot")
	host := s.hostPod("web")
	if host.Spec.ServiceAccountName != name || ptr.Deref(host.Spec.AutomountServiceAccountToken, true) {
		t.Errorf("account on the host: got %s, token mounted %v, want %s and none", host.Spec.ServiceAccountName, host.Spec.AutomountServiceAccountToken, name)
	}
	framework.Eventually(t, "the copy has nothing of the account", func(ctx context.Context) (bool, error) {
		account, err := s.host.CoreV1().ServiceAccounts(s.hostNamespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && !ptr.Deref(account.AutomountServiceAccountToken, true) && len(account.Secrets) == 0 && len(account.ImagePullSecrets) == 0, nil
	})
}
