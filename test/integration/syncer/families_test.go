// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/admission"
	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// TestFamiliesOfAService gives a Service addresses of a second family, and takes them away again. Its control
// planes are its own: on shared ones, Services of other tests take the addresses that this one asks for.
func TestFamiliesOfAService(t *testing.T) {
	t.Parallel()
	var dual clusters
	if err := dual.start("dual-", "--service-cidr=fd00:96::/112"); err != nil {
		t.Fatal(err)
	}
	s := setUpOn(t, dual)
	inside, onHost := s.virtual.CoreV1().Services(s.namespace), s.host.CoreV1().Services(s.hostNamespace)
	made, err := inside.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	same := func(families int, policy corev1.IPFamilyPolicy) {
		t.Helper()
		framework.Eventually(t, "the Service has the same addresses on both sides", func(ctx context.Context) (bool, error) {
			virtual, err := inside.Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			host, err := onHost.Get(ctx, s.translator.HostName(s.namespace, "web"), metav1.GetOptions{})
			return err == nil && len(host.Spec.ClusterIPs) == families && slices.Equal(host.Spec.ClusterIPs, virtual.Spec.ClusterIPs) &&
				slices.Equal(host.Spec.IPFamilies, virtual.Spec.IPFamilies) && *host.Spec.IPFamilyPolicy == policy && host.Spec.ClusterIP == made.Spec.ClusterIP, nil
		})
	}
	change := func(patch string) {
		t.Helper()
		_, err := inside.Patch(t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(err)
	}
	same(1, corev1.IPFamilyPolicySingleStack)
	change(`{"spec":{"ipFamilyPolicy":"PreferDualStack"}}`)
	same(2, corev1.IPFamilyPolicyPreferDualStack)
	change(`{"spec":{"ipFamilyPolicy":"SingleStack"}}`)
	same(1, corev1.IPFamilyPolicySingleStack)

	// The webhook asks the host first, so that the second address inside is the one that it allocates.
	allocator := &admission.Allocator{Marker: resources.Marker{Translator: s.translator}, Virtual: s.virtual, Host: s.account, Evidence: lineagetest.Certain{}}
	virtual, err := inside.Get(t.Context(), "web", metav1.GetOptions{})
	s.must(err)
	virtual.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack)
	if widened, err := allocator.Widen(t.Context(), virtual, true); err != nil || widened != nil {
		t.Errorf("dry run: got %v, %v, want nothing", widened, err)
	}
	widened, err := allocator.Widen(t.Context(), virtual, false)
	s.must(err)
	virtual.Spec.ClusterIPs, virtual.Spec.IPFamilies = widened.Spec.ClusterIPs, widened.Spec.IPFamilies
	_, err = inside.Update(t.Context(), virtual, metav1.UpdateOptions{})
	s.must(err)
	same(2, corev1.IPFamilyPolicyRequireDualStack)
}
