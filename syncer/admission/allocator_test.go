// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/translate"
)

// inUse has the host say of each Service that what it asks for is taken, for as long as that is so.
func inUse(onHost *fake.Clientset, taken func() bool) {
	onHost.PrependReactor("create", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if !taken() {
			return false, nil, nil
		}
		name := action.(clienttesting.CreateAction).GetObject().(*corev1.Service).Name
		return true, nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), name, nil)
	})
}

// allocating is an Allocator of the virtual cluster "demo", in which there is no Service.
func allocating(onHost *fake.Clientset) *Allocator {
	return &Allocator{Marker: resources.Marker{Translator: translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})},
		Virtual: fake.NewClientset(), Host: onHost, Evidence: lineagetest.Certain{}}
}

// TestPortThatIsAboutToBeFree has the host refuse a port for a moment after its Service is gone, as an
// API server does that deletes first and then lets go of the port.
func TestPortThatIsAboutToBeFree(t *testing.T) {
	for name, test := range map[string]struct {
		refusals int
		// gone says that the syncer saw the host delete a Service with the port; again, that another one
		// came that has it.
		gone, again bool
		allowed     bool
	}{
		"for a moment":           {refusals: 3, allowed: true},
		"by somebody else":       {refusals: 100},
		"while the host is busy": {refusals: 12, gone: true, allowed: true},
		"by the next one":        {refusals: 12, gone: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			onHost, asked := host(), 0
			inUse(onHost, func() bool { asked++; return asked <= test.refusals })
			allocator := allocating(onHost)
			port := func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30218 }
			if test.gone {
				services := informers.NewSharedInformerFactory(onHost, 0).Core().V1().Services().Informer()
				if err := allocator.Follow(services); err != nil {
					t.Fatal(err)
				}
				go services.RunWithContext(t.Context())
				comes := func(object *corev1.Service) {
					t.Helper()
					if err := onHost.Tracker().Add(object); err != nil {
						t.Fatal(err)
					}
					until(t, func() bool { return len(services.GetStore().ListKeys()) == 1 })
				}
				last := service("last", of(corev1.ServiceTypeNodePort), port)
				comes(last)
				if err := onHost.CoreV1().Services(last.Namespace).Delete(t.Context(), last.Name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				wanted := service("next", of(corev1.ServiceTypeNodePort), port)
				until(t, func() bool { return allocator.justGone(wanted) })
				if test.again {
					comes(wanted)
				}
			}
			next := service("web", of(corev1.ServiceTypeNodePort), port)
			response := review(t, NewServer(nil, nil, allocator), admissionv1.Create, next, nil, false)
			if response.Allowed != test.allowed || !test.allowed && response.Result.Reason != metav1.StatusReasonInvalid {
				t.Errorf("got %+v after %d requests, want allowed %v, or that the host finds it invalid", response.Result, asked, test.allowed)
			}
		})
	}
}

// TestAddressOfAServiceOfAMoment asks for the address of a Service that was deleted before the engine
// saw it. Its host Service names no UID, and the engine deletes that later.
func TestAddressOfAServiceOfAMoment(t *testing.T) {
	onHost := host()
	allocator := allocating(onHost)
	left := resources.HostService(allocator.Marker, service("left", at("10.0.0.7")))
	if err := onHost.Tracker().Add(left); err != nil {
		t.Fatal(err)
	}
	inUse(onHost, func() bool {
		_, err := onHost.Tracker().Get(corev1.SchemeGroupVersion.WithResource("services"), hostNamespace, left.Name)
		return err == nil
	})
	deleted := make(chan error, 1)
	time.AfterFunc(2*(goneTries+1)*leavingPause, func() {
		deleted <- onHost.CoreV1().Services(hostNamespace).Delete(context.Background(), left.Name, metav1.DeleteOptions{})
	})
	response := review(t, NewServer(nil, nil, allocator), admissionv1.Create, service("next", at("10.0.0.7")), nil, false)
	if err := <-deleted; err != nil || !response.Allowed {
		t.Errorf("got %+v, %v, want the address once it is free", response.Result, err)
	}
}

// TestAddressThatStaysTaken has the engine leave such a host Service for longer than the webhook waits.
// The webhook tells the client to try again.
func TestAddressThatStaysTaken(t *testing.T) {
	onHost := host()
	allocator := allocating(onHost)
	if err := onHost.Tracker().Add(resources.HostService(allocator.Marker, service("left", at("10.0.0.7")))); err != nil {
		t.Fatal(err)
	}
	inUse(onHost, func() bool { return true })
	_, err := allocator.Allocate(t.Context(), service("next", at("10.0.0.7")), false)
	if seconds, again := apierrors.SuggestsClientDelay(err); !apierrors.IsServerTimeout(err) || !again || seconds != 1 {
		t.Errorf("got %v, want that the client tries again after a second", err)
	}
}

// until returns when what the syncer learns from its watches is so.
func until(t *testing.T, learnt func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return learnt(), nil })
	if err != nil {
		t.Fatal(err)
	}
}
