// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestEnvironmentFits has a namespace with more services than a container can start with.
func TestEnvironmentFits(t *testing.T) {
	virtual := NewVirtual(fake.NewClientset())
	virtual.Services.Follow()
	e := &environments{translator: testTranslator(), virtual: virtual}
	made := time.Now()
	add := func(name string, ports int) {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(made)}}
		service.Spec.ClusterIP = "10.96.0.10"
		for i := range ports {
			service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("port-", i), Port: int32(i + 1)})
		}
		made = made.Add(time.Second)
		if err := virtual.Services.Indexer().Add(service); err != nil {
			t.Fatal(err)
		}
	}
	add("first", 2)
	if data, leftOut := e.data("shop"); leftOut > 0 || data["FIRST_SERVICE_PORT_PORT_1"] != "2" || data["KUBERNETES_SERVICE_HOST"] == "" {
		t.Errorf("with a service of two ports: got %d left out of %v", leftOut, data)
	}
	for i := range 100 {
		add(fmt.Sprint("many-", i), 100)
	}
	data, leftOut := e.data("shop")
	size := 0
	for name, value := range data {
		size += len(name) + len(value)
	}
	if leftOut == 0 || size > maxEnvironment || size < maxEnvironment/2 {
		t.Errorf("got %d bytes and %d variables left out, want as much as fits", size, leftOut)
	}
	for _, name := range []string{"KUBERNETES_SERVICE_HOST", "FIRST_PORT_2_TCP_ADDR", "MANY_99_SERVICE_HOST", "MANY_99_SERVICE_PORT"} {
		if data[name] == "" {
			t.Errorf("%s is left out; want the address of each service, and the ports of the oldest", name)
		}
	}
	// What a process starts with does not change when others come.
	add("latest", 100)
	if after, _ := e.data("shop"); after["MANY_0_PORT_7_TCP"] != data["MANY_0_PORT_7_TCP"] || after["LATEST_SERVICE_HOST"] == "" {
		t.Error("a service that came later took the place of another's")
	}
}
