// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestMappedObjects wants objects of the host to be inside under the names that are chosen, as they are
// at the time, and those of a tenant to be left alone. The syncer's account may read no others.
func TestMappedObjects(t *testing.T) {
	s := setUp(t)
	s.stop()
	ctx := t.Context()
	// Without pods, the Role is about nothing but the names.
	for _, kind := range tenancyv1.Catalogue() {
		s.off = append(s.off, kind.Name())
	}
	mapping := func(resource, host, namespace, name string) tenancyv1.HostMapping {
		return tenancyv1.HostMapping{Resource: resource, Host: host, Inside: types.NamespacedName{Namespace: namespace, Name: name}}
	}
	later := s.namespace + "-later"
	s.mappings = []tenancyv1.HostMapping{
		mapping(tenancyv1.ResourceSecrets, "registry", s.namespace, "pull"), mapping(tenancyv1.ResourceSecrets, "registry", later, "pull"),
		mapping(tenancyv1.ResourceSecrets, "registry", s.namespace, "theirs"), mapping(tenancyv1.ResourceConfigMaps, "proxy", s.namespace, "proxy"),
	}
	s.account = s.lent("of-names", append(tenancyv1.SyncerRules(nil), tenancyv1.MappingRules(s.mappings)...), nil)
	hostSecrets, secrets, configMaps := s.host.CoreV1().Secrets(s.hostNamespace), s.virtual.CoreV1().Secrets(s.namespace), s.virtual.CoreV1().ConfigMaps(s.namespace)
	theirs, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, StringData: map[string]string{"key": "theirs"}}, metav1.CreateOptions{})
	s.must(err)
	secret, err := hostSecrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "registry", Annotations: map[string]string{"example.org/of-the-host": "x"}},
		Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": "u", "password": "one"}}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.host.CoreV1().ConfigMaps(s.hostNamespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "proxy"}, Data: map[string]string{"http": "proxy"}}, metav1.CreateOptions{})
	s.must(err)
	s.start()

	has := func(namespace, password string) {
		t.Helper()
		framework.Eventually(t, "the Secret in "+namespace+" has the password "+password, func(ctx context.Context) (bool, error) {
			found, err := s.virtual.CoreV1().Secrets(namespace).Get(ctx, "pull", metav1.GetOptions{})
			return err == nil && string(found.Data["password"]) == password && found.Type == corev1.SecretTypeBasicAuth && found.Annotations["example.org/of-the-host"] == "", nil
		})
	}
	gone := func(what string, get func(context.Context) error) {
		t.Helper()
		framework.Eventually(t, what+" is gone inside", func(ctx context.Context) (bool, error) { return apierrors.IsNotFound(get(ctx)), nil })
	}
	has(s.namespace, "one")
	framework.Eventually(t, "the ConfigMap is inside", func(ctx context.Context) (bool, error) {
		found, err := configMaps.Get(ctx, "proxy", metav1.GetOptions{})
		return err == nil && maps.Equal(found.Data, map[string]string{"http": "proxy"}), nil
	})
	_, err = s.virtual.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: later}}, metav1.CreateOptions{})
	s.must(err)
	has(later, "one")

	// Who copies one with all its metadata has a Secret of their own.
	shown, err := secrets.Get(ctx, "pull", metav1.GetOptions{})
	s.must(err)
	copied, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "copied", Labels: shown.Labels, Annotations: shown.Annotations}}, metav1.CreateOptions{})
	s.must(err)

	// What the host changes comes inside, and what a tenant changes is put back.
	secret.StringData = map[string]string{"password": "two"}
	_, err = hostSecrets.Update(ctx, secret, metav1.UpdateOptions{})
	s.must(err)
	has(s.namespace, "two")
	_, err = secrets.Patch(ctx, "pull", types.MergePatchType, []byte(`{"immutable":true,"stringData":{"password":"forged"}}`), metav1.PatchOptions{})
	s.must(err)
	has(s.namespace, "two")
	if theirs, err := secrets.Get(ctx, "theirs", metav1.GetOptions{}); err != nil || string(theirs.Data["key"]) != "theirs" {
		t.Errorf("the tenant's own Secret: got %v and %v, want it as it was", theirs, err)
	}
	s.awaitEvent(theirs.UID, "MappedNameTaken")
	s.must(secrets.Delete(ctx, "theirs", metav1.DeleteOptions{}))
	framework.Eventually(t, "the host's Secret has the name that the tenant gave up", func(ctx context.Context) (bool, error) {
		found, err := secrets.Get(ctx, "theirs", metav1.GetOptions{})
		return err == nil && string(found.Data["password"]) == "two", nil
	})

	// Deletion follows, on the host and of what is asked for.
	s.must(hostSecrets.Delete(ctx, "registry", metav1.DeleteOptions{}))
	for _, namespace := range []string{s.namespace, later} {
		gone("the Secret in "+namespace, func(ctx context.Context) error {
			_, err := s.virtual.CoreV1().Secrets(namespace).Get(ctx, "pull", metav1.GetOptions{})
			return err
		})
	}
	s.stop()
	s.mappings = nil
	s.start()
	gone("the ConfigMap that is not asked for any more", func(ctx context.Context) error {
		_, err := configMaps.Get(ctx, "proxy", metav1.GetOptions{})
		return err
	})
	if found, err := secrets.Get(ctx, "copied", metav1.GetOptions{}); err != nil || found.UID != copied.UID {
		t.Errorf("the tenant's copy: got %v and %v, want it as it was", found, err)
	}
}

// TestAllObjects wants the host to have what nothing refers to, where that is asked for, and none of the
// credentials for the API server inside.
func TestAllObjects(t *testing.T) {
	s := setUp(t)
	s.stop()
	ctx := t.Context()
	_, err := s.virtual.CoreV1().ConfigMaps(s.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "loose"}, Data: map[string]string{"key": "value"}}, metav1.CreateOptions{})
	s.must(err)
	for name, of := range map[string]corev1.SecretType{"loose": corev1.SecretTypeOpaque, "token": corev1.SecretTypeServiceAccountToken} {
		_, err = s.virtual.CoreV1().Secrets(s.namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"}},
			Type: of, StringData: map[string]string{"key": "value"}}, metav1.CreateOptions{})
		s.must(err)
	}
	s.all = map[string]bool{tenancyv1.ResourceConfigMaps: true, tenancyv1.ResourceSecrets: true}
	s.start()
	name := s.translator.HostName(s.namespace, "loose")
	framework.Eventually(t, "both are on the host", func(ctx context.Context) (bool, error) {
		configMap, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil || configMap.Data["key"] != "value" {
			return false, nil
		}
		secret, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && string(secret.Data["key"]) == "value", nil
	})
	if _, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "token"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the token of a ServiceAccount on the host: got %v, want it to stay inside", err)
	}
	s.stop()
	s.all = nil
	s.start()
	framework.Eventually(t, "what nothing refers to leaves the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}
