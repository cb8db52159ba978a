// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// operation is one step of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patch writes what the host allocated into the virtual Service, and the name if
// that was generated here.
func patch(virtual, host *corev1.Service, generated string) ([]byte, error) {
	var operations []operation
	add := func(path string, value any) {
		operations = append(operations, operation{"add", path, value})
	}
	if generated != "" {
		add("/metadata/name", generated)
	}
	if host != nil {
		add("/spec/clusterIP", host.Spec.ClusterIP)
		add("/spec/clusterIPs", host.Spec.ClusterIPs)
		for i := range virtual.Spec.Ports {
			if i < len(host.Spec.Ports) && samePort(virtual.Spec.Ports[i], host.Spec.Ports[i]) &&
				virtual.Spec.Ports[i].NodePort == 0 && host.Spec.Ports[i].NodePort != 0 && exposed(virtual) {
				add(fmt.Sprintf("/spec/ports/%d/nodePort", i), host.Spec.Ports[i].NodePort)
			}
		}
		if virtual.Spec.HealthCheckNodePort == 0 && host.Spec.HealthCheckNodePort != 0 &&
			virtual.Spec.Type == corev1.ServiceTypeLoadBalancer && virtual.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
			add("/spec/healthCheckNodePort", host.Spec.HealthCheckNodePort)
		}
	}
	if len(operations) == 0 {
		return nil, nil
	}
	return json.Marshal(operations)
}

func samePort(a, b corev1.ServicePort) bool {
	return a.Port == b.Port && protocol(a) == protocol(b)
}

func protocol(port corev1.ServicePort) corev1.Protocol {
	if port.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return port.Protocol
}

func exposed(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeNodePort || service.Spec.Type == corev1.ServiceTypeLoadBalancer
}
