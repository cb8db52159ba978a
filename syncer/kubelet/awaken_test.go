// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/syncer/translate"
)

// sleeping is a kubelet of one pod that was put to sleep.
type sleeping struct {
	*Server
	clock         *testingclock.FakeClock
	virtual, host cache.Indexer
	pod           *corev1.Pod
	woken         map[types.UID]bool
}

func newSleeping(t *testing.T) *sleeping {
	t.Helper()
	index := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	s := &sleeping{clock: testingclock.NewFakeClock(time.Now()), virtual: index(), host: index(), pod: virtualPod("default", "web", "uid-web", "app", "side"), woken: map[types.UID]bool{"uid-web": true}}
	s.pod.Status.Phase = corev1.PodRunning
	s.Server = &Server{
		clock: s.clock, waiting: make(chan struct{}, 2), wakes: func(uid types.UID) bool { return s.woken[uid] },
		pods: pods{
			translator: translate.New(translate.Cluster{ID: "0123456789", Name: "demo", HostNamespace: hostNamespace}),
			virtual:    fake.NewClientset(), host: fake.NewClientset(),
			virtualPods: corev1listers.NewPodLister(s.virtual), hostPods: corev1listers.NewPodLister(s.host),
		},
	}
	s.put(t, s.virtual, s.pod)
	return s
}

func (s *sleeping) put(t *testing.T, side cache.Indexer, pod *corev1.Pod) {
	t.Helper()
	if err := side.Update(pod); err != nil {
		t.Fatal(err)
	}
}

// twin is the host's pod in a phase, whose first containers run.
func (s *sleeping) twin(phase corev1.PodPhase, running int) *corev1.Pod {
	host := twin(s.pods.translator, s.pod)
	host.Status.Phase = phase
	for i, container := range s.pod.Spec.Containers {
		status := corev1.ContainerStatus{Name: container.Name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
		if i < running {
			status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		}
		host.Status.ContainerStatuses = append(host.Status.ContainerStatuses, status)
	}
	return host
}

// answer is what a request came to.
type answer struct {
	target *target
	err    error
}

// ask has somebody ask for a container, or for the pod, until the context ends.
func (s *sleeping) ask(ctx context.Context, container string) <-chan answer {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.SetPathValue("namespace", "default")
	r.SetPathValue("pod", "web")
	r.SetPathValue("container", container)
	answered := make(chan answer, 1)
	go func() {
		found, err := s.awaken(r)
		answered <- answer{found, err}
	}()
	return answered
}

// now wants an answer without any waiting.
func (s *sleeping) now(t *testing.T, container string) answer {
	t.Helper()
	select {
	case got := <-s.ask(t.Context(), container):
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
		return answer{}
	}
}

// waits wants a request to wait, and lets the time pass that the kubelet waits between two looks.
func (s *sleeping) waits(t *testing.T, answered <-chan answer) {
	t.Helper()
	for range 3 {
		for until := time.Now().Add(20 * time.Second); !s.clock.HasWaiters(); time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatal("nobody waits")
			}
		}
		s.clock.Step(awakenInterval)
	}
	select {
	case got := <-answered:
		t.Fatalf("it got %+v, want it to wait", got)
	default:
	}
}

// steps lets time pass until there is an answer.
func (s *sleeping) steps(t *testing.T, answered <-chan answer) answer {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		select {
		case got := <-answered:
			return got
		case <-time.After(time.Millisecond):
			s.clock.Step(awakenInterval)
		}
	}
	t.Fatal("no answer")
	return answer{}
}

// TestRequestsWaitForPodsThatSlept follows a pod from its sleep until a container runs.
func TestRequestsWaitForPodsThatSlept(t *testing.T) {
	s := newSleeping(t)
	first, whole := s.ask(t.Context(), "app"), s.ask(t.Context(), "")
	s.waits(t, first)
	for _, host := range []*corev1.Pod{s.twin("", 0), s.twin(corev1.PodPending, 0)} {
		s.put(t, s.host, host)
		s.waits(t, first)
	}
	s.put(t, s.host, s.twin(corev1.PodPending, 1))
	if got := s.steps(t, first); got.err != nil || got.target.host == nil {
		t.Errorf("got %+v, want the container that runs", got)
	}
	s.waits(t, whole)
	s.put(t, s.host, s.twin(corev1.PodRunning, 2))
	if got := s.steps(t, whole); got.err != nil || got.target.host == nil {
		t.Errorf("got %+v, want the pod that runs", got)
	}
}

// TestWhoDoesNotWait has the kubelet answer at once wherever waiting would not help.
func TestWhoDoesNotWait(t *testing.T) {
	for name, test := range map[string]struct {
		container string
		change    func(*testing.T, *sleeping)
		want      string
	}{
		"a pod that did not sleep":            {"app", func(_ *testing.T, s *sleeping) { clear(s.woken) }, "is not running"},
		"a pod that had ended":                {"app", func(_ *testing.T, s *sleeping) { s.pod.Status.Phase = corev1.PodSucceeded }, "is not running"},
		"a pod that is being deleted":         {"app", func(_ *testing.T, s *sleeping) { s.pod.DeletionTimestamp = &metav1.Time{} }, "is not running"},
		"a pod that is gone":                  {"app", func(t *testing.T, s *sleeping) { _ = s.virtual.Delete(s.pod) }, "does not exist"},
		"a container that is none":            {"other", func(*testing.T, *sleeping) {}, "is not running"},
		"a pod that runs":                     {"app", func(t *testing.T, s *sleeping) { s.put(t, s.host, s.twin(corev1.PodRunning, 2)) }, ""},
		"a pod that ended after it slept":     {"app", func(t *testing.T, s *sleeping) { s.put(t, s.host, s.twin(corev1.PodFailed, 0)) }, ""},
		"a host that tells of no containers":  {"app", func(t *testing.T, s *sleeping) { s.put(t, s.host, bare(s.twin(corev1.PodRunning, 0))) }, ""},
		"a container that crashes again":      {"app", func(t *testing.T, s *sleeping) { s.put(t, s.host, crashed(s.twin(corev1.PodRunning, 0))) }, ""},
		"one of more than may wait for a pod": {"app", func(t *testing.T, s *sleeping) { s.waiting <- struct{}{}; s.waiting <- struct{}{} }, "is not running"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSleeping(t)
			test.change(t, s)
			got := s.now(t, test.container)
			if test.want == "" && got.err != nil || test.want != "" && (got.err == nil || !strings.Contains(got.err.Error(), test.want)) {
				t.Errorf("got %v, want %q", got.err, test.want)
			}
		})
	}
}

func bare(pod *corev1.Pod) *corev1.Pod {
	pod.Status.ContainerStatuses = nil
	return pod
}

func crashed(pod *corev1.Pod) *corev1.Pod {
	for i := range pod.Status.ContainerStatuses {
		pod.Status.ContainerStatuses[i].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
	}
	return pod
}

// TestWaitingForAPodEnds with the patience, the caller and the pod inside.
func TestWaitingForAPodEnds(t *testing.T) {
	s := newSleeping(t)
	late := s.ask(t.Context(), "app")
	s.waits(t, late)
	s.clock.Step(awakenPatience)
	if got := s.steps(t, late); got.err == nil || !strings.Contains(got.err.Error(), "slept, and does not run again yet") {
		t.Errorf("got %v, want why it waited in vain", got.err)
	}
	ctx, leave := context.WithCancel(t.Context())
	left := s.ask(ctx, "app")
	s.waits(t, left)
	leave()
	if got := s.steps(t, left); got.err == nil {
		t.Error("who left got an answer")
	}
	gone := s.ask(t.Context(), "app")
	s.waits(t, gone)
	if err := s.virtual.Delete(s.pod); err != nil {
		t.Fatal(err)
	}
	if got := s.steps(t, gone); got.err == nil || !strings.Contains(got.err.Error(), "does not exist") {
		t.Errorf("got %v, want that the pod is gone", got.err)
	}
	if got := len(s.waiting); got != 0 {
		t.Errorf("%d places are taken", got)
	}
}

// TestWaitingLetsNobodyIn to what is not theirs: another pod took the place of the host pod.
func TestWaitingLetsNobodyIn(t *testing.T) {
	s := newSleeping(t)
	asked := s.ask(t.Context(), "app")
	s.waits(t, asked)
	foreign := s.twin(corev1.PodRunning, 2)
	foreign.Labels, foreign.Annotations = nil, nil
	s.put(t, s.host, foreign)
	s.waits(t, asked)
	earlier := virtualPod("default", "web", "uid-earlier", "app")
	other := twin(s.pods.translator, earlier)
	other.Status = *s.twin(corev1.PodRunning, 2).Status.DeepCopy()
	s.put(t, s.host, other)
	s.waits(t, asked)
	injected := s.twin(corev1.PodRunning, 2)
	s.put(t, s.host, injected)
	if got := s.steps(t, asked); got.err != nil || !slices.ContainsFunc(got.target.host.Spec.Containers, func(c corev1.Container) bool { return c.Name == "injected" }) {
		t.Fatalf("got %+v", got)
	} else if _, own := got.target.own.Find("injected"); own {
		t.Error("what the host injected is the tenant's")
	}
}
