// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyfake "garret.dev/garret/generated/clientset/versioned/fake"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/quota"
)

const count corev1.ResourceName = "count/virtualclusters.tenancy.garret.dev"

var team = cache.NewObjectName("team", "bounds")

func amounts(pairs ...string) corev1.ResourceList {
	made := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		made[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return made
}

func volume(name, namespace, size string) *tenancyv1.VirtualCluster {
	quantity := resource.MustParse(size)
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	vc.Spec.ControlPlane.Storage.Size = &quantity
	return vc
}

// bench is a controller whose caches and clients know the same.
type bench struct {
	*Controller
	t    *testing.T
	host *fake.Clientset
	now  time.Time
}

func newBench(t *testing.T, bounding *corev1.ResourceQuota, clusters ...*tenancyv1.VirtualCluster) *bench {
	t.Helper()
	b := &bench{t: t, host: fake.NewClientset(bounding), now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	tenancy := tenancyfake.NewSimpleClientset()
	shared := tenancyinformers.NewSharedInformerFactory(tenancy, 0)
	var err error
	if b.Controller, err = New(b.host, tenancy, shared); err != nil {
		t.Fatal(err)
	}
	b.settling.now = func() time.Time { return b.now }
	for _, vc := range clusters {
		if err := tenancy.Tracker().Add(vc); err != nil {
			t.Fatal(err)
		}
		if err := shared.Tenancy().V1().VirtualClusters().Informer().GetStore().Add(vc); err != nil {
			t.Fatal(err)
		}
	}
	b.learn(bounding)
	return b
}

// learn gives the cache a quota as it is now.
func (b *bench) learn(bounding *corev1.ResourceQuota) {
	b.t.Helper()
	if err := b.informers.Core().V1().ResourceQuotas().Informer().GetStore().Add(bounding); err != nil {
		b.t.Fatal(err)
	}
}

// reconciled is what the host has as used after one reconcile.
func (b *bench) reconciled(again time.Duration) corev1.ResourceList {
	b.t.Helper()
	got, err := b.reconcile(b.t.Context(), team)
	if err != nil || got != again {
		b.t.Errorf("got again in %v, %v; want %v", got, err, again)
	}
	found, err := b.host.CoreV1().ResourceQuotas(team.Namespace).Get(b.t.Context(), team.Name, metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return found.Status.Used
}

func bounding(version string, hard, used corev1.ResourceList) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: team.Namespace, Name: team.Name, ResourceVersion: version},
		Spec:       corev1.ResourceQuotaSpec{Hard: hard}, Status: corev1.ResourceQuotaStatus{Hard: hard, Used: used},
	}
}

func TestReconcile(t *testing.T) {
	storage, cpu := string(quota.RequestsStorage), string(quota.RequestsCPU)
	ours := amounts(storage, "10Gi", "pods", "5", string(count), "3")
	scoped := bounding("1", ours, nil)
	scoped.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
	tests := []struct {
		name      string
		quota     *corev1.ResourceQuota
		wantAgain time.Duration
		want      corev1.ResourceList
		// settled is what is used when nothing changed for a while.
		settled corev1.ResourceList
	}{
		{"not counted yet", bounding("1", ours, nil), 0, amounts(storage, "3Gi"), nil},
		{"what others count stays", bounding("1", ours, amounts("pods", "4", string(count), "9")), 0,
			amounts(storage, "3Gi", "pods", "4", string(count), "9"), nil},
		{"too little", bounding("1", ours, amounts(storage, "1Gi", "pods", "4")), 0, amounts(storage, "3Gi", "pods", "4"), nil},
		{"too much, which may be stored yet", bounding("1", ours, amounts(storage, "4Gi", "pods", "4")), settle,
			amounts(storage, "4Gi", "pods", "4"), amounts(storage, "3Gi", "pods", "4")},
		{"too much of one and too little of the other", bounding("1", amounts(storage, "10Gi", cpu, "1k"), amounts(storage, "4Gi")), settle,
			amounts(storage, "4Gi", cpu, "50"), nil},
		{"right", bounding("1", ours, amounts(storage, "3Gi")), 0, amounts(storage, "3Gi"), nil},
		{"nothing of ours", bounding("1", amounts("pods", "5"), amounts("pods", "4")), 0, amounts("pods", "4"), nil},
		{"a quota of pods by scope", scoped, 0, amounts(storage, "0"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.quota, volume("a", "team", "1Gi"), volume("b", "team", "2Gi"), volume("c", "other", "7Gi"))
			if got := b.reconciled(test.wantAgain); !quotav1.Equals(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if test.settled == nil {
				return
			}
			b.now = b.now.Add(settle)
			if got := b.reconciled(0); !quotav1.Equals(got, test.settled) {
				t.Errorf("settled: got %v, want %v", got, test.settled)
			}
		})
	}
}

// Less is written only when nothing was let in for a while.
func TestLessWaitsForQuiet(t *testing.T) {
	hard := amounts(string(quota.RequestsStorage), "10Gi")
	b := newBench(t, bounding("1", hard, amounts(string(quota.RequestsStorage), "4Gi")), volume("a", "team", "3Gi"))
	b.reconciled(settle)
	b.now = b.now.Add(settle)
	b.learn(bounding("2", hard, amounts(string(quota.RequestsStorage), "5Gi")))
	if got, want := b.reconciled(settle), amounts(string(quota.RequestsStorage), "4Gi"); !quotav1.Equals(got, want) {
		t.Errorf("got %v, want that nothing is written", got)
	}
	b.now = b.now.Add(settle)
	if got, want := b.reconciled(0), amounts(string(quota.RequestsStorage), "3Gi"); !quotav1.Equals(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhichQuotasAreCountedAnew(t *testing.T) {
	b := newBench(t, bounding("1", amounts(string(quota.LimitsCPU), "1"), nil))
	other := bounding("1", amounts("pods", "1"), nil)
	other.Name = "other"
	b.learn(other)
	now := volume("a", "team", "1Gi")
	changed := now.DeepCopy()
	changed.Status.Phase = tenancyv1.PhaseReady
	b.clusterUpdated(now, changed)
	b.clusterChanged(volume("a", "elsewhere", "1Gi"))
	if got := b.queue.Len(); got != 0 {
		t.Errorf("got %d after changes that do not matter, want 0", got)
	}
	changed.Generation++
	b.clusterUpdated(now, changed)
	b.clusterChanged(cache.DeletedFinalStateUnknown{Key: "team/a", Obj: now})
	if got := b.queue.Len(); got != 1 {
		t.Fatalf("got %d in the queue, want the one that bounds virtual clusters", got)
	}
	if got, _ := b.queue.Get(); got != team {
		t.Errorf("got %s, want %s", got, team)
	}
}
