// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/deployed"
)

const (
	// sleepRounds is how often a virtual cluster is put to sleep or woken while its
	// programs are killed, sleepPause the longest time between two kills.
	sleepRounds = 20
	sleepPause  = 1500 * time.Millisecond
	// machinePause is how often the machine below looks at the pods.
	machinePause = 50 * time.Millisecond
	// machineNode is the one node of the host.
	machineNode = "machine"
)

// machine plays the host's scheduler and the kubelet of its one node.
type machine struct {
	cluster
	// held is held while a program is started or ended.
	held sync.Mutex
}

// runOnMachine makes a virtual cluster whose pods live and die as the host says.
func runOnMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{cluster: cluster{deployed.Run(t, host.ControlPlane, host.garret.Clients, newVirtualCluster(t))}}
	newNamespace(t, m.cluster, space)
	// The host's garbage collector deletes pods of a node that is none, after a while.
	_, err := host.Client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: machineNode}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() { stop(); group.Wait() })
	group.Go(func() {
		for ctx.Err() == nil {
			m.step(ctx)
			time.Sleep(machinePause)
		}
	})
	return m
}

// step looks at all pods of the host namespace once. What fails is tried at the next step.
func (m *machine) step(ctx context.Context) {
	pods, err := host.Client.CoreV1().Pods(m.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	deployed := false
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Name == "vc-demo-0" {
			deployed = true
			continue
		}
		m.look(ctx, pod)
	}
	m.held.Lock()
	defer m.held.Unlock()
	for _, program := range []*framework.Program{m.ControlPlane, m.Syncer} {
		switch ended := program.Ended() != nil; {
		case deployed && ended:
			_ = program.Start()
		case !deployed && !ended:
			program.Stop()
		}
	}
}

func (m *machine) look(ctx context.Context, pod *corev1.Pod) {
	client := host.Client.CoreV1().Pods(m.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		_ = client.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	case len(pod.Spec.SchedulingGates) > 0:
	case pod.Spec.NodeName == "":
		_ = client.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: pod.Name, UID: pod.UID},
			Target: corev1.ObjectReference{Kind: "Node", Name: machineNode}}, metav1.CreateOptions{})
	case pod.Status.Phase == corev1.PodPending:
		pod.Status.Phase = corev1.PodRunning
		if pod.Annotations[v1.AnnotationVirtualName] == "done" {
			pod.Status.Phase = corev1.PodSucceeded
		}
		_, _ = client.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	}
}

// kill ends a program of the virtual cluster at once; the machine starts it again.
func (m *machine) kill(program *framework.Program) {
	m.held.Lock()
	defer m.held.Unlock()
	program.Kill()
}

// pause sets spec.paused.
func (m *machine) pause(t *testing.T, paused bool) {
	t.Helper()
	framework.Succeeds(t, fmt.Sprintf("spec.paused is set to %v", paused), func(ctx context.Context) error {
		_, err := host.garret.Clients.TenancyV1().VirtualClusters(m.Namespace).Patch(ctx, m.Name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"paused":%v}}`, paused), metav1.PatchOptions{})
		return err
	})
}

// sleeps waits until nothing of the virtual cluster runs.
func (m *machine) sleeps(t *testing.T) {
	t.Helper()
	framework.Succeeds(t, "the virtual cluster sleeps", func(ctx context.Context) error {
		vc, err := host.garret.Clients.TenancyV1().VirtualClusters(m.Namespace).Get(ctx, m.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(vc.Status.Conditions, v1.ConditionAsleep) || vc.Status.Phase != v1.PhaseSleeping {
			return fmt.Errorf("phase %s, resting for %d, %+v, %+v", vc.Status.Phase, vc.Status.RestingFor, vc.Status.Sleep, meta.FindStatusCondition(vc.Status.Conditions, v1.ConditionReady))
		}
		return nil
	})
	pods, err := host.Client.CoreV1().Pods(m.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		t.Errorf("pod %s is on the host while the virtual cluster sleeps", pod.Name)
	}
}

// wakes waits until the pods run on the host.
func (m *machine) wakes(t *testing.T, names ...string) {
	t.Helper()
	framework.Succeeds(t, "its pods run again", func(ctx context.Context) error {
		for _, name := range names {
			pods, err := host.Client.CoreV1().Pods(m.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1.LabelCluster})
			if err != nil {
				return err
			}
			running := false
			for _, pod := range pods.Items {
				running = running || pod.Annotations[v1.AnnotationVirtualName] == name && pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil
			}
			if !running {
				return fmt.Errorf("pod %s does not run on the host", name)
			}
		}
		return nil
	})
}

// bare makes a pod that nobody would make again, and waits until its phase is this.
func (m *machine) bare(t *testing.T, name string, phase corev1.PodPhase) {
	t.Helper()
	_, err := m.Client.CoreV1().Pods(space).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	framework.Succeeds(t, "pod "+name+" is "+string(phase)+" inside", func(ctx context.Context) error {
		pod, err := m.Client.CoreV1().Pods(space).Get(ctx, name, metav1.GetOptions{})
		if err == nil && (pod.Status.Phase != phase || pod.Spec.NodeName == "") {
			err = fmt.Errorf("it is %s on %q", pod.Status.Phase, pod.Spec.NodeName)
		}
		return err
	})
}

// inside are the objects of the tenant, in bytes. Claims are not among them: the control
// plane itself notes in them since when nobody has used them.
func (m *machine) inside(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	for _, resource := range []string{"pods", "services", "configmaps", "secrets"} {
		list := &metav1.PartialObjectMetadataList{}
		body, err := m.Client.CoreV1().RESTClient().Get().Namespace(space).Resource(resource).DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, list); err != nil {
			return nil, err
		}
		var raw struct{ Items []json.RawMessage }
		if err := json.Unmarshal(body, &raw); err != nil {
			return nil, err
		}
		for i := range list.Items {
			found[resource+"/"+list.Items[i].Name] = string(raw.Items[i])
		}
	}
	return found, nil
}

// uidsInside are the UIDs of the pods inside by name.
func (m *machine) uidsInside(ctx context.Context) (map[string]types.UID, error) {
	pods, err := m.Client.CoreV1().Pods(space).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	found := map[string]types.UID{}
	for _, pod := range pods.Items {
		found[pod.Name] = pod.UID
	}
	return found, nil
}

// TestSleep puts a virtual cluster to sleep and wakes it.
func TestSleep(t *testing.T) {
	t.Parallel()
	m := runOnMachine(t)
	m.create(t, "shop")
	m.bare(t, "lone", corev1.PodRunning)
	m.bare(t, "done", corev1.PodSucceeded)
	m.wakes(t, "shop", "lone")
	services, claims := m.onHost(t, "services"), m.onHost(t, "persistentvolumeclaims")
	uids, err := m.uidsInside(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := m.inside(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	m.pause(t, true)
	m.sleeps(t)
	if got := m.onHost(t, "services"); !maps.Equal(got, services) {
		t.Errorf("services on the host: got %v, want %v", got, services)
	}
	if got := m.onHost(t, "persistentvolumeclaims"); !maps.Equal(got, claims) {
		t.Errorf("claims on the host: got %v, want %v", got, claims)
	}
	m.held.Lock() // the machine does not see that the control plane runs
	m.StartControlPlane(t)
	after, err := m.inside(t.Context())
	m.ControlPlane.Stop()
	m.held.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range before {
		if got := after[name]; got != want {
			t.Errorf("%s: got %s, want as before the sleep: %s", name, got, want)
		}
	}

	m.pause(t, false)
	m.wakes(t, "shop", "lone")
	m.stand(t, uids)
	framework.Succeeds(t, "what has ended is as it ended, and not on the host", func(ctx context.Context) error {
		pod, err := m.Client.CoreV1().Pods(space).Get(ctx, "done", metav1.GetOptions{})
		if err == nil && (pod.Status.Phase != corev1.PodSucceeded || m.onHost(t, "pods")[space+"/done"] != "") {
			err = fmt.Errorf("it is %s", pod.Status.Phase)
		}
		return err
	})
	framework.Succeeds(t, "the record holds what does not run again", func(ctx context.Context) error {
		record, err := host.Client.CoreV1().ConfigMaps(m.Namespace).Get(ctx, v1.SleepRecordName(m.Name), metav1.GetOptions{})
		if err == nil && (len(record.Data) != 1 || record.Data[string(uids["done"])] == "") {
			err = fmt.Errorf("got %v, want the pod done", record.Data)
		}
		return err
	})
	// What is deleted on the host from now on is gone.
	pods := host.Client.CoreV1().Pods(m.Namespace)
	list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: v1.LabelCluster})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		if pod.Annotations[v1.AnnotationVirtualName] == "lone" {
			if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	framework.Succeeds(t, "a pod that is deleted on the host later is deleted inside", func(ctx context.Context) error {
		_, err := m.Client.CoreV1().Pods(space).Get(ctx, "lone", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %v", err)
	})
}

// stand waits until the pods inside are those of before.
func (m *machine) stand(t *testing.T, uids map[string]types.UID) {
	t.Helper()
	framework.Succeeds(t, "the pods inside are those of before", func(ctx context.Context) error {
		got, err := m.uidsInside(ctx)
		if err == nil && !maps.Equal(got, uids) {
			err = fmt.Errorf("got %v, want %v", got, uids)
		}
		return err
	})
}

// TestKilledFallingAsleepAndWaking kills every program at random moments while a virtual
// cluster falls asleep and wakes.
func TestKilledFallingAsleepAndWaking(t *testing.T) {
	m := runOnMachine(t)
	m.create(t, "shop")
	m.bare(t, "lone", corev1.PodRunning)
	m.bare(t, "done", corev1.PodSucceeded)
	m.wakes(t, "shop", "lone")
	uids, err := m.uidsInside(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	programs := []func(){
		func() { m.kill(m.ControlPlane) },
		func() { m.kill(m.Syncer) },
		func() { host.garret.Program.Kill(); start(t, host.garret.Program) },
		func() { host.controller.Kill(); start(t, host.controller) },
	}
	for round := range sleepRounds {
		m.pause(t, round%2 == 0)
		time.Sleep(rand.N(sleepPause))
		programs[rand.N(len(programs))]()
		time.Sleep(rand.N(sleepPause))
	}
	m.pause(t, false)
	m.wakes(t, "shop", "lone")
	m.doze(t)
	m.sleeps(t)
	m.askAndKill(t)
	m.wakes(t, "shop", "lone")
	m.stand(t, uids)
}
