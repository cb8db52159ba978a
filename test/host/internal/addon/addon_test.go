// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package addon

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

var values = Values{DNSAddress: "10.203.128.10", DNSImage: "example.com/dns:v1", ClusterDomain: "cluster.local", Provisioner: "example.com/local",
	MetricsAddress: "10.203.0.11", MetricsPort: 4443, Authority: []byte("authority")}

// render decodes the objects strictly into the types of the API.
func render(t *testing.T) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, rbacv1.AddToScheme, storagev1.AddToScheme,
		discoveryv1.AddToScheme, apiregistrationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	rendered, err := Render(values)
	if err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	for _, u := range rendered {
		data, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(data, nil, nil)
		if err != nil {
			t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
		if _, ok := resources[u.GroupVersionKind().GroupKind()]; !ok {
			t.Errorf("%s %s: its resource is not known", u.GetKind(), u.GetName())
		}
		objects = append(objects, object)
	}
	return objects
}

func TestRender(t *testing.T) {
	var roles, bound []string
	for _, object := range render(t) {
		switch o := object.(type) {
		case *discoveryv1.EndpointSlice:
			if o.Labels[discoveryv1.LabelServiceName] != "metrics-server" || o.Endpoints[0].Addresses[0] != values.MetricsAddress || *o.Ports[0].Port != 4443 {
				t.Errorf("endpoints: got %+v, want those of metrics-server", o)
			}
		case *apiregistrationv1.APIService:
			if o.Spec.Service.Name != "metrics-server" || string(o.Spec.CABundle) != "authority" {
				t.Errorf("APIService: got %+v, want one that leads to metrics-server and verifies it", o.Spec)
			}
		case *corev1.Service:
			if o.Name == "metrics-server" {
				continue
			}
			if o.Spec.ClusterIP != values.DNSAddress {
				t.Errorf("address of DNS: got %s, want %s", o.Spec.ClusterIP, values.DNSAddress)
			}
		case *appsv1.Deployment:
			if got := o.Spec.Template.Spec.Containers[0].Image; got != values.DNSImage {
				t.Errorf("image of DNS: got %s, want %s", got, values.DNSImage)
			}
		case *storagev1.StorageClass:
			if o.Provisioner != values.Provisioner || o.Annotations["storageclass.kubernetes.io/is-default-class"] != "true" {
				t.Errorf("got %+v, want the default class with our provisioner", o)
			}
			if *o.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer || *o.ReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
				t.Errorf("got %s and %s", *o.VolumeBindingMode, *o.ReclaimPolicy)
			}
		case *rbacv1.ClusterRole:
			roles = append(roles, o.Name)
		case *rbacv1.ClusterRoleBinding:
			bound = append(bound, o.RoleRef.Name)
		}
	}
	for _, role := range roles {
		if !strings.Contains(strings.Join(bound, " "), role) {
			t.Errorf("role %s is bound to nobody", role)
		}
	}
}

// CoreDNS asks its plugins in an order of its own, in which "template" comes
// before "kubernetes": within one block every name would be answered NXDOMAIN.
func TestDNSAnswersForTheCluster(t *testing.T) {
	for _, object := range render(t) {
		config, ok := object.(*corev1.ConfigMap)
		if !ok {
			continue
		}
		for _, block := range strings.Split(config.Data["Corefile"], "\n}\n") {
			if strings.Contains(block, "kubernetes ") && strings.Contains(block, "template ") {
				t.Errorf("kubernetes and template stand in one block:\n%s", block)
			}
		}
		return
	}
	t.Error("there is no ConfigMap")
}
