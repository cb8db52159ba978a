// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package corefile

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestRules writes the rules of a virtual cluster for CoreDNS: whole names first, and
// for each kind of record an answer, so that no name of a rule is asked for outside.
func TestRules(t *testing.T) {
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
			if got, known := Rules(vc); !known || got != test.want {
				t.Errorf("got %t,\n%s\nwant\n%s", known, got, test.want)
			}
			vc.Status.Services = nil
			if _, known := Rules(vc); known != (len(test.rules) == 0 || test.rules[0].Service == nil) {
				t.Errorf("before the Services were looked for: got %t", known)
			}
		})
	}
}
