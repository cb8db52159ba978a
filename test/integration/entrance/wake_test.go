// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

// sleeper is a virtual cluster whose controller is the test.
type sleeper struct {
	in tenancyclient.VirtualClusterInterface

	mu sync.Mutex
	// wakes are the requests to wake that were written, uses the times of activity.
	wakes []v1.WakeRequest
	uses  []time.Time
}

// newSleeper makes the virtual cluster, with rules of what does not wake it.
func newSleeper(t *testing.T) *sleeper {
	s := &sleeper{in: shared.garret.Clients.TenancyV1().VirtualClusters(sleeperKey.Namespace)}
	object := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: sleeperKey.Name}}
	object.Spec.Sleep.Ignore = []v1.IgnoredRequests{{UserAgents: []string{"monitor/"}}}
	object, err := s.in.Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.in.Delete(context.Background(), sleeperKey.Name, metav1.DeleteOptions{}) })
	if _, err := shared.virtual.Ready(t.Context(), shared.garret.Clients, object); err != nil {
		t.Fatal(err)
	}
	watcher, err := s.in.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + sleeperKey.Name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Stop)
	go s.follow(watcher)
	return s
}

func (s *sleeper) follow(watcher watch.Interface) {
	for event := range watcher.ResultChan() {
		vc, ok := event.Object.(*v1.VirtualCluster)
		if !ok {
			continue
		}
		s.mu.Lock()
		if asked := vc.Status.WakeRequest; asked != nil && (len(s.wakes) == 0 || !sameWake(s.wakes[len(s.wakes)-1], *asked)) {
			s.wakes = append(s.wakes, *asked)
		}
		if used := vc.Status.LastActivityTime; used != nil && (len(s.uses) == 0 || !s.uses[len(s.uses)-1].Equal(used.Time)) {
			s.uses = append(s.uses, used.Time)
		}
		s.mu.Unlock()
	}
}

func sameWake(a, b v1.WakeRequest) bool {
	return a.Sleep == b.Sleep && a.User == b.User && a.Time.Equal(b.Time)
}

func (s *sleeper) asked() []v1.WakeRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]v1.WakeRequest{}, s.wakes...)
}

// change writes the status, as garret-controller and the syncer do.
func (s *sleeper) change(t *testing.T, do func(*v1.VirtualCluster)) *v1.VirtualCluster {
	t.Helper()
	var changed *v1.VirtualCluster
	framework.Succeeds(t, "the status is written", func(ctx context.Context) error {
		vc, err := s.in.Get(ctx, sleeperKey.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		do(vc)
		changed, err = s.in.UpdateStatus(ctx, vc, metav1.UpdateOptions{})
		return err
	})
	return changed
}

func condition(vc *v1.VirtualCluster, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&vc.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message})
}

// fallAsleep stops what answers, and says so.
func (s *sleeper) fallAsleep(t *testing.T, reason string) int64 {
	t.Helper()
	shared.stopped.Store(true)
	return s.change(t, func(vc *v1.VirtualCluster) {
		number := int64(1)
		if vc.Status.Sleep != nil {
			number = vc.Status.Sleep.Number + 1
		}
		since := metav1.Now()
		vc.Status.Sleep = &v1.SleepStatus{Number: number, Since: &since, Reason: reason}
		vc.Status.Phase, vc.Status.RestingFor = v1.PhaseSleeping, number
		condition(vc, v1.ConditionAsleep, metav1.ConditionTrue, v1.ReasonAsleep, "")
		condition(vc, v1.ConditionReady, metav1.ConditionFalse, v1.ReasonAsleep, "asleep, and the test says why")
	}).Status.Sleep.Number
}

// wake does what garret-controller does about a request to wake: some time later the API
// inside answers, and then the syncer reports.
func (s *sleeper) wake(t *testing.T) {
	t.Helper()
	s.change(t, func(vc *v1.VirtualCluster) {
		vc.Status.Sleep = &v1.SleepStatus{Number: vc.Status.Sleep.Number}
		vc.Status.Phase = v1.PhaseWaking
		condition(vc, v1.ConditionAsleep, metav1.ConditionFalse, v1.ReasonAwake, "")
		condition(vc, v1.ConditionReady, metav1.ConditionFalse, "Waking", "it is being started")
	})
	shared.stopped.Store(false)
	s.change(t, func(vc *v1.VirtualCluster) { vc.Status.RestingFor = 0 })
	s.change(t, func(vc *v1.VirtualCluster) {
		vc.Status.Phase = v1.PhaseReady
		condition(vc, v1.ConditionReady, metav1.ConditionTrue, "Ready", "")
	})
}

// TestWake has a virtual cluster fall asleep and be woken by all kinds of requests.
func TestWake(t *testing.T) {
	t.Parallel()
	s := newSleeper(t)
	u := chief(t)
	doors := []*door{relayDoor(), gatewayDoor()}
	path := func(d *door, path string) string { return d.path(sleeperKey.Name, sleeperKey.Namespace) + path }
	client := func(d *door) framework.Client {
		return u.Client(t, "https://"+d.address+path(d, ""), d.authority)
	}
	kubelet.NewPod(t, shared.virtual.ControlPlane, "sleeper")
	woken := func(t *testing.T, number int64) {
		t.Helper()
		framework.Succeeds(t, "somebody asks for the wake", func(context.Context) error {
			if asked := s.asked(); len(asked) == 0 || asked[len(asked)-1].Sleep != number {
				return fmt.Errorf("asked %v", asked)
			}
			return nil
		})
		s.wake(t)
	}

	t.Run("twenty requests at once wake it once", func(t *testing.T) {
		number := s.fallAsleep(t, v1.SleepReasonInactive)
		var group sync.WaitGroup
		for i := range 20 {
			d := doors[i%2]
			group.Go(func() {
				if got := d.ask(t, u, http.MethodGet, path(d, "/api/v1/namespaces/default"), "", nil); got.code != http.StatusOK {
					t.Errorf("%s: answered %d: %s", d.name, got.code, got.body)
				}
			})
		}
		woken(t, number)
		group.Wait()
		asked := s.asked()
		if len(asked) != 1 || asked[0].User != u.Name || asked[0].Time == nil {
			t.Errorf("asked to wake with %+v, want once, by %s", asked, u.Name)
		}
	})
	t.Run("a watch, an exec and a write wake it", func(t *testing.T) {
		for _, d := range doors {
			c := client(d)
			for what, command := range map[string]*exec.Cmd{
				"exec":  kubectl(t, c, "exec", "sleeper", "--", "echo", "hello"),
				"write": kubectl(t, c, "create", "configmap", "woken-"+d.name, "-o", "name"),
				"watch": kubectl(t, c, "get", "--raw", "/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=1"),
			} {
				number := s.fallAsleep(t, v1.SleepReasonScheduled)
				done := make(chan string, 1)
				go func() {
					out, err := command.CombinedOutput()
					if err != nil {
						out = append(out, err.Error()...)
					}
					done <- string(out)
				}()
				woken(t, number)
				want := map[string]string{"exec": "hello\n", "write": "configmap/woken-" + d.name + "\n", "watch": `{"type":"ADDED"`}[what]
				if got := <-done; !strings.HasPrefix(got, want) {
					t.Errorf("%s by the %s: got %q, want %q", what, d.name, got, want)
				}
			}
		}
	})
	t.Run("who asks for a kubeconfig wakes it", func(t *testing.T) {
		number := s.fallAsleep(t, v1.SleepReasonInactive)
		done := make(chan error, 1)
		go func() {
			_, err := s.in.CreateKubeconfig(context.Background(), sleeperKey.Name, &v1.KubeconfigRequest{}, metav1.CreateOptions{})
			done <- err
		}()
		woken(t, number)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("while it falls asleep a request ends that", func(t *testing.T) {
		number := s.fallAsleep(t, v1.SleepReasonInactive)
		shared.stopped.Store(false)
		s.change(t, func(vc *v1.VirtualCluster) {
			condition(vc, v1.ConditionAsleep, metav1.ConditionFalse, v1.ReasonFallingAsleep, "")
		})
		done := make(chan answer, 1)
		go func() { done <- doors[0].ask(t, u, http.MethodGet, path(doors[0], "/api"), "", nil) }()
		woken(t, number)
		if got := <-done; got.code != http.StatusOK {
			t.Errorf("answered %d: %s", got.code, got.body)
		}
	})
	t.Run("who is ignored, and who comes while it is paused, does not wake it", func(t *testing.T) {
		before := len(s.asked())
		s.fallAsleep(t, v1.SleepReasonInactive)
		for _, d := range doors {
			refused(t, d.ask(t, u, http.MethodGet, path(d, "/metrics"), "", http.Header{"User-Agent": {"monitor/1"}}), "by spec.sleep.ignore this request does not wake it")
		}
		patch(t, s, `{"spec":{"paused":true}}`)
		for _, d := range doors {
			refused(t, d.ask(t, u, http.MethodGet, path(d, "/api"), "", nil), "asleep, and the test says why")
		}
		if after := len(s.asked()); after != before {
			t.Errorf("asked to wake %d times more", after-before)
		}
		patch(t, s, `{"spec":{"paused":false}}`)
		s.wake(t)
	})
	t.Run("the times of activity", func(t *testing.T) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := 1; i < len(s.uses); i++ {
			if !s.uses[i].After(s.uses[i-1]) {
				t.Errorf("went back: %v", s.uses)
			}
		}
		if len(s.uses) == 0 || time.Since(s.uses[0]) > 5*time.Minute || len(s.uses) > 4 {
			t.Errorf("got %v, want one at once, and then one a minute", s.uses)
		}
	})
}

func refused(t *testing.T, got answer, want string) {
	t.Helper()
	var status metav1.Status
	if err := json.Unmarshal([]byte(got.body), &status); err != nil || got.code != http.StatusServiceUnavailable || !strings.Contains(status.Message, want) {
		t.Errorf("answered %d with %q, want 503 with %q", got.code, got.body, want)
	}
}

func patch(t *testing.T, s *sleeper, change string) {
	t.Helper()
	if _, err := s.in.Patch(t.Context(), sleeperKey.Name, "application/merge-patch+json", []byte(change), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}
