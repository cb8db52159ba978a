// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	hookv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// enforce has the host hold the namespace to a level of pod security, and waits until
// it refuses a pod that falls short.
func (s *side) enforce(level string, short corev1.PodSpec) {
	s.t.Helper()
	_, err := s.host.CoreV1().Namespaces().Patch(s.t.Context(), s.hostNamespace, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"`+level+`"}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(s.t, "the host enforces "+level, func(ctx context.Context) (bool, error) {
		return strings.Contains(s.refusalOnHost(ctx, short), level), nil
	})
}

// refusalOnHost is what the host has against a pod, in its own words.
func (s *side) refusalOnHost(ctx context.Context, spec corev1.PodSpec) string {
	_, err := s.host.CoreV1().Pods(s.hostNamespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Labels: map[string]string{tenancyv1.LabelVirtualNamespace: s.namespace}}, Spec: spec,
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err.Error()
	}
	return ""
}

// refused wants the host's words on a pod inside that it does not take, with the
// pod's name there.
func (s *side) refused(pod *corev1.Pod, words string) {
	s.t.Helper()
	message := s.awaitEvent(pod.UID, "HostRefused")
	if !strings.Contains(message, words) || strings.Contains(message, s.translator.HostName(s.namespace, pod.Name)) {
		s.t.Errorf("event on %s: got %q, want %q in it, and no name of the host's", pod.Name, message, words)
	}
}

// limited is a pod with a container of so much CPU.
func limited(cpu string) corev1.PodSpec {
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1", Resources: corev1.ResourceRequirements{Requests: list, Limits: list}}}}
}

// TestQuotaOfTheHost has the host bound what pods may have, and raise the bound later.
func TestQuotaOfTheHost(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.host.CoreV1().ResourceQuotas(s.hostNamespace).Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse("150m")}}}, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "the quota is in force", func(ctx context.Context) (bool, error) {
		return strings.Contains(s.refusalOnHost(ctx, limited("1")), "exceeded quota"), nil
	})
	s.createPod("fits", limited("100m"))
	s.hostPod("fits")
	many := s.createPod("many", limited("100m"))
	s.refused(many, `pods "many" is forbidden: exceeded quota: small`)
	unlimited := s.createPod("unlimited", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	s.refused(unlimited, `pods "unlimited" is forbidden: failed quota: small: must specify limits.cpu`)
	_, err = s.host.CoreV1().ResourceQuotas(s.hostNamespace).Patch(ctx, "small", types.MergePatchType, []byte(`{"spec":{"hard":{"limits.cpu":"1"}}}`), metav1.PatchOptions{})
	s.must(err)
	s.hostPod("many")
}

// TestPodSecurityOfTheHost has the host enforce a level, and loosen it later.
func TestPodSecurityOfTheHost(t *testing.T) {
	s := setUp(t)
	loose := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}
	s.enforce("restricted", loose)
	s.createPod("strict", corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{Name: "app", Image: "busybox:1", SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}},
	})
	s.hostPod("strict")
	s.refused(s.createPod("loose", loose), `pods "loose" is forbidden: violates PodSecurity "restricted:latest"`)
	s.enforce("baseline", corev1.PodSpec{HostNetwork: true, Containers: loose.Containers})
	s.hostPod("loose")
}

// TestRefusedDebugContainer has the host refuse a debug container in a pod that runs,
// and wants what happens to the pod to be reported on.
func TestRefusedDebugContainer(t *testing.T) {
	s := setUp(t)
	s.hold(tenancyv1.PodSecurityPrivileged)
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}
	_, host := s.running("web", spec)
	s.setReadyOnHost("web", corev1.ConditionTrue)
	s.awaitReadyInside("web", corev1.ConditionTrue)
	s.enforce("baseline", corev1.PodSpec{HostNetwork: true, Containers: spec.Containers})
	framework.Eventually(t, "there is a debug container inside", func(ctx context.Context) (bool, error) {
		pod := s.virtualPod("web")
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debug", Image: "busybox:1", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}}
		_, err := s.virtual.CoreV1().Pods(s.namespace).UpdateEphemeralContainers(ctx, "web", pod, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
	s.refused(s.virtualPod("web"), `pods "web" is forbidden: violates PodSecurity "baseline:latest": privileged`)
	s.setReadyOnHost("web", corev1.ConditionFalse)
	s.awaitReadyInside("web", corev1.ConditionFalse)
	// The refused one cannot be taken back inside: another one is taken all the same.
	debug(t, s.virtual.CoreV1().Pods(s.namespace), "web", "harmless")
	framework.Eventually(t, "another debug container is on the host", func(context.Context) (bool, error) {
		return strings.Join(ephemeral(s.hostPod("web")), " ") == "harmless", nil
	})
	if now := s.hostPod("web"); now.UID != host.UID {
		t.Error("the pod on the host is another")
	}
}

// TestWebhookOfTheHost has a webhook of the host deny a pod without giving a reason of
// Kubernetes' own, and take it later.
func TestWebhookOfTheHost(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review hookv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &hookv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: review.Request.Name + " is not on the list"}}
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(hook.Close)
	configurations, name := s.host.AdmissionregistrationV1().ValidatingWebhookConfigurations(), "deny-"+s.namespace
	_, err := configurations.Create(ctx, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "policy.example.org", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{tenancyv1.LabelVirtualNamespace: s.namespace}},
			ClientConfig: admissionv1.WebhookClientConfig{URL: &hook.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})},
			Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}},
		}}}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() { _ = configurations.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}
	framework.Eventually(t, "the webhook is asked", func(ctx context.Context) (bool, error) {
		return strings.Contains(s.refusalOnHost(ctx, spec), "not on the list"), nil
	})
	s.refused(s.createPod("web", spec), `admission webhook "policy.example.org" denied the request: web is not on the list`)
	s.must(configurations.Delete(ctx, name, metav1.DeleteOptions{}))
	s.hostPod("web")
}

// kindOf is the row of a resource.
func kindOf(resource string) *kind {
	return kinds()[slices.IndexFunc(kinds(), func(k *kind) bool { return k.Resource == resource })]
}

// TestInjectionOfTheHost has a policy of the host take images from a mirror and add a
// container of its own to pods that are made.
func TestInjectionOfTheHost(t *testing.T) {
	s := setUp(t)
	pods := &mutatedSubject{newSubject(t, s, kindOf(tenancyv1.ResourcePods))}
	lift := pods.mutateOnHost(mutated{resource: tenancyv1.ResourcePods,
		policy: `oldObject != null ? [] : [
			JSONPatch{op: "add", path: "/metadata/labels/injected", value: "yes"},
			JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "mirror.example/busybox:1"},
			JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "mesh-proxy", image: "mesh:1"}}]`,
		path: []string{"metadata", "labels", "injected"}, answered: "yes"})
	_, err := s.virtual.CoreV1().Pods(s.namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{labelMutated: "yes"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}}, metav1.CreateOptions{})
	s.must(err)
	host := s.hostPod("web")
	if len(host.Spec.Containers) != 2 {
		t.Fatalf("containers on the host: got %v, want the injected one, too", host.Spec.Containers)
	}
	s.schedule(host, "node-"+s.namespace)
	framework.Eventually(t, "the pod runs inside", func(context.Context) (bool, error) { return s.virtualPod("web").Status.Phase == corev1.PodRunning, nil })
	if got := s.virtualPod("web").Status.ContainerStatuses; len(got) != 1 || got[0].Name != "app" || !got[0].Ready {
		t.Errorf("statuses of containers inside: got %v, want the pod's own alone", got)
	}
	change := func(patch string) {
		_, err := s.virtual.CoreV1().Pods(s.namespace).Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(err)
	}
	change(`{"metadata":{"labels":{"tier":"front"}}}`)
	framework.Eventually(t, "a label that was set later is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Labels["tenant.garret.dev/tier"] == "front", nil
	})
	if now := s.hostPod("web"); now.UID != host.UID || now.Spec.Containers[0].Image != "mirror.example/busybox:1" {
		t.Errorf("on the host: got the image %s, want the mirror's, in the same pod", now.Spec.Containers[0].Image)
	}
	lift()
	change(`{"spec":{"containers":[{"name":"app","image":"busybox:2"}]}}`)
	framework.Eventually(t, "an image that was set later is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Spec.Containers[0].Image == "busybox:2", nil
	})
}
