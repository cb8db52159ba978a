// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/test/framework"
)

// doorChecks are about the two subresources that are no part of an object. What
// lies behind them is tested in packages rights and entrance.
func doorChecks() []check {
	return []check{
		{"doors-discovery", "discovery has kubeconfig with its kind and its verb, and proxy with all that it takes", []need{doors}, doorsDiscovered},
		{"kubeconfig-methods", "kubeconfig is created, and nothing else", []need{doors}, kubeconfigMethods},
		{"kubeconfig-not-found", "asking at what is not there is 404 about the virtual cluster", []need{doors}, kubeconfigNotFound},
		{"kubeconfig-invalid", "a request that breaks a rule is 422 with the field", []need{doors}, kubeconfigInvalid},
		{"kubeconfig-uid", "a request for another uid is 409", []need{doors}, kubeconfigOfAnother},
		{"kubeconfig-policy", "a policy of the host can refuse a request for a kubeconfig", []need{doors}, kubeconfigPolicy},
		{"proxy-not-ready", "entering what is not ready is 503 that says when to come again", []need{doors}, proxyNotReady},
		{"proxy-policy", "a policy of the host can refuse to let anybody enter, as CONNECT", []need{doors}, proxyPolicy},
		{"quota", "a ResourceQuota for the kind is enforced, and not used up by dry runs", []need{doors}, quota},
	}
}

func doorsDiscovered(s *subject) {
	all := s.resources()
	kubeconfig, proxy := all[s.resource+"/kubeconfig"], all[s.resource+"/proxy"]
	if kubeconfig.Kind != "KubeconfigRequest" || !slices.Equal([]string(kubeconfig.Verbs), []string{"create"}) {
		s.Errorf("kubeconfig: got %+v, want KubeconfigRequest with create", kubeconfig)
	}
	if want := []string{"create", "delete", "get", "patch", "update"}; !slices.Equal([]string(proxy.Verbs), want) {
		s.Errorf("proxy: got %+v, want %v", proxy, want)
	}
}

// kubeconfigRequest is one for a virtual cluster of the check.
func kubeconfigRequest(spec fields) []byte {
	return body(fields{"apiVersion": "tenancy.garret.dev/v1", "kind": "KubeconfigRequest", "spec": spec})
}

func kubeconfigMethods(s *subject) {
	s.create("a")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		s.refused(method, http.StatusMethodNotAllowed, s.send(method, s.url("a")+"/kubeconfig", kubeconfigRequest(fields{})))
	}
}

func kubeconfigNotFound(s *subject) {
	s.refused("create", http.StatusNotFound, s.send("POST", s.url("missing")+"/kubeconfig", kubeconfigRequest(fields{})), s.resource, s.name("missing"))
}

func kubeconfigInvalid(s *subject) {
	s.create("a")
	for field, spec := range map[string]fields{
		"spec.expirationSeconds": {"expirationSeconds": 1}, "spec.server": {"server": "http://plain"},
	} {
		status := s.refused(field, http.StatusUnprocessableEntity, s.send("POST", s.url("a")+"/kubeconfig", kubeconfigRequest(spec)), field)
		if d := status.Details; d == nil || !slices.ContainsFunc(d.Causes, func(c metav1.StatusCause) bool { return c.Field == field }) {
			s.Errorf("%s: got details %+v, want a cause about it", field, d)
		}
	}
	s.refused("misspelt", http.StatusBadRequest,
		s.send("POST", s.url("a")+"/kubeconfig?fieldValidation=Strict", kubeconfigRequest(fields{"expires": 1})), `unknown field "spec.expires"`)
}

func kubeconfigOfAnother(s *subject) {
	s.create("a")
	request := body(fields{"apiVersion": "tenancy.garret.dev/v1", "kind": "KubeconfigRequest", "metadata": fields{"uid": "00000000-0000-4000-8000-000000000000"}})
	s.refused("create", http.StatusConflict, s.send("POST", s.url("a")+"/kubeconfig", request), "UID")
}

// atDoor matches an operation on a subresource in the namespace of the check,
// since what is sent there has no labels of the object.
func (s *subject) atDoor(subresource string, operation admissionv1.OperationType) *admissionv1.MatchResources {
	match := &admissionv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
		ResourceRules:     s.rules("/" + subresource),
	}
	match.ResourceRules[0].Operations = []admissionv1.OperationType{operation}
	return match
}

func kubeconfigPolicy(s *subject) {
	s.create("a")
	s.policy(admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: s.atDoor("kubeconfig", admissionv1.Create),
		Validations:      []admissionv1.Validation{{Expression: "object.spec.expirationSeconds <= 900", Message: "at most a quarter of an hour"}},
	}, nil, admissionv1.Deny)
	ask := func(seconds int) answer {
		return s.send("POST", s.url("a")+"/kubeconfig", kubeconfigRequest(fields{"expirationSeconds": seconds}))
	}
	s.denied("at most a quarter of an hour", func() answer { return ask(3600) })
	s.refused("what the policy allows", http.StatusServiceUnavailable, ask(900)) // not ready: the policy had no objection
}

func proxyNotReady(s *subject) {
	s.create("a")
	got := s.send("GET", s.url("a")+"/proxy/api", nil)
	s.refused("get", http.StatusServiceUnavailable, got, s.name("a"))
	if got.header.Get("Retry-After") == "" {
		s.Errorf("got headers %v, want Retry-After", got.header)
	}
}

func proxyPolicy(s *subject) {
	s.create("a")
	s.policy(admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: s.atDoor("proxy", admissionv1.Connect),
		Validations:      []admissionv1.Validation{{Expression: "false", Message: "nobody enters"}},
	}, nil, admissionv1.Deny)
	s.denied("nobody enters", func() answer { return s.send("GET", s.url("a")+"/proxy/api", nil) })
}

func quota(s *subject) {
	s.create("first")
	count := corev1.ResourceName("count/" + s.resource + ".tenancy.garret.dev")
	quotas := shared.host.Client.CoreV1().ResourceQuotas(s.namespace)
	_, err := quotas.Create(s.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "clusters"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{count: resource.MustParse("2")}},
	}, metav1.CreateOptions{})
	s.must(err)
	// The host learns of new kinds every half minute, and counts again when a quota changes.
	attempt := 0
	framework.Eventually(s, "the host has counted", func(ctx context.Context) (bool, error) {
		got, err := quotas.Get(ctx, "clusters", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if used, counted := got.Status.Used[count]; counted {
			return used.Value() == 1, nil
		}
		if attempt++; attempt%20 == 0 {
			_, err = quotas.Patch(ctx, "clusters", types.MergePatchType, body(fields{"spec": fields{"hard": fields{"pods": fmt.Sprint(attempt)}}}), metav1.PatchOptions{})
		}
		return false, err
	})
	charged := func(name string, options metav1.CreateOptions) {
		s.Helper()
		framework.Eventually(s, "there is room for "+name, func(ctx context.Context) (bool, error) {
			// Our server learns of what was counted a little later.
			_, err := s.in.Create(ctx, s.object(name), options)
			if apierrors.IsForbidden(err) || apierrors.IsConflict(err) {
				return false, nil
			}
			return err == nil, err
		})
	}
	for range 2 {
		charged("second", metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}) // and takes no room
	}
	charged("second", metav1.CreateOptions{})
	_, err = s.in.Create(s.Context(), s.object("third"), metav1.CreateOptions{})
	s.fails("third", err, apierrors.IsForbidden, "exceeded quota")
	_, err = s.in.Create(s.Context(), s.object("third"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	s.fails("third, as a dry run", err, apierrors.IsForbidden, "exceeded quota")
}
