// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// admitted is a host with one Service, whose admission changes what is written.
type admitted struct {
	Writer[*corev1.Service]
	admission func(*corev1.Service)
	service   *corev1.Service
	writes    int
}

func (a *admitted) Create(_ context.Context, service *corev1.Service, _ metav1.CreateOptions) (*corev1.Service, error) {
	a.writes++
	a.service = service.DeepCopy()
	a.service.UID = "host"
	a.admission(a.service)
	return a.service.DeepCopy(), nil
}

func (a *admitted) Update(ctx context.Context, service *corev1.Service, _ metav1.UpdateOptions) (*corev1.Service, error) {
	return a.Create(ctx, service, metav1.CreateOptions{})
}

// Patch sets annotations, and takes away those that are null.
func (a *admitted) Patch(_ context.Context, _ string, _ types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Service, error) {
	var patch struct {
		Metadata struct{ Annotations map[string]*string }
	}
	if err := json.Unmarshal(data, &patch); err != nil {
		return nil, err
	}
	for key, value := range patch.Metadata.Annotations {
		if value == nil {
			delete(a.service.Annotations, key)
		} else {
			metav1.SetMetaDataAnnotation(&a.service.ObjectMeta, key, *value)
		}
	}
	return a.service.DeepCopy(), nil
}

// TestWhatTheHostAnsweredStays makes a Service of which the host changes two
// fields, has something happen, and looks at what is written then.
func TestWhatTheHostAnsweredStays(t *testing.T) {
	none := func(*corev1.Service) {}
	tests := []struct {
		name string
		// inside changes what is asked for, outside what the host has.
		inside, outside func(*corev1.Service)
		// writes are those that it takes.
		writes             int
		affinity, balancer string
		externalName       string
		// after is how many answers still stand.
		after int
	}{
		{name: "nothing", inside: none, outside: none, affinity: "ClientIP", balancer: "mirror", after: 2},
		{name: "another field is asked for", inside: func(s *corev1.Service) { s.Spec.ExternalName = "b" }, outside: none,
			writes: 1, affinity: "ClientIP", balancer: "mirror", externalName: "b", after: 2},
		{name: "another value is asked for", inside: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "theirs" }, outside: none,
			writes: 1, affinity: "ClientIP", balancer: "theirs", after: 1},
		{name: "somebody changes the answer", inside: none, outside: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "stolen" },
			writes: 1, affinity: "ClientIP", balancer: "asked", after: 1},
		{name: "somebody changes another field", inside: none, outside: func(s *corev1.Service) { s.Spec.ExternalName = "stolen" },
			writes: 1, affinity: "ClientIP", balancer: "mirror", after: 2},
		{name: "somebody sets what was asked for", inside: none, outside: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "asked" },
			affinity: "ClientIP", balancer: "asked", after: 2},
		{name: "somebody spoils the annotation", inside: none, outside: func(s *corev1.Service) { s.Annotations[annotationAnswered] = "{" },
			writes: 1, affinity: "", balancer: "asked", after: 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := &corev1.Service{Spec: corev1.ServiceSpec{LoadBalancerIP: "asked"}}
			fill := func(host *corev1.Service) error {
				host.Annotations = map[string]string{"garret.dev/virtual-name": "x"}
				host.Spec.LoadBalancerIP, host.Spec.ExternalName = asked.Spec.LoadBalancerIP, asked.Spec.ExternalName
				host.Spec.SessionAffinity = asked.Spec.SessionAffinity
				return nil
			}
			host := &admitted{admission: func(s *corev1.Service) {
				s.Spec.LoadBalancerIP, s.Spec.SessionAffinity = "mirror", corev1.ServiceAffinityClientIP
			}}
			if err := Create(t.Context(), host, &corev1.Service{}, fill); err != nil {
				t.Fatal(err)
			}
			pass := func() bool {
				t.Helper()
				wrote, err := Carry(t.Context(), host, host.service, fill, func(wanted *corev1.Service) (*corev1.Service, error) {
					return host.Update(t.Context(), wanted, metav1.UpdateOptions{})
				})
				if err != nil {
					t.Fatal(err)
				}
				return wrote
			}
			if pass() {
				t.Error("what the host answered is written again")
			}
			host.admission, host.writes = none, 0
			test.inside(asked)
			test.outside(host.service)
			for range 3 {
				pass()
			}
			if host.writes != test.writes {
				t.Errorf("got %d writes, want %d", host.writes, test.writes)
			}
			got := host.service.Spec
			if string(got.SessionAffinity) != test.affinity || got.LoadBalancerIP != test.balancer || got.ExternalName != test.externalName {
				t.Errorf("got affinity %q, balancer %q and name %q", got.SessionAffinity, got.LoadBalancerIP, got.ExternalName)
			}
			if left := answersOf(host.service); len(left) != test.after {
				t.Errorf("answers: got %v, want %d", left, test.after)
			}
		})
	}
}

// TestWhatWasNotAskedWasNotAnswered has the first update ask for what the creation left out.
func TestWhatWasNotAskedWasNotAnswered(t *testing.T) {
	fill := func(host *corev1.Service) error {
		if host.UID != "" {
			host.Spec.ExternalName = "later"
		}
		return nil
	}
	host := &admitted{admission: func(*corev1.Service) {}}
	if err := Create(t.Context(), host, &corev1.Service{}, fill); err != nil {
		t.Fatal(err)
	}
	wrote, err := Carry(t.Context(), host, host.service, fill, func(wanted *corev1.Service) (*corev1.Service, error) {
		return host.Update(t.Context(), wanted, metav1.UpdateOptions{})
	})
	if err != nil || !wrote || host.service.Spec.ExternalName != "later" {
		t.Errorf("got %q, written %t, %v", host.service.Spec.ExternalName, wrote, err)
	}
}
