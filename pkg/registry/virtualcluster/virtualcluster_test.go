// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/install"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/validation"
)

func testStrategy() strategy {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return newStrategy(scheme, &validation.Validator{})
}

func existing() *tenancy.VirtualCluster {
	return &tenancy.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{
			Name: "demo", Namespace: "team", UID: "u-1", Generation: 3, Labels: map[string]string{"a": "b"},
			Finalizers: []string{v1.Finalizer}, CreationTimestamp: metav1.NewTime(time.Now().Add(-5 * time.Hour)),
		},
		Spec: tenancy.VirtualClusterSpec{Kubernetes: tenancy.KubernetesSpec{Distro: tenancy.DistroK3s, Version: "v1.37.2"}},
		Status: tenancy.VirtualClusterStatus{
			Phase: tenancy.PhaseReady, ClusterID: "0123456789", Endpoint: "https://10.96.0.9:443", KubernetesVersion: "v1.37.2+k3s1",
			Conditions: []metav1.Condition{{Type: tenancy.ConditionReady, Status: metav1.ConditionTrue, Reason: "Answers", Message: "the API answers"}},
		},
	}
}

func TestCreateSetsTheStatusItself(t *testing.T) {
	vc := existing()
	testStrategy().PrepareForCreate(context.Background(), vc)
	want := tenancy.VirtualClusterStatus{Phase: tenancy.PhasePending, ClusterID: v1.ClusterID("u-1")}
	if diff := cmp.Diff(want, vc.Status); diff != "" {
		t.Errorf("status after create (-want +got):\n%s", diff)
	}
	if vc.Generation != 1 {
		t.Errorf("got generation %d, want 1", vc.Generation)
	}
}

func TestUpdateBelongsToTheSpec(t *testing.T) {
	for name, test := range map[string]struct {
		change     func(*tenancy.VirtualCluster)
		generation int64
	}{
		"spec":   {func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.ExtraArgs = []string{"--v=2"} }, 4},
		"labels": {func(vc *tenancy.VirtualCluster) { vc.Labels = map[string]string{"c": "d"} }, 3},
		"status": {func(vc *tenancy.VirtualCluster) { vc.Status.Phase = tenancy.PhaseFailed; vc.Status.ClusterID = "x" }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			vc, old := existing(), existing()
			test.change(vc)
			testStrategy().PrepareForUpdate(context.Background(), vc, old)
			if vc.Generation != test.generation {
				t.Errorf("got generation %d, want %d", vc.Generation, test.generation)
			}
			if diff := cmp.Diff(old.Status, vc.Status); diff != "" {
				t.Errorf("the status changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusUpdateBelongsToTheStatus(t *testing.T) {
	vc, old := existing(), existing()
	vc.Spec.Kubernetes.Version = "v1.36.3"
	vc.Labels, vc.Finalizers = nil, nil
	vc.OwnerReferences = []metav1.OwnerReference{{Name: "x"}}
	vc.Generation = 9
	vc.Status = tenancy.VirtualClusterStatus{ClusterID: "stolen", KubernetesVersion: "v1.37.3"}
	statusStrategy{testStrategy()}.PrepareForUpdate(context.Background(), vc, old)

	want := existing()
	want.CreationTimestamp = old.CreationTimestamp
	vc.CreationTimestamp = old.CreationTimestamp
	want.Status = tenancy.VirtualClusterStatus{Phase: tenancy.PhaseReady, ClusterID: "0123456789", KubernetesVersion: "v1.37.3"}
	if diff := cmp.Diff(want, vc); diff != "" {
		t.Errorf("after a status update (-want +got):\n%s", diff)
	}
}

// TestIDOfRetainedData lets a status have another id once, before anything is made,
// and not by the syncer.
func TestIDOfRetainedData(t *testing.T) {
	own, taken := v1.ClusterID("u-1"), "abcdef0123"
	fresh := func() *tenancy.VirtualCluster {
		vc := existing()
		vc.Status = tenancy.VirtualClusterStatus{Phase: tenancy.PhasePending, ClusterID: own}
		return vc
	}
	type change = func(before, now *tenancy.VirtualCluster)
	for name, test := range map[string]struct {
		writer string
		change change
		want   string
	}{
		"the controller":         {"garret-controller", nil, taken},
		"a syncer of another":    {"system:serviceaccount:team:vc-other", nil, taken},
		"the syncer":             {"system:serviceaccount:team:vc-demo", nil, own},
		"nobody":                 {"", nil, own},
		"no id":                  {"garret-controller", func(_, now *tenancy.VirtualCluster) { now.Status.ClusterID = "stolen" }, own},
		"nothing":                {"garret-controller", func(_, now *tenancy.VirtualCluster) { now.Status.ClusterID = "" }, own},
		"together with progress": {"garret-controller", func(_, now *tenancy.VirtualCluster) { now.Status.Phase = tenancy.PhaseDeploying }, own},
		"after the first try":    {"garret-controller", func(before, _ *tenancy.VirtualCluster) { before.Status.Phase = tenancy.PhaseFailed }, own},
		"after the release":      {"garret-controller", func(before, _ *tenancy.VirtualCluster) { before.Status.Release = &tenancy.ReleaseStatus{} }, own},
		"while it is deleted":    {"garret-controller", func(before, _ *tenancy.VirtualCluster) { before.DeletionTimestamp = &metav1.Time{} }, own},
		"a second time":          {"garret-controller", func(before, _ *tenancy.VirtualCluster) { before.Status.ClusterID = "0000000000" }, "0000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			before, now := fresh(), fresh()
			now.Status.ClusterID = taken
			if test.change != nil {
				test.change(before, now)
			}
			ctx := t.Context()
			if test.writer != "" {
				ctx = request.WithUser(ctx, &user.DefaultInfo{Name: test.writer})
			}
			statusStrategy{testStrategy()}.PrepareForUpdate(ctx, now, before)
			if now.Status.ClusterID != test.want {
				t.Errorf("got id %q, want %q", now.Status.ClusterID, test.want)
			}
		})
	}
}

// TestLastActivityTime has several writers say when the virtual cluster was used last.
func TestLastActivityTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }
	for name, test := range map[string]struct{ before, written, want *metav1.Time }{
		"never":                      {nil, nil, nil},
		"for the first time":         {nil, at(-time.Minute), at(-time.Minute)},
		"later":                      {at(-time.Hour), at(-time.Minute), at(-time.Minute)},
		"earlier":                    {at(-time.Minute), at(-time.Hour), at(-time.Minute)},
		"by somebody who knows none": {at(-time.Minute), nil, at(-time.Minute)},
		"yet to come":                {at(-time.Minute), at(time.Hour), at(0)},
		"yet to come, and the first": {nil, at(time.Hour), at(0)},
		"now, by a clock ahead":      {at(time.Second), at(time.Minute), at(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStrategy()
			s.now = func() time.Time { return now }
			vc, old := existing(), existing()
			old.Status.LastActivityTime, vc.Status.LastActivityTime = test.before, test.written
			statusStrategy{s}.PrepareForUpdate(t.Context(), vc, old)
			if !vc.Status.LastActivityTime.Equal(test.want) {
				t.Errorf("got %v, want %v", vc.Status.LastActivityTime, test.want)
			}
		})
	}
}

// TestSyncersReport takes from a syncer what it alone knows. Whoever borrows its account can
// neither move the virtual cluster nor call it ready.
func TestSyncersReport(t *testing.T) {
	used := metav1.NewTime(time.Now().Add(-time.Hour))
	write := func(writer string) *tenancy.VirtualCluster {
		now, before := existing(), existing()
		before.Status.Conditions = append(before.Status.Conditions, metav1.Condition{Type: tenancy.ConditionSyncerReady, Status: metav1.ConditionFalse})
		now.Status = tenancy.VirtualClusterStatus{
			Phase: tenancy.PhaseFailed, ObservedGeneration: 99, Endpoint: "https://192.0.2.1:443", KubernetesVersion: "v1.37.3", CertificateAuthorityData: []byte("ca"),
			ClusterID: "abcdef0123", Release: &tenancy.ReleaseStatus{Name: "mine"}, Quota: &tenancy.QuotaStatus{}, RestingFor: 7, Sleep: &tenancy.SleepStatus{Number: 9},
			LastActivityTime: &used, WakeRequest: &tenancy.WakeRequest{Sleep: 9},
			Conditions: []metav1.Condition{
				{Type: tenancy.ConditionReady, Status: metav1.ConditionFalse}, {Type: "HostPodSecurity", Status: metav1.ConditionTrue},
				{Type: v1.ConditionDeletionScheduled, Status: metav1.ConditionTrue}, {Type: tenancy.ConditionSyncerReady, Status: metav1.ConditionTrue},
			},
		}
		ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: writer})
		statusStrategy{testStrategy()}.PrepareForUpdate(ctx, now, before)
		return now
	}
	want := existing().Status
	want.KubernetesVersion, want.CertificateAuthorityData, want.Quota, want.RestingFor = "v1.37.3", []byte("ca"), &tenancy.QuotaStatus{}, 7
	want.LastActivityTime = &used
	want.Conditions = append(want.Conditions, metav1.Condition{Type: tenancy.ConditionSyncerReady, Status: metav1.ConditionTrue})
	if diff := cmp.Diff(want, write("system:serviceaccount:team:vc-demo").Status); diff != "" {
		t.Errorf("the syncer's report (-want +got):\n%s", diff)
	}
	if got := write("garret-controller").Status; got.Endpoint != "https://192.0.2.1:443" || got.Phase != tenancy.PhaseFailed || got.Release == nil {
		t.Errorf("the controller's report: got %v", got)
	}
}

func TestResetFields(t *testing.T) {
	version := fieldpath.APIVersion(v1.SchemeGroupVersion.String())
	main, status := testStrategy().GetResetFields()[version], statusStrategy{testStrategy()}.GetResetFields()[version]
	if !main.Has(fieldpath.MakePathOrDie("status")) || main.Has(fieldpath.MakePathOrDie("spec")) {
		t.Errorf("main: got %v, want the status and not the spec", main)
	}
	if !status.Has(fieldpath.MakePathOrDie("spec")) || status.Has(fieldpath.MakePathOrDie("status")) {
		t.Errorf("status: got %v, want the spec and not the status", status)
	}
}

func TestGeneratedNamesFit(t *testing.T) {
	name := testStrategy().GenerateName(strings.Repeat("long", 20))
	if len(name) > v1.MaxNameLength {
		t.Errorf("got %q of %d characters, want at most %d", name, len(name), v1.MaxNameLength)
	}
	if got := testStrategy().GenerateName("team-"); !strings.HasPrefix(got, "team-") || len(got) != len("team-")+generatedSuffix {
		t.Errorf("got %q, want team- and %d characters", got, generatedSuffix)
	}
}

func TestSelectors(t *testing.T) {
	for selector, want := range map[string]bool{
		"status.phase=Ready":              true,
		"status.phase=Failed":             false,
		"spec.kubernetes.version=v1.37.2": true,
		"metadata.name=demo":              true,
		"metadata.namespace=other":        false,
	} {
		_, found, err := attributes(existing())
		if got := fields.ParseSelectorOrDie(selector).Matches(found); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", selector, got, err, want)
		}
	}
	if _, _, err := attributes(&tenancy.KubeconfigRequest{}); err == nil {
		t.Error("another kind was selected")
	}
}

// sleeping has slept for three hours.
func sleeping(reason string) *tenancy.VirtualCluster {
	vc := existing()
	since := ago(3 * time.Hour)
	vc.Status.Phase = tenancy.PhaseSleeping
	vc.Status.Sleep = &tenancy.SleepStatus{Number: 1, Since: &since, Reason: reason}
	vc.Status.Conditions = []metav1.Condition{
		{Type: tenancy.ConditionReady, Status: metav1.ConditionFalse, Reason: "Asleep", Message: "wake it with: garret wake demo"},
		{Type: v1.ConditionAsleep, Status: metav1.ConditionTrue, Reason: "Asleep"},
	}
	return vc
}

// leaving sleeps, and is about to be deleted.
func leaving() *tenancy.VirtualCluster {
	vc := sleeping(v1.SleepReasonInactive)
	vc.Status.Conditions = append(vc.Status.Conditions, metav1.Condition{Type: v1.ConditionDeletionScheduled, Status: metav1.ConditionTrue, Message: "it is deleted at noon"})
	return vc
}

func ago(d time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-d)) }

func TestTable(t *testing.T) {
	deleted := existing()
	now := metav1.NewTime(time.Now().Add(-20 * time.Minute)) // an age that is told without seconds
	deleted.DeletionTimestamp = &now
	young := &tenancy.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "new", CreationTimestamp: now},
		Spec:       existing().Spec,
		Status:     tenancy.VirtualClusterStatus{Phase: tenancy.PhasePending, ClusterID: "9876543210"},
	}
	for name, test := range map[string]struct {
		object runtime.Object
		want   [][]any
	}{
		"ready":    {existing(), [][]any{{"demo", "Ready", "v1.37.2+k3s1", "5h", "", "k3s", "https://10.96.0.9:443", "0123456789", "Answers", "the API answers"}}},
		"new":      {young, [][]any{{"new", "Pending", "v1.37.2", "20m", "", "k3s", "<none>", "9876543210", "<none>", "<none>"}}},
		"deleting": {deleted, [][]any{{"demo", "Terminating", "v1.37.2+k3s1", "5h", "", "k3s", "https://10.96.0.9:443", "0123456789", "Answers", "the API answers"}}},
		"sleeping": {sleeping(v1.SleepReasonInactive), [][]any{{"demo", "Sleeping", "v1.37.2+k3s1", "5h", "since 3h, inactive; a request wakes it", "k3s", "https://10.96.0.9:443", "0123456789", "Asleep", "wake it with: garret wake demo"}}},
		"leaving":  {leaving(), [][]any{{"demo", "Sleeping", "v1.37.2+k3s1", "5h", "since 3h, inactive; a request wakes it", "k3s", "https://10.96.0.9:443", "0123456789", "Asleep", "wake it with: garret wake demo; it is deleted at noon"}}},
		"none":     {&tenancy.VirtualClusterList{}, [][]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := tableConvertor().ConvertToTable(context.Background(), test.object, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := [][]any{}
			for _, row := range table.Rows {
				if len(row.Cells) != len(table.ColumnDefinitions) {
					t.Errorf("%d cells for %d columns", len(row.Cells), len(table.ColumnDefinitions))
				}
				got = append(got, row.Cells)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := tableConvertor().ConvertToTable(context.Background(), &metav1.Status{}, nil); err == nil {
		t.Error("another kind was printed")
	}
}

// TestNarrowTable holds the table to what fits beside each other. The note is among it: who sees
// "Sleeping" wants to know why, and how to wake it, without another command.
func TestNarrowTable(t *testing.T) {
	var narrow []string
	for _, column := range columns() {
		if column.Priority == 0 {
			narrow = append(narrow, strings.ToUpper(column.Name))
		}
	}
	if diff := cmp.Diff([]string{"NAME", "PHASE", "VERSION", "AGE", "NOTE"}, narrow); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestNote(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) *metav1.Time {
		at := metav1.NewTime(now.Add(-d))
		return &at
	}
	set := func(vc *tenancy.VirtualCluster, kind string, status metav1.ConditionStatus, reason string) {
		meta.SetStatusCondition(&vc.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason})
	}
	asleep := func(reason string) func(*tenancy.VirtualCluster) {
		return func(vc *tenancy.VirtualCluster) {
			vc.Status.Phase = tenancy.PhaseSleeping
			vc.Status.Sleep = &tenancy.SleepStatus{Number: 1, Since: before(3 * time.Hour), Reason: reason}
			set(vc, tenancy.ConditionReady, metav1.ConditionFalse, v1.ReasonAsleep)
			set(vc, v1.ConditionAsleep, metav1.ConditionTrue, v1.ReasonAsleep)
		}
	}
	deletion := func(vc *tenancy.VirtualCluster) {
		vc.CreationTimestamp = *before(40 * 24 * time.Hour)
		vc.Spec.Sleep.DeleteAfterInactivity = &metav1.Duration{Duration: 40 * 24 * time.Hour}
		if vc.Status.Sleep == nil {
			vc.Status.Sleep = &tenancy.SleepStatus{}
		}
		vc.Status.Sleep.UseCountedSince = before(40*24*time.Hour - 48*time.Hour + v1.ActivityInterval)
		vc.Status.Conditions = append(vc.Status.Conditions, metav1.Condition{
			Type: v1.ConditionDeletionScheduled, Status: metav1.ConditionTrue, ObservedGeneration: vc.Generation, LastTransitionTime: *before(48 * time.Hour)})
	}
	for name, test := range map[string]struct {
		changes []func(*tenancy.VirtualCluster)
		want    string
	}{
		"ready":     {nil, ""},
		"paused":    {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonPaused)}, "since 3h, paused; wake it: garret wake demo -n team"},
		"inactive":  {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonInactive)}, "since 3h, inactive; a request wakes it"},
		"scheduled": {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonScheduled)}, "since 3h, scheduled; a request wakes it"},
		"with a wake to come": {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonScheduled), func(vc *tenancy.VirtualCluster) {
			vc.Spec.Sleep.WakeSchedule = "0 7 * * *"
			vc.Status.Sleep.Schedule = &tenancy.ObservedSchedule{WakeSchedule: "0 7 * * *", Since: before(48 * time.Hour)}
		}}, "since 3h, scheduled; wakes in 19h or by a request"},
		"falling asleep": {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonInactive), func(vc *tenancy.VirtualCluster) {
			set(vc, v1.ConditionAsleep, metav1.ConditionFalse, v1.ReasonFallingAsleep)
		}}, "falling asleep since 3h, inactive; a request wakes it"},
		"the host refuses the sleep": {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonPaused), func(vc *tenancy.VirtualCluster) {
			set(vc, v1.ConditionAsleep, metav1.ConditionFalse, v1.ReasonFallingAsleep)
			set(vc, v1.ConditionStalled, metav1.ConditionTrue, v1.ReasonFallingAsleep)
		}}, "cannot fall asleep since 3h, paused; wake it: garret wake demo -n team"},
		"not ready": {[]func(*tenancy.VirtualCluster){func(vc *tenancy.VirtualCluster) {
			vc.Status.Phase = tenancy.PhaseFailed
			set(vc, tenancy.ConditionReady, metav1.ConditionFalse, "ImagePullBackOff")
		}}, "ImagePullBackOff"},
		"a reason that is the phase": {[]func(*tenancy.VirtualCluster){func(vc *tenancy.VirtualCluster) {
			vc.Status.Phase = tenancy.PhaseWaking
			set(vc, tenancy.ConditionReady, metav1.ConditionFalse, "Waking")
		}}, ""},
		"ready and unused":  {[]func(*tenancy.VirtualCluster){deletion}, "deleted in 2d unless used"},
		"asleep and unused": {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonInactive), deletion}, "since 3h, inactive; a request wakes it; deleted in 2d unless used"},
		"being deleted": {[]func(*tenancy.VirtualCluster){asleep(v1.SleepReasonPaused), func(vc *tenancy.VirtualCluster) {
			vc.DeletionTimestamp = before(0)
		}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			vc := existing()
			vc.CreationTimestamp = *before(100 * time.Hour)
			for _, change := range test.changes {
				change(vc)
			}
			if got := note(vc, now); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
