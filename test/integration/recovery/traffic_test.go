// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// podAddress is that of a pod which this process plays.
const podAddress = "127.0.0.3"

// TestConnectionWakes connects to a Service of a virtual cluster that sleeps, as the host's network
// does. That wakes it, and the connection reaches the pod once it is ready.
func TestConnectionWakes(t *testing.T) {
	t.Parallel()
	if reachable() == "" {
		t.Skip("this machine has no address but loopback, which no EndpointSlice may name")
	}
	listener, err := net.Listen("tcp", podAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello from the pod\n")
			_ = conn.Close()
		}
	}()
	m := runOnMachine(t)
	m.create(t, "shop")
	m.wakes(t, "shop")
	clusters := host.garret.Clients.TenancyV1().VirtualClusters(m.Namespace)
	framework.Succeeds(t, "connections are to wake it", func(ctx context.Context) error {
		_, err := clusters.Patch(ctx, m.Name, types.MergePatchType, []byte(`{"spec":{"sleep":{"wakeOnTraffic":true}}}`), metav1.PatchOptions{})
		return err
	})
	framework.Succeeds(t, "a service leads to the pod's port", func(ctx context.Context) error {
		_, err := m.Client.CoreV1().Services(space).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "door"}, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "shop"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt(listener.Addr().(*net.TCPAddr).Port)}}}}, metav1.CreateOptions{})
		return err
	})
	framework.Succeeds(t, "the host has it", func(context.Context) error {
		if m.onHost(t, "services")[space+"/door"] == "" {
			return errors.New("it is not there")
		}
		return nil
	})
	m.doze(t)
	m.sleeps(t)

	conn := m.knock(t, "door")
	m.wakes(t, "shop")
	m.ready(t, "shop")
	_ = conn.SetDeadline(time.Now().Add(framework.Timeout))
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello from the pod\n" {
		t.Errorf("got %q, %v; want the pod's answer", got, err)
	}
	vc, err := clusters.Get(t.Context(), m.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if woken := vc.Status.Sleep.Woken; woken == nil || woken.Cause != v1.WakeCauseTraffic || woken.User != "" {
		t.Errorf("woken: got %+v, want the cause %s", woken, v1.WakeCauseTraffic)
	}
}

// knock connects to where the host's network leads for a Service.
func (m *machine) knock(t *testing.T, name string) net.Conn {
	t.Helper()
	var conn net.Conn
	framework.Succeeds(t, "a connection to the Service "+name+" stands", func(ctx context.Context) error {
		services, err := host.Client.CoreV1().Services(m.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1.LabelCluster})
		if err != nil {
			return err
		}
		slices, err := host.Client.DiscoveryV1().EndpointSlices(m.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1.LabelActivatorOf})
		if err != nil {
			return err
		}
		for _, service := range services.Items {
			for _, slice := range slices.Items {
				if service.Annotations[v1.AnnotationVirtualName] != name || slice.OwnerReferences[0].UID != service.UID {
					continue
				}
				conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(slice.Endpoints[0].Addresses[0], fmt.Sprint(*slice.Ports[0].Port)))
				return err
			}
		}
		return errors.New("no slice leads anywhere")
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ready has the host say that the pod answers at this process's address.
func (m *machine) ready(t *testing.T, name string) {
	t.Helper()
	framework.Succeeds(t, "the pod "+name+" is ready", func(ctx context.Context) error {
		pods, err := host.Client.CoreV1().Pods(m.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1.LabelCluster})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.Annotations[v1.AnnotationVirtualName] != name || pod.DeletionTimestamp != nil {
				continue
			}
			pod.Status.PodIP, pod.Status.PodIPs = podAddress, []corev1.PodIP{{IP: podAddress}}
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			_, err := host.Client.CoreV1().Pods(m.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
			return err
		}
		return errors.New("it is not there")
	})
}
