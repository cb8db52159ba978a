// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	id, other = "0123456789", "abcdef0123"
	// patience is how long a test waits for what is to come.
	patience = 10 * time.Second
)

func synced(name, cluster string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), Annotations: map[string]string{tenancyv1.AnnotationVirtualName: name},
		Labels: map[string]string{tenancyv1.LabelCluster: cluster, "app": name}}
}

// hostService is a Service of a virtual cluster, with the port 80.
func hostService(name, cluster string, target intstr.IntOrString, changes ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: synced(name, cluster), Spec: corev1.ServiceSpec{
		ClusterIP: "10.96.0.5", ClusterIPs: []string{"10.96.0.5"}, Selector: map[string]string{tenancyv1.LabelCluster: cluster, "app": name},
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: target, Protocol: corev1.ProtocolTCP}}}}
	for _, change := range changes {
		change(s)
	}
	return s
}

// hostPod is a ready pod of a virtual cluster.
func hostPod(name, cluster, address string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: synced(name, cluster),
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, HostIP: "172.18.0.2",
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	for _, change := range changes {
		change(p)
	}
	return p
}

func sleeper(name, cluster string, sleep int64) *tenancyv1.VirtualCluster {
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(cluster)}}
	now := metav1.Now()
	vc.Status.ClusterID = cluster
	vc.Status.Sleep = &tenancyv1.SleepStatus{Number: sleep, Since: &now, Reason: tenancyv1.SleepReasonInactive}
	return vc
}

func awake(vc *tenancyv1.VirtualCluster) *tenancyv1.VirtualCluster {
	vc = vc.DeepCopy()
	vc.Status.Sleep.Since = nil
	return vc
}

// knocks are what an Activator asked for.
type knocks struct {
	sync.Mutex
	of map[string]int
}

func (k *knocks) knock(name types.NamespacedName, sleep int64) {
	k.Lock()
	defer k.Unlock()
	k.of[fmt.Sprintf("%s %d", name, sleep)]++
}

func (k *knocks) names() []string {
	k.Lock()
	defer k.Unlock()
	return slices.Sorted(maps.Keys(k.of))
}

func newActivator(t *testing.T, change func(*Options), objects ...runtime.Object) (*Activator, *fake.Clientset, *knocks) {
	t.Helper()
	host, asked := fake.NewClientset(objects...), &knocks{of: map[string]int{}}
	o := Options{Host: host, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Node: "node", Knock: asked.knock, Linger: time.Millisecond}
	if change != nil {
		change(&o)
	}
	a := New(o)
	t.Cleanup(func() { a.Stop(context.Background()) })
	return a, host, asked
}

func guard(t *testing.T, a *Activator, vc *tenancyv1.VirtualCluster) map[string]string {
	t.Helper()
	left, err := a.Guard(t.Context(), vc)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// slicesOn are the slices of activators, by name.
func slicesOn(t *testing.T, host *fake.Clientset) map[string]discoveryv1.EndpointSlice {
	t.Helper()
	list, err := host.DiscoveryV1().EndpointSlices("team").List(t.Context(), metav1.ListOptions{LabelSelector: tenancyv1.LabelActivatorOf})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]discoveryv1.EndpointSlice{}
	for _, slice := range list.Items {
		found[slice.Name] = slice
	}
	return found
}

// through connects as a node of the host does: to what the slice of the Service says.
func through(t *testing.T, host *fake.Clientset, service string) net.Conn {
	t.Helper()
	conn, err := dial(t, host, service)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func dial(t *testing.T, host *fake.Clientset, service string) (net.Conn, error) {
	t.Helper()
	slice, ok := slicesOn(t, host)[service+"-activator-ipv4"]
	if !ok {
		t.Fatalf("no slice leads from Service %s to the activator", service)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(slice.Endpoints[0].Addresses[0], fmt.Sprint(*slice.Ports[0].Port)))
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// echo is a pod's program at an address of this machine. It returns its port.
func echo(t *testing.T, address string) int {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0")
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
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

// says sends a text, and wants it back.
func says(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		return fmt.Errorf("got %q, %w", got, err)
	}
	return nil
}

// refused wants a connection broken without an answer.
func refused(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Errorf("%s: got %d bytes, %v; want the connection broken", what, n, err)
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("%s: the connection hangs", what)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// TestConnectionsWake has many connect to a Service whose virtual cluster sleeps. They ask for one
// wake, wait, and reach the pod once it is ready. Then the Service leads to its pods alone.
func TestConnectionsWake(t *testing.T) {
	const address = "127.0.0.2"
	port := echo(t, address)
	a, host, asked := newActivator(t, nil, hostService("web", id, intstr.FromInt(port)))
	vc := sleeper("demo", id, 3)
	if left := guard(t, a, vc); len(left) > 0 {
		t.Fatalf("connections to these do not wake: %v", left)
	}
	slice := slicesOn(t, host)["web-activator-ipv4"]
	if slice.OwnerReferences[0].UID != "uid-web" || *slice.Endpoints[0].NodeName != "node" || *slice.Ports[0].Name != "http" || slice.Labels[tenancyv1.LabelCluster] != "" {
		t.Errorf("got %+v", slice)
	}
	results := make(chan error)
	for i := range 20 {
		conn := through(t, host, "web")
		go func() { results <- says(conn, fmt.Sprintf("hello %d", i)) }()
	}
	eventually(t, "somebody asks for the wake", func() bool { return len(asked.names()) > 0 })
	if err := a.Awake(t.Context(), awake(vc)); err != nil {
		t.Fatal(err)
	}
	late := through(t, host, "web")
	unready := hostPod("web", id, address, func(p *corev1.Pod) { p.Status.Conditions = nil })
	if err := host.Tracker().Add(unready); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-results:
		t.Fatalf("a connection did not wait for a ready pod: %v", err)
	case <-time.After(3 * lookAgain):
	}
	if _, err := host.CoreV1().Pods("team").Update(t.Context(), hostPod("web", id, address), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := says(late, "hello"); err != nil {
		t.Errorf("who came during the wake: %v", err)
	}
	if got := asked.names(); !slices.Equal(got, []string{"team/demo 3"}) {
		t.Errorf("asked for %v, want one wake", got)
	}
	if len(slicesOn(t, host)) != 1 {
		t.Error("the slice is gone before the host has endpoints")
	}
	_, err := host.DiscoveryV1().EndpointSlices("team").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "web-x1", Labels: map[string]string{discoveryv1.LabelManagedBy: hostManager, discoveryv1.LabelServiceName: "web"}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{address}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Service leads to its pods alone", func() bool { return len(slicesOn(t, host)) == 0 })
	if err := says(late, "still here"); err != nil {
		t.Errorf("a connection ended with the port: %v", err)
	}
	_ = late.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(late); err != nil || len(rest) > 0 {
		t.Errorf("the end of one side: got %q, %v", rest, err)
	}
}

// TestLimits holds connections and ports to their limits, for each virtual cluster and for all.
func TestLimits(t *testing.T) {
	ports := func(s *corev1.Service) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "b", Port: 81}, corev1.ServicePort{Name: "c", Port: 82})
	}
	target := intstr.FromInt(80)
	a, host, _ := newActivator(t, func(o *Options) { o.MaxEach, o.MaxAll, o.MaxPorts, o.MaxAllPorts = 2, 3, 2, 3 },
		hostService("web", id, target, ports), hostService("shop", other, target, ports))
	if left := guard(t, a, sleeper("demo", id, 1)); left["web"] == "" {
		t.Errorf("two ports of three: got %v", left)
	}
	if left := guard(t, a, sleeper("other", other, 1)); left["shop"] == "" {
		t.Errorf("three ports in all: got %v", left)
	}
	if got := slicesOn(t, host); len(got["web-activator-ipv4"].Ports) != 2 || len(got["shop-activator-ipv4"].Ports) != 1 {
		t.Errorf("got %+v", got)
	}
	count := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.connections
	}
	through(t, host, "web")
	second := through(t, host, "web")
	eventually(t, "two connections wait", func() bool { return count() == 2 })
	tooMany := func(what, service string) {
		t.Helper()
		// The reset may come before the connection is known to stand.
		if conn, err := dial(t, host, service); err == nil {
			refused(t, what, conn)
		}
	}
	tooMany("the third of one", "web")
	through(t, host, "shop")
	eventually(t, "another's waits", func() bool { return count() == 3 })
	tooMany("the fourth of all", "shop")
	_ = second.Close()
	eventually(t, "who hangs up makes room", func() bool { return count() == 2 })
	through(t, host, "web")
	eventually(t, "there is room", func() bool { return count() == 3 })
}

// TestNobodyWaitsInVain breaks a connection after its time, and at once when it can wake nothing
// any more.
func TestNobodyWaitsInVain(t *testing.T) {
	target := intstr.FromInt(80)
	a, host, _ := newActivator(t, func(o *Options) { o.MaxWait = 300 * time.Millisecond }, hostService("web", id, target))
	guard(t, a, sleeper("demo", id, 1))
	refused(t, "after its time", through(t, host, "web"))

	a, host, asked := newActivator(t, nil, hostService("web", id, target))
	vc := sleeper("demo", id, 1)
	guard(t, a, vc)
	conn := through(t, host, "web")
	eventually(t, "it asks for the wake", func() bool { return len(asked.names()) > 0 })
	if err := a.Close(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	refused(t, "somebody paused it", conn)
	if got := slicesOn(t, host); len(got) > 0 {
		t.Errorf("slices are left: %v", got)
	}
}
