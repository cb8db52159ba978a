// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

func quota(name corev1.ResourceName, quantity string) change {
	return func(vc *tenancy.VirtualCluster) {
		if vc.Spec.Isolation.Quota.Hard == nil {
			vc.Spec.Isolation.Quota.Hard = corev1.ResourceList{}
		}
		vc.Spec.Isolation.Quota.Hard[name] = resource.MustParse(quantity)
	}
}

func network(enabled, public *bool) change {
	return func(vc *tenancy.VirtualCluster) {
		vc.Spec.Isolation.NetworkPolicy = tenancy.NetworkIsolation{Enabled: enabled, PublicEgress: public}
	}
}

func TestIsolation(t *testing.T) {
	yes, no := ptr.To(true), ptr.To(false)
	for name, test := range map[string]struct {
		change change
		want   []string
	}{
		"defaults":              {network(yes, yes), nil},
		"nothing set":           {network(nil, nil), nil},
		"no public egress":      {network(yes, no), nil},
		"not by default either": {network(nil, no), nil},
		"no policies":           {network(no, yes), nil},
		"closed without policies": {network(no, no), []string{
			"spec.isolation.networkPolicy.publicEgress: set networkPolicy.enabled to true, or leave this out"}},
		"pods":              {quota("pods", "5"), nil},
		"none at all":       {quota("services.loadbalancers", "0"), nil},
		"half a CPU":        {quota("requests.cpu", "500m"), nil},
		"a thousand, short": {quota("pods", "1k"), nil},
		"half a pod":        {quota("pods", "500m"), []string{"spec.isolation.quota.hard[pods]: must be a whole number"}},
		"less than none":    {quota("secrets", "-1"), []string{"spec.isolation.quota.hard[secrets]: must be zero or more; leave it out for no limit"}},
		"devices":           {quota("gpus.example.org.deviceclass.resource.k8s.io/devices", "2"), nil},
		"half a device":     {quota("gpus.deviceclass.resource.k8s.io/devices", "500m"), []string{"spec.isolation.quota.hard[gpus.deviceclass.resource.k8s.io/devices]: must be a whole number"}},
		"of no class":       {quota(".deviceclass.resource.k8s.io/devices", "2"), []string{"spec.isolation.quota.hard[.deviceclass.resource.k8s.io/devices]: supported values"}},
		"snapshots":         {quota("count/volumesnapshots.snapshot.storage.k8s.io", "2"), nil},
		"half a snapshot":   {quota("count/volumesnapshots.snapshot.storage.k8s.io", "500m"), []string{"spec.isolation.quota.hard[count/volumesnapshots.snapshot.storage.k8s.io]: must be a whole number"}},
		"what stays inside": {quota("count/deployments.apps", "2"), []string{"spec.isolation.quota.hard[count/deployments.apps]: supported values"}},
		"a ruled kind":      {quota("count/widgets.example.org", "2"), nil},
		"half a widget":     {quota("count/widgets.example.org", "500m"), []string{"spec.isolation.quota.hard[count/widgets.example.org]: must be a whole number"}},
		"no rule for it":    {quota("count/roles.rbac.authorization.k8s.io", "2"), []string{"spec.isolation.quota.hard[count/roles.rbac.authorization.k8s.io]: supported values"}},
		"no kind":           {quota("count/.example.org", "2"), []string{"spec.isolation.quota.hard[count/.example.org]: supported values"}},
		"no count":          {quota("widgets.example.org", "2"), []string{"spec.isolation.quota.hard[widgets.example.org]: supported values"}},
		"unknown name":      {quota("requests.nvidia.com/gpu", "1"), []string{"spec.isolation.quota.hard[requests.nvidia.com/gpu]: supported values"}},
		"plain cpu":         {quota("cpu", "1"), []string{"spec.isolation.quota.hard[cpu]: supported values"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, (&Validator{}).Create(valid(test.change)), test.want...)
		})
	}
	for _, name := range v1.QuotaNames() {
		expect(t, (&Validator{}).Create(valid(quota(name, "1"))))
	}
}

// TestIsolationStays lets what is stored be, also where a later rule forbids it.
func TestIsolationStays(t *testing.T) {
	stored := []change{quota("pods", "500m"), quota("cpu", "1"), network(ptr.To(false), ptr.To(false))}
	more := append(stored, syncerArg("--v=2"))
	expect(t, (&Validator{}).Update(valid(more...), valid(stored...)))
	expect(t, (&Validator{}).Update(valid(append(stored, quota("pods", "700m"))...), valid(stored...)),
		"spec.isolation.quota.hard[pods]: must be a whole number")
}

func TestHostIsolation(t *testing.T) {
	hard := func(name corev1.ResourceName, quantity string) tenancy.QuotaSpec {
		return tenancy.QuotaSpec{Hard: corev1.ResourceList{name: resource.MustParse(quantity)}}
	}
	for name, test := range map[string]struct {
		isolation tenancy.HostIsolation
		want      []string
	}{
		"nothing": {tenancy.HostIsolation{}, nil},
		"all": {tenancy.HostIsolation{
			InlineVolumeDrivers: []string{"secrets-store.csi.k8s.io"}, DeviceConfigDrivers: []string{"gpu.example.org"}, EndpointRanges: []string{"192.0.2.0/24", "2001:db8::/64", "198.51.100.7/32"}, ExternalIPRanges: []string{"203.0.113.0/24"},
			EgressRanges: []string{"0.0.0.0/0", "::/0"}, Quota: hard("pods", "100"),
		}, nil},
		"no driver of devices": {tenancy.HostIsolation{DeviceConfigDrivers: []string{"gpu.example.org", "GPU"}}, []string{"spec.isolation.deviceConfigDrivers[1]: RFC 1123"}},
		"no driver":            {tenancy.HostIsolation{InlineVolumeDrivers: []string{"Secrets Store"}}, []string{"spec.isolation.inlineVolumeDrivers[0]: RFC 1123"}},
		"keys":                 {tenancy.HostIsolation{AllowedAnnotations: []string{"example.org/size", "example.org/*"}, DeniedAnnotations: []string{"*"}, AllowedLabels: []string{"example.org/team"}}, nil},
		"no keys": {tenancy.HostIsolation{AllowedAnnotations: []string{"*", "garret.dev/cluster", "a.garret.dev/*", "*.example.org/x"}, AllowedLabels: []string{"team"}}, []string{
			"spec.isolation.allowedAnnotations[0]: must be a key with its domain", "spec.isolation.allowedAnnotations[1]: must not be in the domain garret.dev",
			"spec.isolation.allowedAnnotations[2]: must not be in the domain garret.dev", "spec.isolation.allowedAnnotations[3]: prefix part", "spec.isolation.allowedLabels[0]: must be a key with its domain",
		}},
		"no ranges": {tenancy.HostIsolation{EndpointRanges: []string{"192.0.2.1", "", "192.0.2.0/33", "10.0.0.0/8 "}}, []string{
			"spec.isolation.endpointRanges[0]: must be an address range", "spec.isolation.endpointRanges[1]: must be an address range",
			"spec.isolation.endpointRanges[2]: must be an address range", "spec.isolation.endpointRanges[3]: must be an address range",
		}},
		"no external range": {tenancy.HostIsolation{ExternalIPRanges: []string{"203.0.113.1"}}, []string{"spec.isolation.externalIPRanges[0]: must be an address range"}},
		"in the middle of a range": {tenancy.HostIsolation{EndpointRanges: []string{"192.0.2.9/24", "2001:db8::1/64"}}, []string{
			"spec.isolation.endpointRanges[0]: 192.0.2.0/24", "spec.isolation.endpointRanges[1]: 2001:db8::/64",
		}},
		"IPv4 in IPv6":     {tenancy.HostIsolation{EgressRanges: []string{"::ffff:192.0.2.0/120"}}, []string{"spec.isolation.egressRanges[0]: IPv4 range"}},
		"a zone":           {tenancy.HostIsolation{EgressRanges: []string{"fe80::%eth0/64"}}, []string{"spec.isolation.egressRanges[0]: must be an address range"}},
		"an unknown bound": {tenancy.HostIsolation{Quota: hard("cpu", "1")}, []string{"spec.isolation.quota.hard[cpu]: supported values"}},
		"half a bound":     {tenancy.HostIsolation{Quota: hard("services", "1500m")}, []string{"spec.isolation.quota.hard[services]: must be a whole number"}},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{
				ObjectMeta: metav1.ObjectMeta{Name: v1.LocalHostCluster, ResourceVersion: "1"},
				Spec:       tenancy.HostClusterSpec{Isolation: test.isolation},
			}
			expect(t, HostClusterCreate(host), test.want...)
			expect(t, HostClusterUpdate(host, host), test.want...)
		})
	}
}
