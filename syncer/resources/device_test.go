// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// reserving are pods on the host that a claim there may be reserved for, as namespace/name inside.
func (d *devices) reserving(t *testing.T, pods ...*corev1.Pod) []resourcev1.ResourceClaimConsumerReference {
	t.Helper()
	var refs []resourcev1.ResourceClaimConsumerReference
	for _, pod := range pods {
		twin := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "host-" + pod.UID}}
		d.translator.Mark(twin, translate.IdentityFor(pod), nil, nil)
		if err := d.pods.virtual.Indexer().Add(pod); err != nil {
			t.Fatal(err)
		}
		if err := d.pods.host.Indexer().Add(twin); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: twin.Name, UID: twin.UID})
	}
	return refs
}

func testDevices(t *testing.T, objects ...*resourcev1.ResourceClaim) *devices {
	t.Helper()
	client := fake.NewClientset()
	for _, object := range objects {
		if err := client.Tracker().Add(object); err != nil {
			t.Fatal(err)
		}
	}
	virtual, host := NewVirtual(client), NewHost(fake.NewClientset(), testTranslator().Cluster(), ShownNodes{})
	d := &devices{translator: testTranslator(), client: client}
	d.pods.virtual, d.pods.host = virtual.Pods, host.Pods
	virtual.Pods.Follow()
	host.Pods.Follow()
	resource := resourcev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceDeviceClaims)
	d.virtual = engine.NewStore(virtual.Informers, resource, client.ResourceV1().ResourceClaims, engine.StoreOptions{})
	d.host = engine.NewStore(host.Informers, resource, host.Client.ResourceV1().ResourceClaims, marked(d.translator.Cluster()))
	d.virtual.Follow()
	d.host.Follow()
	return d
}

func podNamed(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{NodeName: "n"}}
	for _, each := range change {
		each(pod)
	}
	return pod
}

// allocated is a claim on the host with a device, which the class configures.
func allocated(device string, refs ...resourcev1.ResourceClaimConsumerReference) *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}, Status: resourcev1.ResourceClaimStatus{
		ReservedFor: refs,
		Allocation: &resourcev1.AllocationResult{
			NodeSelector: &corev1.NodeSelector{},
			Devices: resourcev1.DeviceAllocationResult{
				Results: []resourcev1.DeviceRequestAllocationResult{{Request: "one", Driver: "gpu.example.org", Pool: "n", Device: device}},
				Config: []resourcev1.DeviceAllocationConfiguration{
					{Source: resourcev1.AllocationConfigSourceClass, DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "secret"}}},
					{Source: resourcev1.AllocationConfigSourceClaim, DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "own"}}}},
			},
		},
		Devices: []resourcev1.AllocatedDeviceStatus{{Driver: "gpu.example.org", Pool: "n", Device: device}},
	}}
}

func claimInside() *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "gpu", UID: "c"}}
}

// TestDevicesInside brings inside what the host allocated, for the pods inside that have it, and
// nothing of what is for others.
func TestDevicesInside(t *testing.T) {
	virtual := claimInside()
	d := testDevices(t, virtual)
	refs := d.reserving(t, podNamed("web"),
		podNamed("ended", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		podNamed("going", func(p *corev1.Pod) { p.DeletionTimestamp, p.Spec.NodeName = ptr.To(metav1.Now()), "" }),
		podNamed("elsewhere", func(p *corev1.Pod) { p.Namespace = "other" }))
	refs = append(refs, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "of-the-host", UID: "x"},
		resourcev1.ResourceClaimConsumerReference{APIGroup: "scheduling.k8s.io", Resource: "podgroups", Name: "g", UID: "y"},
		resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: refs[0].Name, UID: "earlier"})
	if err := d.status(t.Context(), virtual, allocated("one", refs...)); err != nil {
		t.Fatal(err)
	}
	claims := d.client.ResourceV1().ResourceClaims("shop")
	get := func() *resourcev1.ResourceClaim {
		t.Helper()
		got, err := claims.Get(t.Context(), "gpu", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := get()
	if want := []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "web", UID: "web"}}; !slices.Equal(got.Status.ReservedFor, want) {
		t.Errorf("reserved for %v, want %v", got.Status.ReservedFor, want)
	}
	if !slices.Equal(got.Finalizers, []string{resourcev1.Finalizer}) {
		t.Errorf("finalizers: got %v, want the one that protects what is allocated", got.Finalizers)
	}
	allocation := got.Status.Allocation
	if allocation == nil || len(got.Status.Devices) != 1 || allocation.Devices.Results[0].Device != "one" {
		t.Fatalf("got %+v, want the device that the host allocated", got.Status)
	}
	if allocation.NodeSelector != nil || len(allocation.Devices.Config) != 1 || allocation.Devices.Config[0].Opaque.Driver != "own" {
		t.Errorf("got %+v, want nothing of nodes, and no configuration but the claim's own", allocation)
	}

	// Nobody may change an allocation: another one follows none at all.
	for _, want := range []string{"", "two", "two"} {
		if err := d.status(t.Context(), got, allocated("two", refs...)); err != nil {
			t.Fatal(err)
		}
		got = get()
		device := ""
		if got.Status.Allocation != nil {
			device = got.Status.Allocation.Devices.Results[0].Device
		}
		if device != want {
			t.Errorf("allocated again: got device %q, want %q", device, want)
		}
	}
	// An older API server inside may have left out a field, and is not asked again and again.
	later := allocated("two", refs...)
	later.Status.Allocation.Devices.Results[0].ShareID = ptr.To(types.UID("s"))
	if err := d.status(t.Context(), got, later); err != nil {
		t.Fatal(err)
	}
	if got = get(); got.Status.Allocation == nil {
		t.Error("a field that the API server inside does not keep takes the allocation away")
	}
	// The pod ended inside, and the host has not seen it yet: the controller inside has taken the claim back.
	if err := d.status(t.Context(), got, allocated("two", refs[1])); err != nil {
		t.Fatal(err)
	}
	if got = get(); got.Status.Allocation != nil || len(got.Finalizers) > 0 {
		t.Errorf("got %+v with %v, want it free and not protected", got.Status, got.Finalizers)
	}
}

// TestDevicesOfAClaimThatGoes adds nothing to a claim that is being deleted, which its API server would refuse.
func TestDevicesOfAClaimThatGoes(t *testing.T) {
	reserved := func(names ...string) []resourcev1.ResourceClaimConsumerReference {
		var refs []resourcev1.ResourceClaimConsumerReference
		for _, name := range names {
			refs = append(refs, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: name, UID: types.UID(name)})
		}
		return refs
	}
	for name, test := range map[string]struct {
		before, want []resourcev1.ResourceClaimConsumerReference
	}{
		"not allocated": {nil, nil},
		"allocated":     {reserved("web", "ended"), reserved("web")},
	} {
		t.Run(name, func(t *testing.T) {
			virtual := claimInside()
			virtual.DeletionTimestamp, virtual.Finalizers = ptr.To(metav1.Now()), []string{"example.org/slow"}
			if test.before != nil {
				virtual.Status = allocated("one", test.before...).Status
			}
			d := testDevices(t, virtual)
			if err := d.status(t.Context(), virtual, allocated("one", d.reserving(t, podNamed("web"), podNamed("late"))...)); err != nil {
				t.Fatal(err)
			}
			got, err := d.client.ResourceV1().ResourceClaims("shop").Get(t.Context(), "gpu", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Status.ReservedFor, test.want) || (got.Status.Allocation != nil) != (test.want != nil) || len(got.Finalizers) != 1 {
				t.Errorf("got %+v with %v, want it kept for %v, and for no other", got.Status, got.Finalizers, test.want)
			}
		})
	}
}

// TestClaimsOfPods says which claims a pod has on the host, and what it waits for.
func TestClaimsOfPods(t *testing.T) {
	d := testDevices(t)
	d.exceptions.DeviceClass = func(name string) bool { return name == "gpus" }
	add := func(claim *resourcev1.ResourceClaim, class string) {
		claim.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "one", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class}}}
		if err := d.virtual.Indexer().Add(claim); err != nil {
			t.Fatal(err)
		}
	}
	of := func(name string) *resourcev1.ResourceClaim {
		claim := claimInside()
		claim.Name, claim.UID = name, types.UID(name)
		return claim
	}
	owned := of("web-gpu-x")
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web", UID: "web", Controller: ptr.To(true)}}
	add(owned, "gpus")
	add(of("shared"), "gpus")
	add(of("hidden"), "none")
	add(of("again"), "gpus")
	earlier := &resourcev1.ResourceClaim{}
	d.translator.Mark(earlier, translate.Identity{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "again"}, UID: "earlier"}, nil, nil)
	if err := d.host.Indexer().Add(earlier); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		name, template, made string
		want, fails          string
	}{
		"by name":                         {name: "shared", want: "shared"},
		"by its name on the host":         {name: d.translator.HostName("shop", "again"), fails: d.translator.HostName("shop", "again") + " is not there"},
		"not there yet":                   {name: "later", fails: "ResourceClaim later is not there"},
		"of a template":                   {template: "gpus", made: "web-gpu-x", want: "web-gpu-x"},
		"of a template, not made yet":     {template: "gpus", fails: "has not been made of the template yet"},
		"of a template, made for another": {template: "gpus", made: "shared", fails: "was not created for Pod shop/web"},
		"of a template, gone":             {template: "gpus", made: "gone", fails: "is not there yet"},
		"of a class that is not shown":    {name: "hidden", fails: `ResourceClaim hidden: spec.devices.requests[0].exactly.deviceClassName "none" is refused`},
		"of a name of before":             {name: "again", fails: "an earlier ResourceClaim again is still on the host"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := podNamed("web", func(pod *corev1.Pod) {
				claim := corev1.PodResourceClaim{Name: "gpu"}
				if test.name != "" {
					claim.ResourceClaimName = &test.name
				} else {
					claim.ResourceClaimTemplateName = &test.template
				}
				pod.Spec.ResourceClaims = []corev1.PodResourceClaim{claim}
				if test.made != "" {
					pod.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: &test.made}}
				}
			})
			names, err := d.claimsOf(pod)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("got %v, want %q", err, test.fails)
				}
				return
			}
			if want := d.translator.HostName("shop", test.want); err != nil || names["gpu"] != want {
				t.Errorf("got %v and %v, want %s", names, err, want)
			}
			nameDevices(&pod.Spec, names)
			if claim := pod.Spec.ResourceClaims[0]; claim.ResourceClaimTemplateName != nil || *claim.ResourceClaimName != names["gpu"] {
				t.Errorf("the host pod has %+v, want the claim by its name there", claim)
			}
		})
	}
}

// TestEveryFieldOfDevicesIsDecided fails for a field that a later Kubernetes adds to what the host
// says of a claim, until somebody has decided whether it tells of what is not the tenant's.
func TestEveryFieldOfDevicesIsDecided(t *testing.T) {
	decided := map[reflect.Type]string{
		reflect.TypeFor[resourcev1.ResourceClaimStatus]():           "own: ReservedFor Allocation host: Devices",
		reflect.TypeFor[resourcev1.AllocationResult]():              "own: Devices none: NodeSelector host: AllocationTimestamp",
		reflect.TypeFor[resourcev1.DeviceAllocationResult]():        "own: Config host: Results",
		reflect.TypeFor[resourcev1.DeviceAllocationConfiguration](): "own: Source host: Requests DeviceConfiguration",
		reflect.TypeFor[resourcev1.DeviceRequestAllocationResult](): `host: Request Driver Pool Device AdminAccess Tolerations
			BindingConditions BindingFailureConditions ShareID ConsumedCapacity SkipNodeOperations`,
		reflect.TypeFor[resourcev1.AllocatedDeviceStatus](): "host: Driver Pool Device ShareID Conditions Data NetworkData",
	}
	for kind, fields := range decided {
		for i := range kind.NumField() {
			if name := kind.Field(i).Name; !slices.Contains(strings.Fields(fields), name) {
				t.Errorf("%s.%s is not decided: may a tenant see it?", kind.Name(), name)
			}
		}
	}
	shown := &resourcev1.DeviceClassSpec{}
	for i := range reflect.TypeFor[resourcev1.DeviceClassSpec]().NumField() {
		if name := reflect.TypeOf(*shown).Field(i).Name; !slices.Contains([]string{"ExtendedResourceName", "Selectors", "Config"}, name) {
			t.Errorf("DeviceClassSpec.%s is not decided: may a tenant see it?", name)
		}
	}
}
