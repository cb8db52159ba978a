// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestResolvedIsApplied has rules come, change and go in what the DNS reads, and its pods follow. What
// a tenant deleted does not come back by that.
func TestResolvedIsApplied(t *testing.T) {
	ctx, client := t.Context(), fake.NewClientset()
	b := New(Options{Virtual: client})
	configs, deployments := client.CoreV1().ConfigMaps(metav1.NamespaceSystem), client.AppsV1().Deployments(metav1.NamespaceSystem)
	if err := b.applyResolved(ctx, "rules"); err != nil {
		t.Fatalf("without a DNS: %v", err)
	}
	if _, err := configs.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: dnsName}, Data: map[string]string{"Corefile": "theirs"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := deployments.Apply(ctx, dnsDeployment(), force()); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]bool{}
	for _, rules := range []string{"", "rules", "other rules", ""} {
		if err := b.applyResolved(ctx, rules); err != nil {
			t.Fatal(err)
		}
		// The rest is put in place at every start.
		if _, err := deployments.Apply(ctx, dnsDeployment(), force()); err != nil {
			t.Fatal(err)
		}
		config, err := configs.Get(ctx, dnsName, metav1.GetOptions{})
		if err != nil || config.Data[dnsResolveKey] != rules || config.Data["Corefile"] != "theirs" {
			t.Errorf("rules %q: got %v, %v", rules, config.Data, err)
		}
		deployment, err := deployments.Get(ctx, dnsName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		hash := deployment.Spec.Template.Annotations[dnsResolveHash]
		if (hash == "") != (rules == "") || len(deployment.Spec.Template.Spec.Containers) != 1 {
			t.Errorf("rules %q: got a template with the hash %q", rules, hash)
		}
		hashes[hash] = true
	}
	if len(hashes) != 3 {
		t.Errorf("got hashes %v, want one for each", hashes)
	}
}
