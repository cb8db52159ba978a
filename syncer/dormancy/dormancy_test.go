// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package dormancy

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

const id = "0123456789"

// running returns a Dormancy that runs until the test ends, over a host with this record,
// and what it reports.
func running(t *testing.T, record map[string]string) (*Dormancy, *fake.Clientset, <-chan int64) {
	t.Helper()
	host := fake.NewClientset(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vc-demo-asleep", UID: "record", Labels: map[string]string{tenancyv1.LabelCluster: id}}, Data: record})
	reports := make(chan int64, 10)
	d := New(Options{Cluster: translate.Cluster{ID: id, Name: "demo", HostNamespace: "team"}, Host: host, Clock: clock.RealClock{}, Pods: true,
		Report: func(number int64) { reports <- number }})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d, host, reports
}

func order(number int64) *tenancyv1.VirtualCluster {
	vc := &tenancyv1.VirtualCluster{}
	vc.Status.Sleep = &tenancyv1.SleepStatus{Number: number}
	if number > 0 {
		vc.Status.Sleep.Since = &metav1.Time{}
	}
	return vc
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return is(), nil }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// TestRestsAfterTheLastPass reports that the syncer rests once no pass runs, and not before.
func TestRestsAfterTheLastPass(t *testing.T) {
	d, _, reports := running(t, nil)
	leave, open := d.Enter()
	if !open {
		t.Fatal("a pass may not begin, although nobody asked for a sleep")
	}
	d.Observe(order(3))
	eventually(t, "no pass begins", d.Rests)
	select {
	case number := <-reports:
		t.Fatalf("reported to rest for sleep %d while a pass runs", number)
	default:
	}
	leave()
	if got := <-reports; got != 3 {
		t.Errorf("got a report for sleep %d, want 3", got)
	}
	if _, open := d.Enter(); open {
		t.Error("a pass began while the syncer rests")
	}
	d.Observe(order(0))
	if got := <-reports; got != 0 {
		t.Errorf("got a report for sleep %d, want 0", got)
	}
	if leave, open := d.Enter(); !open {
		t.Error("no pass may begin, although the virtual cluster is awake")
	} else {
		leave()
	}
}

// TestRecord follows the record: it is unknown until the VirtualCluster was seen, and what
// runs again leaves it.
func TestRecord(t *testing.T) {
	d, host, _ := running(t, map[string]string{"up": "h1", "gone": "h2", "ended": "h3"})
	if d.Known() {
		t.Error("the record is known before the VirtualCluster was seen")
	}
	d.Observe(order(0))
	eventually(t, "the record is read", d.Known)
	if got, slept := d.Slept("up"); got != "h1" || !slept {
		t.Errorf("got %q, %v; want h1 of a pod that slept", got, slept)
	}
	d.Up("up")
	d.Up("never")
	d.Prune(map[types.UID]bool{"ended": true})
	eventually(t, "what is up or gone has left the record", func() bool {
		found, err := host.CoreV1().ConfigMaps("team").Get(t.Context(), "vc-demo-asleep", metav1.GetOptions{})
		return err == nil && len(found.Data) == 1 && found.Data["ended"] == "h3"
	})
	if _, slept := d.Slept("up"); slept {
		t.Error("a pod that is up counts as asleep")
	}
}

// TestWakes tells pods that may yet run on the host from those that nobody needs to wait for.
func TestWakes(t *testing.T) {
	d, _, reports := running(t, map[string]string{"up": "h1", "waiting": "h2"})
	wakes := func(when string, want map[types.UID]bool) {
		t.Helper()
		for uid, wanted := range want {
			if got := d.Wakes(uid); got != wanted {
				t.Errorf("%s: the pod %s wakes: %t, want %t", when, uid, got, wanted)
			}
		}
	}
	wakes("before the record is read", map[types.UID]bool{"up": true, "waiting": true, "other": true})
	d.Observe(order(0))
	eventually(t, "the record is read", d.Known)
	d.Up("up")
	wakes("awake", map[types.UID]bool{"up": true, "waiting": true, "other": false})
	d.Observe(order(1))
	<-reports
	wakes("at rest", map[types.UID]bool{"up": false, "waiting": false, "other": false})
	d.Observe(order(0))
	<-reports
	eventually(t, "the record is read again", d.Known)
	wakes("awake again", map[types.UID]bool{"waiting": true, "other": false})
}

// TestForeignRecord leaves alone what an earlier virtual cluster of the name left.
func TestForeignRecord(t *testing.T) {
	d, _, _ := running(t, map[string]string{"up": "h1"})
	d.Cluster.ID = "another"
	d.Observe(order(0))
	eventually(t, "the record is read", d.Known)
	if _, slept := d.Slept("up"); slept {
		t.Error("a pod of another virtual cluster counts as asleep")
	}
}
