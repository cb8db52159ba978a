// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/release"
)

// compared is a host's release that notes when it is compared.
type compared struct {
	release.Interface
	did  *[]string
	fail error
}

func (r *compared) EnsureService(context.Context, release.Spec) (string, error) {
	return "10.96.0.9", nil
}

func (r *compared) Ensure(_ context.Context, spec release.Spec) (release.Status, error) {
	*r.did = append(*r.did, "compared")
	return release.Status{Revision: 1}, r.fail
}

// TestStartsAhead has a virtual cluster wake, and wants its StatefulSet scaled before the
// release is compared where nothing but the scale is about to change.
func TestStartsAhead(t *testing.T) {
	conflict := apierrors.NewConflict(appsv1.Resource("statefulsets"), "vc-demo", errors.New("it changed"))
	for name, test := range map[string]struct {
		// meanwhile changes something while the virtual cluster sleeps.
		meanwhile func(*Controller, *tenancyv1.VirtualCluster, *memory)
		refused   error
		want      []string
	}{
		"nothing changed":          {nil, nil, []string{"scaled", "compared"}},
		"the StatefulSet changed":  {nil, conflict, []string{"scaled", "compared"}},
		"the release drifted":      {func(_ *Controller, _ *tenancyv1.VirtualCluster, m *memory) { m.drifted = true }, nil, []string{"compared"}},
		"garret-controller is new": {func(_ *Controller, _ *tenancyv1.VirtualCluster, m *memory) { m.deployed = "" }, nil, []string{"compared"}},
		"another spec": {func(_ *Controller, vc *tenancyv1.VirtualCluster, _ *memory) {
			vc.Spec.Kubernetes.ExtraArgs = []string{"--v=2"}
		}, nil, []string{"compared"}},
		"another virtual cluster of its name": {func(_ *Controller, vc *tenancyv1.VirtualCluster, _ *memory) { vc.UID = "other" }, nil, []string{"compared"}},
		"it stays asleep": {func(c *Controller, vc *tenancyv1.VirtualCluster, m *memory) {
			vc.Status.Sleep.Since, m.drifted = before(time.Hour), true
		}, nil, []string{"compared"}},
		"the StatefulSet is on its way out": {func(c *Controller, _ *tenancyv1.VirtualCluster, _ *memory) {
			leaving := set(func(s *appsv1.StatefulSet) { s.DeletionTimestamp = before(time.Second) })
			_ = c.watched.kept[0].GetStore().Update(leaving)
		}, nil, []string{"compared"}},
	} {
		t.Run(name, func(t *testing.T) {
			var did []string
			c := deployer(t, true, set(func(s *appsv1.StatefulSet) { s.ResourceVersion = "7" }))
			c.Metrics = NewMetrics(metrics.NewKubeRegistry().MustRegister)
			c.Releases = &compared{did: &did}
			if err := c.watched.kept[0].GetStore().Add(set(func(s *appsv1.StatefulSet) { s.ResourceVersion = "7" })); err != nil {
				t.Fatal(err)
			}
			c.Host.(*fake.Clientset).PrependReactor("patch", "statefulsets", func(action clienttesting.Action) (bool, runtime.Object, error) {
				did = append(did, "scaled")
				want := `{"metadata":{"resourceVersion":"7","uid":"set"},"spec":{"replicas":1}}`
				if got := string(action.(clienttesting.PatchAction).GetPatch()); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				return true, set(nil), test.refused
			})
			vc, m := object(1), &memory{}
			vc.Spec.Kubernetes = tenancyv1.KubernetesSpec{Distro: tenancyv1.DistroK3s, Version: "v1.37.2"}
			vc.Status.Sleep = &tenancyv1.SleepStatus{Number: 1, Since: before(time.Hour)}
			deploy := func() {
				t.Helper()
				if _, err := c.deploy(t.Context(), vc, m); err != nil {
					t.Fatal(err)
				}
			}
			deploy()
			did, vc.Status.Sleep.Since = nil, nil
			if test.meanwhile != nil {
				test.meanwhile(c, vc, m)
			}
			deploy()
			if !slices.Equal(did, test.want) {
				t.Errorf("got %v, want %v", did, test.want)
			}
		})
	}
}

// TestScaledAheadIsCompared has the comparison fail that follows a scale. Then a virtual cluster
// that falls asleep again at once is compared, too, though its values are those of before.
func TestScaledAheadIsCompared(t *testing.T) {
	var did []string
	c := deployer(t, true, set(nil))
	c.Metrics = NewMetrics(metrics.NewKubeRegistry().MustRegister)
	releases := &compared{did: &did}
	c.Releases = releases
	if err := c.watched.kept[0].GetStore().Add(set(nil)); err != nil {
		t.Fatal(err)
	}
	vc, m := object(1), &memory{}
	vc.Status.Sleep = &tenancyv1.SleepStatus{Number: 1, Since: before(time.Hour)}
	pass := func(since *metav1.Time, fail error) {
		t.Helper()
		vc.Status.Sleep.Since, releases.fail = since, fail
		if _, err := c.deploy(t.Context(), vc, m); !errors.Is(err, fail) {
			t.Fatalf("got %v, want %v", err, fail)
		}
	}
	pass(before(time.Hour), nil)
	pass(nil, errors.New("the host has a hiccup"))
	did = nil
	pass(before(0), nil)
	if want := []string{"compared"}; !slices.Equal(did, want) {
		t.Errorf("asleep again: got %v, want %v", did, want)
	}
}
