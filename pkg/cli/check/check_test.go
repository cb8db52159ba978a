// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	discovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

// goodHost has all that Garret needs, so that a test takes one thing away.
func goodHost() *fake.Clientset {
	client := fake.NewClientset(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "extension-apiserver-authentication"}, Data: map[string]string{"requestheader-client-ca-file": "PEM"}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast", Annotations: map[string]string{defaultClass: "true"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "held", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}}},
	)
	client.Discovery().(*discovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.37.2"}
	client.Resources = []*metav1.APIResourceList{{GroupVersion: "apiregistration.k8s.io/v1"}, {GroupVersion: "metrics.k8s.io/v1beta1"}}
	client.PrependReactor("create", "selfsubjectaccessreviews", func(ktesting.Action) (bool, runtime.Object, error) {
		return true, &authorizationv1.SelfSubjectAccessReview{Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true}}, nil
	})
	client.PrependReactor("create", "pods", func(ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New(`violates PodSecurity "baseline:latest"`))
	})
	return client
}

func TestChecks(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*testing.T, *fake.Clientset)
		want   string
		fails  bool
	}{
		"all is there": {func(*testing.T, *fake.Clientset) {}, "ok       storage class", false},
		"an old host": {func(_ *testing.T, c *fake.Clientset) {
			c.Discovery().(*discovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.29.9+k3s1"}
		}, "upgrade it to 1.30.0", true},
		"no aggregation": {func(_ *testing.T, c *fake.Clientset) { c.Resources = c.Resources[1:] }, "aggregation layer", true},
		"no front proxy": {func(t *testing.T, c *fake.Clientset) {
			if err := c.CoreV1().ConfigMaps("kube-system").Delete(t.Context(), "extension-apiserver-authentication", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "--requestheader-client-ca-file", true},
		"no rights": {func(_ *testing.T, c *fake.Clientset) {
			c.PrependReactor("create", "selfsubjectaccessreviews", func(ktesting.Action) (bool, runtime.Object, error) {
				return true, &authorizationv1.SelfSubjectAccessReview{}, nil
			})
		}, "cluster-admin", true},
		"no default class": {func(t *testing.T, c *fake.Clientset) {
			if err := c.StorageV1().StorageClasses().Delete(t.Context(), "fast", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "is-default-class=true", true},
		"no pod security": {func(_ *testing.T, c *fake.Clientset) {
			c.PrependReactor("create", "pods", func(ktesting.Action) (bool, runtime.Object, error) { return true, &corev1.Pod{}, nil })
		}, "admission plugin PodSecurity", false},
		"no metrics": {func(_ *testing.T, c *fake.Clientset) { c.Resources = c.Resources[:1] }, "metrics-server", false},
	} {
		t.Run(name, func(t *testing.T) {
			client := goodHost()
			test.change(t, client)
			streams, _, out, _ := genericiooptions.NewTestIOStreams()
			err := (&Commands{Program: "garret", Streams: streams}).check(t.Context(), client)
			if (err != nil) != test.fails || !strings.Contains(out.String(), test.want) {
				t.Errorf("got error %v and\n%swant an error: %t, and %q", err, out, test.fails, test.want)
			}
			if bad := strings.Count(out.String(), "failed  ") + strings.Count(out.String(), "warning  "); bad != strings.Count(out.String(), "→") {
				t.Errorf("%d checks did not pass and another number has a remedy:\n%s", bad, out)
			}
		})
	}
}
