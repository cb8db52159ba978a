// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestEndpointRanges(t *testing.T) {
	ranges, err := ParseAddressRanges([]string{"192.0.2.0/24", "2001:db8::/64"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"192.0.2.7": true, "192.0.3.7": false, "::ffff:192.0.2.7": true, "::ffff:192.0.3.7": false,
		"2001:db8::1": true, "2001:DB8:0:0::1": true, "2001:db8:1::1": false, "2001:db8::1%eth0": false,
		"192.0.2.007": false, "192.0.2": false, "example.com": false, "": false,
	} {
		address, ok := ParseEndpointAddress(text)
		if got := ok && ranges.Contain(address); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
	if _, err := ParseAddressRanges([]string{"192.0.2.1"}); err == nil {
		t.Error("an address was taken for a range")
	}
}

func TestPodEndpoints(t *testing.T) {
	pod := func(phase corev1.PodPhase, hostNetwork bool, ips ...string) *corev1.Pod {
		p := &corev1.Pod{Spec: corev1.PodSpec{HostNetwork: hostNetwork}, Status: corev1.PodStatus{Phase: phase}}
		for i, ip := range ips {
			if i == 0 {
				p.Status.PodIP = ip
			}
			p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
		}
		return p
	}
	claims := pod(corev1.PodRunning, false, "10.0.0.7", "10.0.0.1")
	claims.Status.HostIP = "::ffff:10.0.0.1"
	for name, test := range map[string]struct {
		pod  *corev1.Pod
		want []string
	}{
		"has its node's, too": {claims, []string{"10.0.0.7"}},
		"runs":                {pod(corev1.PodRunning, false, "10.0.0.7", "2001:db8::7"), []string{"10.0.0.7", "2001:db8::7"}},
		"waits":               {pod(corev1.PodPending, false), nil},
		"of its node":         {pod(corev1.PodRunning, true, "10.0.0.1"), nil},
		"has succeeded":       {pod(corev1.PodSucceeded, false, "10.0.0.7"), nil},
		"has failed":          {pod(corev1.PodFailed, false, "10.0.0.7"), nil},
	} {
		var got []string
		for _, address := range PodEndpoints(test.pod) {
			if !slices.Contains(got, address.String()) {
				got = append(got, address.String())
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
