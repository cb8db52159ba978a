// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func equal(t *testing.T, what string, got, want corev1.ResourceList) {
	t.Helper()
	if len(got) != len(want) || !Covers(got, want) || !Covers(want, got) {
		t.Errorf("%s: got %v, want %v", what, text(got), text(want))
	}
}

func text(of corev1.ResourceList) string {
	var out []string
	for name, quantity := range of {
		out = append(out, fmt.Sprintf("%s=%s", name, quantity.String()))
	}
	return strings.Join(out, " ")
}

func always() bool { return true }

func newBook(kind schema.GroupResource, hard ...string) (*Ledger, *Book) {
	l := New("team", "demo", testingclock.NewFakePassiveClock(time.Now()))
	l.Set(Bounds{Hard: list(hard...)})
	return l, l.Book(kind, always)
}

// written is the object as the host answers.
func written(object metav1.Object, version string) metav1.Object {
	object.SetUID(types.UID("uid-of-" + object.GetName()))
	object.SetResourceVersion(version)
	return object
}

func pod(name string, requests corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: requests}}}}}
}

// TestLastPlace has many writes at the same time for few places.
func TestLastPlace(t *testing.T) {
	l, book := newBook(corev1.Resource("pods"), "pods", "5")
	var got atomic.Int32
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			wanted := pod(fmt.Sprint("pod-", i), nil)
			settle, err := book.Charge(wanted)
			if err != nil {
				var exceeded *ExceededError
				if !errors.As(err, &exceeded) {
					t.Error(err)
				}
				return
			}
			time.Sleep(time.Millisecond)
			if i%2 == 0 {
				settle(nil) // the host refuses it
				return
			}
			got.Add(1)
			settle(written(wanted, "1"))
		})
	}
	group.Wait()
	_, used, _ := l.Status()
	if pods := used.Pods().Value(); pods > 5 || int32(pods) != got.Load() {
		t.Errorf("got %d pods charged for %d made, want 5 at most", pods, got.Load())
	}
}

// TestRefusalSaysWhoCanRaiseIt wants figures, the field and the object.
func TestRefusalSaysWhoCanRaiseIt(t *testing.T) {
	_, book := newBook(corev1.Resource("pods"), "pods", "1", "requests.memory", "1Gi")
	book.Saw(written(pod("one", list("memory", "1Gi")), "1"))
	_, err := book.Charge(pod("two", list("memory", "512Mi")))
	want := "exceeded quota of the virtual cluster: requested pods=1,requests.memory=512Mi, used pods=1,requests.memory=1Gi, limited pods=1,requests.memory=1Gi; " +
		"the owner of the VirtualCluster team/demo can raise spec.isolation.quota.hard[pods] and spec.isolation.quota.hard[requests.memory]"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestChangesCount has objects grow: a pod, a claim and a service.
func TestChangesCount(t *testing.T) {
	claim := func(size string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "it"},
			Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage", size)}}}
	}
	service := func(kind corev1.ServiceType) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "it"}, Spec: corev1.ServiceSpec{Type: kind, Ports: make([]corev1.ServicePort, 2)}}
	}
	for name, test := range map[string]struct {
		kind                 string
		hard                 []string
		has, fits, toMuch    metav1.Object
		used                 corev1.ResourceList
		afterTheHostAnswered corev1.ResourceList
	}{
		"a pod that is resized": {"pods", []string{"requests.cpu", "2"}, pod("it", list("cpu", "1")), pod("it", list("cpu", "2")), pod("it", list("cpu", "2100m")),
			list("requests.cpu", "1"), list("requests.cpu", "2")},
		"a claim that is expanded": {"persistentvolumeclaims", []string{"requests.storage", "2Gi"}, claim("1Gi"), claim("2Gi"), claim("3Gi"),
			list("requests.storage", "1Gi"), list("requests.storage", "2Gi")},
		"a service that gets node ports": {"services", []string{"services.nodeports", "2", "services.loadbalancers", "0"},
			service(corev1.ServiceTypeClusterIP), service(corev1.ServiceTypeNodePort), service(corev1.ServiceTypeLoadBalancer),
			list("services.nodeports", "0", "services.loadbalancers", "0"), list("services.nodeports", "2", "services.loadbalancers", "0")},
	} {
		t.Run(name, func(t *testing.T) {
			l, book := newBook(corev1.Resource(test.kind), test.hard...)
			book.Saw(written(test.has, "1"))
			_, used, _ := l.Status()
			equal(t, "used at first", used, test.used)
			if _, err := book.Charge(test.toMuch); err == nil {
				t.Error("too much is not refused")
			}
			settle, err := book.Charge(test.fits)
			if err != nil {
				t.Fatal(err)
			}
			settle(written(test.fits, "2"))
			// The cache is late.
			book.Saw(written(test.has, "1"))
			_, used, _ = l.Status()
			equal(t, "used in the end", used, test.afterTheHostAnswered)
			book.Gone(written(test.fits, "3"))
			_, used, _ = l.Status()
			for name, quantity := range used {
				if !quantity.IsZero() {
					t.Errorf("%s: got %s used when it is gone, want nothing", name, quantity.String())
				}
			}
		})
	}
}

// TestLoweredQuotaEndsNothing lowers a quota below what is used: changes that take
// no more go on.
func TestLoweredQuotaEndsNothing(t *testing.T) {
	l, book := newBook(corev1.Resource("pods"), "pods", "5", "requests.cpu", "5")
	set := 0
	l.OnSet(func() { set++ })
	for i := range 5 {
		book.Saw(written(pod(fmt.Sprint("pod-", i), list("cpu", "1")), "1"))
	}
	lower := Bounds{Hard: list("pods", "1", "requests.cpu", "1")}
	l.Set(lower)
	l.Set(lower)
	if set != 1 {
		t.Errorf("told of %d changes, want one", set)
	}
	if _, err := book.Charge(pod("pod-1", list("cpu", "500m"))); err != nil {
		t.Errorf("a pod that shrinks: got %v, want no refusal", err)
	}
	if _, err := book.Charge(pod("pod-9", list("cpu", "0"))); err == nil {
		t.Error("another pod is not refused")
	}
}

// TestEndedPodsTakeNoCompute wants the place of a pod that has ended to be free.
func TestEndedPodsTakeNoCompute(t *testing.T) {
	l, book := newBook(corev1.Resource("pods"), "pods", "1", "requests.cpu", "1")
	job := pod("job", list("cpu", "1"))
	book.Saw(written(job, "1"))
	ended := job.DeepCopy()
	ended.Status.Phase = corev1.PodSucceeded
	book.Saw(written(ended, "2"))
	if _, err := book.Charge(pod("next", list("cpu", "1"))); err != nil {
		t.Errorf("got %v, want the place of the pod that has ended", err)
	}
	if got := l.used["count/pods"]; got.Value() != 2 {
		t.Errorf("got %s objects, want those that have ended, too", got.String())
	}
}

// TestDeletedBeforeItIsKnown has an object be deleted before its write is answered.
func TestDeletedBeforeItIsKnown(t *testing.T) {
	l, book := newBook(corev1.Resource("pods"), "pods", "1")
	wanted := pod("short", nil)
	settle, err := book.Charge(wanted)
	if err != nil {
		t.Fatal(err)
	}
	made := written(pod("short", nil), "7")
	book.Saw(made)
	book.Gone(made)
	settle(made)
	if _, used, _ := l.Status(); !used.Pods().IsZero() || len(book.entries) > 0 {
		t.Errorf("got %s used, want nothing", used.Pods())
	}
}

// TestUnknownIsClosed wants nothing to be charged before bounds and objects are known.
func TestUnknownIsClosed(t *testing.T) {
	l := New("team", "demo", testingclock.NewFakePassiveClock(time.Now()))
	read := false
	book := l.Book(corev1.Resource("pods"), func() bool { return read })
	for _, step := range []func(){func() {}, func() { l.Set(Bounds{}) }} {
		step()
		if _, err := book.Charge(pod("web", nil)); !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v, want %v", err, ErrUnknown)
		}
	}
	read = true
	if _, err := book.Charge(pod("web", nil)); err != nil {
		t.Errorf("without a quota: got %v", err)
	}
}

// TestUnstated wants pods to say what they take, where a LimitRange does not.
func TestUnstated(t *testing.T) {
	l, book := newBook(corev1.Resource("pods"), "limits.cpu", "2", "requests.memory", "1Gi")
	_, err := book.Charge(pod("silent", nil))
	var unstated *UnstatedError
	if !errors.As(err, &unstated) || !strings.Contains(err.Error(), "limits.cpu for: app; requests.memory for: app") || !strings.Contains(err.Error(), "team/demo") {
		t.Errorf("got %v, want what is missing where", err)
	}
	l.Set(Bounds{Hard: list("limits.cpu", "2", "requests.memory", "1Gi"), Limits: []corev1.LimitRangeItem{
		{Type: corev1.LimitTypeContainer, Max: list("cpu", "1500m"), Default: list("memory", "600Mi")}}})
	settle, err := book.Charge(pod("silent", nil))
	if err != nil {
		t.Fatal(err)
	}
	_, used, _ := l.Status()
	equal(t, "charged", used, list("limits.cpu", "1500m", "requests.memory", "600Mi"))
	settle(nil)
	_, used, _ = l.Status()
	equal(t, "after the host has refused it", used, list("limits.cpu", "0", "requests.memory", "0"))
}

// TestUsage measures objects as a ResourceQuota does.
func TestUsage(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	sum := pod("sum", list("cpu", "1", "memory", "1Gi", "example.org/gpu", "2", "hugepages-2Mi", "4Mi"))
	sum.Spec.Containers[0].Resources.Limits = list("cpu", "2", "memory", "2Gi", "ephemeral-storage", "3Gi")
	sum.Spec.InitContainers = []corev1.Container{
		{Name: "sidecar", RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: list("cpu", "500m")}},
		{Name: "large", Resources: corev1.ResourceRequirements{Requests: list("memory", "5Gi")}},
	}
	sum.Spec.Overhead = list("cpu", "100m")
	whole := pod("whole", list("cpu", "1"))
	whole.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu", "3")}
	lost := pod("lost", list("cpu", "1"))
	lost.DeletionTimestamp, lost.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Now().Add(-time.Hour)}, new(int64)
	class, no := "gold", false
	for name, test := range map[string]struct {
		kind   string
		object any
		want   corev1.ResourceList
	}{
		"containers, init containers, sidecars and overhead": {"pods", sum, list("count/pods", "1", "pods", "1", "cpu", "1600m", "requests.cpu", "1600m", "memory", "5Gi", "requests.memory", "5Gi",
			"requests.example.org/gpu", "2", "hugepages-2Mi", "4Mi", "requests.hugepages-2Mi", "4Mi", "limits.cpu", "2100m", "limits.memory", "2Gi", "limits.ephemeral-storage", "3Gi")},
		"resources of the pod as a whole": {"pods", whole, list("count/pods", "1", "pods", "1", "cpu", "3", "requests.cpu", "3")},
		"a pod that should have ended":    {"pods", lost, list("count/pods", "1")},
		"a claim of a class": {"persistentvolumeclaims", &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1Gi")}},
			Status: corev1.PersistentVolumeClaimStatus{AllocatedResources: list("storage", "2Gi")}},
			list("count/persistentvolumeclaims", "1", "persistentvolumeclaims", "1", "requests.storage", "2Gi",
				"gold.storageclass.storage.k8s.io/persistentvolumeclaims", "1", "gold.storageclass.storage.k8s.io/requests.storage", "2Gi")},
		"a load balancer without node ports": {"services", &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: &no, Ports: []corev1.ServicePort{{}, {NodePort: 30000}}}},
			list("count/services", "1", "services", "1", "services.loadbalancers", "1", "services.nodeports", "1")},
		"a claim of devices": {"resourceclaims", &resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
			{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpus", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 2}},
			{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "nics", AllocationMode: resourcev1.DeviceAllocationModeAll}},
			{FirstAvailable: []resourcev1.DeviceSubRequest{{DeviceClassName: "gpus", Count: 3}, {DeviceClassName: "gpus", Count: 1}, {DeviceClassName: "old-gpus", Count: 4}}},
		}}}}, list("count/resourceclaims", "1", "gpus.deviceclass.resource.k8s.io/devices", "5", "nics.deviceclass.resource.k8s.io/devices", "32",
			"old-gpus.deviceclass.resource.k8s.io/devices", "4")},
		"a secret": {"secrets", &corev1.Secret{}, list("count/secrets", "1", "secrets", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "usage", Usage(corev1.Resource(test.kind), test.object, time.Now()), test.want)
		})
	}
}
