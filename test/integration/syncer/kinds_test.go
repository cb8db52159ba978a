// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// fields is a part of an object.
type fields = map[string]any

// kind is one that is synced, with what the checks of the table need to know about it.
type kind struct {
	schema.GroupVersionResource
	kind string
	// object is a valid one without metadata, as small as it gets.
	object fields
	// path leads to a field that is the same on both sides. Values are what it has
	// in object, and what it can be changed to. Without a path it is a label.
	path   []string
	values [2]any
	// drift is another value, which somebody on the host sets.
	drift any
	// selector is the path of a map of labels on the host that select.
	selector []string
	// need makes what has the syncer carry an object of this name.
	need func(s *side, name string)
}

// kinds are all that have the same object on both sides. A new one is a row here.
func kinds() []*kind {
	return []*kind{
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceConfigMaps), kind: "ConfigMap",
			object: fields{"data": fields{"key": "one"}},
			path:   []string{"data", "key"}, values: [2]any{"one", "two"}, drift: "three",
			need: func(s *side, name string) {
				s.needed("configmap-"+name, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
			},
		},
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceSecrets), kind: "Secret",
			object: fields{"data": fields{"key": "b25l"}},
			path:   []string{"data", "key"}, values: [2]any{"b25l", "dHdv"}, drift: "dGhyZWU=",
			need: func(s *side, name string) {
				s.needed("secret-"+name, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
			},
		},
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceServices), kind: "Service",
			object: fields{"spec": fields{"selector": fields{"app": "web"}, "ports": []any{fields{"port": int64(80)}}}},
			path:   []string{"spec", "sessionAffinity"}, values: [2]any{"None", "ClientIP"}, drift: "ClientIP",
			selector: []string{"spec", "selector"},
		},
		{
			GroupVersionResource: discoveryv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceEndpointSlices), kind: "EndpointSlice",
			object: fields{"addressType": "IPv4", "endpoints": []any{fields{"addresses": []any{"192.0.2.1"}}}, "ports": portNumber(80)},
			path:   []string{"ports"}, values: [2]any{portNumber(80), portNumber(81)}, drift: portNumber(82),
			need: func(s *side, name string) {
				_, err := s.virtual.CoreV1().Services(s.namespace).Create(s.t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "for-" + name},
					Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
				s.must(err)
			},
		},
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceServiceAccounts), kind: "ServiceAccount",
			object: fields{},
		},
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceClaims), kind: "PersistentVolumeClaim",
			object: fields{"spec": fields{"accessModes": []any{"ReadWriteOnce"}, "resources": fields{"requests": fields{"storage": "1Gi"}}}},
		},
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePods), kind: "Pod",
			object: fields{"spec": fields{"containers": []any{fields{"name": "app", "image": "busybox:1"}}}},
		},
		{
			GroupVersionResource: networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceIngresses), kind: "Ingress",
			object: fields{"spec": fields{"ingressClassName": "one", "rules": []any{fields{"host": "shop.example"}}}},
			path:   []string{"spec", "ingressClassName"}, values: [2]any{"one", "two"}, drift: "three",
		},
		{
			GroupVersionResource: policyv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceBudgets), kind: "PodDisruptionBudget",
			object: fields{"spec": fields{"selector": fields{"matchLabels": fields{"app": "web"}}, "minAvailable": int64(1)}},
			path:   []string{"spec", "minAvailable"}, values: [2]any{int64(1), int64(2)}, drift: int64(3),
			selector: []string{"spec", "selector", "matchLabels"},
		},
		{
			GroupVersionResource: networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePolicies), kind: "NetworkPolicy",
			object: fields{"spec": fields{"podSelector": fields{"matchLabels": fields{"app": "policed"}}, "policyTypes": []any{"Ingress"}}},
			path:   []string{"spec", "policyTypes"}, values: [2]any{[]any{"Ingress"}, []any{"Ingress", "Egress"}}, drift: []any{"Egress"},
			selector: []string{"spec", "podSelector", "matchLabels"},
		},
		{
			GroupVersionResource: resourcev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceDeviceClaims), kind: "ResourceClaim",
			object: fields{"spec": fields{"devices": fields{}}},
			need: func(s *side, name string) {
				s.createPod("for-devices-"+name, claiming(corev1.PodResourceClaim{Name: "device", ResourceClaimName: &name}))
			},
		},
		{
			// By a rule, which stands beside its tests.
			GroupVersionResource: widgets, kind: "Widget",
			object: fields{"spec": fields{"size": int64(1), "selector": fields{"app": "web"}}},
			path:   []string{"spec", "size"}, values: [2]any{int64(1), int64(2)}, drift: int64(3),
			selector: []string{"spec", "selector"},
		},
	}
}

// needed makes a pod that refers to an object.
func (s *side) needed(what string, from corev1.EnvFromSource) {
	s.createPod("for-"+what, corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1", EnvFrom: []corev1.EnvFromSource{from}}}})
}

func portNumber(port int64) []any {
	return []any{fields{"name": "", "port": port, "protocol": "TCP"}}
}
