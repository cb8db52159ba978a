// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestResolveRules writes the rules of a virtual cluster for CoreDNS: whole names first, and
// for each kind of record an answer, so that no name of a rule is asked for outside.
func TestResolveRules(t *testing.T) {
	service := tenancyv1.ServiceSource{Namespace: "prod", Name: "db", VirtualCluster: &tenancyv1.VirtualClusterName{Name: "blue"}}
	for name, test := range map[string]struct {
		rules []tenancyv1.ResolveRule
		found []string
		want  string
	}{
		"none": {},
		"addresses": {rules: []tenancyv1.ResolveRule{{Name: "db.example.org", Addresses: []string{"192.0.2.1", "2001:db8::1", "192.0.2.2"}}}, want: `template IN A db.example.org {
    match "^db[.]example[.]org[.]$"
    answer "{{ .Name }} 30 IN A 192.0.2.1"
    answer "{{ .Name }} 30 IN A 192.0.2.2"
    fallthrough
}
template IN AAAA db.example.org {
    match "^db[.]example[.]org[.]$"
    answer "{{ .Name }} 30 IN AAAA 2001:db8::1"
    fallthrough
}
template IN ANY db.example.org {
    match "^db[.]example[.]org[.]$"
    fallthrough
}
`},
		"all names below, after whole ones": {rules: []tenancyv1.ResolveRule{{Name: "*.example.org", Alias: "web.default.svc.cluster.local"}, {Name: "db.example.org", Alias: "example.net"}}, want: `template IN ANY db.example.org {
    match "^db[.]example[.]org[.]$"
    answer "{{ .Name }} 30 IN CNAME example.net."
    fallthrough
}
template IN ANY example.org {
    match "[.]example[.]org[.]$"
    answer "{{ .Name }} 30 IN CNAME web.default.svc.cluster.local."
    fallthrough
}
`},
		"a Service": {rules: []tenancyv1.ResolveRule{{Name: "db", Service: &service}}, found: []string{"10.96.0.7"}, want: `template IN A db {
    match "^db[.]$"
    answer "{{ .Name }} 30 IN A 10.96.0.7"
    fallthrough
}
template IN ANY db {
    match "^db[.]$"
    fallthrough
}
`},
		"a Service that is not there": {rules: []tenancyv1.ResolveRule{{Name: "db", Service: &service}}, want: `template IN ANY db {
    match "^db[.]$"
    fallthrough
}
`},
	} {
		t.Run(name, func(t *testing.T) {
			vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo"}}
			vc.Spec.DNS.Resolve = test.rules
			vc.Status.Services = []tenancyv1.FoundService{{From: service.In("team"), ClusterIPs: test.found}}
			if got, known := resolveRules(vc); !known || got != test.want {
				t.Errorf("got %t,\n%s\nwant\n%s", known, got, test.want)
			}
			vc.Status.Services = nil
			if _, known := resolveRules(vc); known != (len(test.rules) == 0 || test.rules[0].Service == nil) {
				t.Errorf("before the Services were looked for: got %t", known)
			}
		})
	}
}

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
