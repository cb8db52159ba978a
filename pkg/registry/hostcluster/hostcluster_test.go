// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/install"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

func testStrategy() strategy {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return newStrategy(scheme, templates{})
}

// templates are one, small, whose version 2.0.0 has a parameter without a default.
type templates struct{}

func (templates) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if name != "small" {
		return nil, apierrors.NewNotFound(tenancy.Resource("virtualclustertemplates"), name)
	}
	return &tenancy.VirtualClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: tenancy.VirtualClusterTemplateSpec{
		Versions: []tenancy.TemplateVersion{{Version: "1.0.0"}, {Version: "2.0.0", Parameters: []tenancy.TemplateParameter{{Name: "team"}}}},
	}}, nil
}

func TestWarnings(t *testing.T) {
	const refused = "virtual clusters that name no template will be refused"
	for name, test := range map[string]struct {
		spec tenancy.HostClusterSpec
		want []string
	}{
		"none":    {tenancy.HostClusterSpec{}, nil},
		"applies": {tenancy.HostClusterSpec{DefaultTemplateRef: &tenancy.LocalTemplateReference{Name: "small", Version: "1.0.0"}}, nil},
		"missing": {tenancy.HostClusterSpec{DefaultTemplateRef: &tenancy.LocalTemplateReference{Name: "large"}},
			[]string{"spec.defaultTemplateRef.name: there is no VirtualClusterTemplate large: until there is one, " + refused}},
		"of no such version": {tenancy.HostClusterSpec{DefaultTemplateRef: &tenancy.LocalTemplateReference{Name: "small", Version: "3.0.0"}},
			[]string{"spec.defaultTemplateRef: " + refused + `: Invalid value: "3.0.0": template "small" has no such version, but 1.0.0, 2.0.0`}},
		"wants a value": {tenancy.HostClusterSpec{DefaultTemplateRef: &tenancy.LocalTemplateReference{Name: "small", Version: "2.0.0"}},
			[]string{"spec.defaultTemplateRef: " + refused + `: Required value: template "small" needs a value for the parameter team`}},
		"enough": {tenancy.HostClusterSpec{MaxVirtualClusters: ptr.To[int32](3)}, nil},
		"too few": {tenancy.HostClusterSpec{MaxVirtualClusters: ptr.To[int32](2)},
			[]string{"spec.maxVirtualClusters: there are 3 virtual clusters, which stay: none can be created until there are fewer than 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			host, old := existing(), existing()
			old.Spec = tenancy.HostClusterSpec{}
			host.Spec = test.spec
			if diff := cmp.Diff(test.want, testStrategy().WarningsOnUpdate(t.Context(), host, old)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if got := testStrategy().WarningsOnUpdate(t.Context(), host, host.DeepCopy()); got != nil {
				t.Errorf("no change: got %q", got)
			}
		})
	}
}

func existing() *tenancy.HostCluster {
	return &tenancy.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: v1.LocalHostCluster, Generation: 2, CreationTimestamp: metav1.NewTime(time.Now().Add(-5 * time.Hour))},
		Spec: tenancy.HostClusterSpec{
			MaxVirtualClusters: ptr.To[int32](7), DefaultTemplateRef: &tenancy.LocalTemplateReference{Name: "small"},
		},
		Status: tenancy.HostClusterStatus{
			KubernetesVersion: "v1.37.2", VirtualClusters: 3,
			Conditions: []metav1.Condition{{Type: tenancy.ConditionReady, Status: metav1.ConditionTrue, Reason: "R", Message: "m"}},
		},
	}
}

func TestSpecAndStatusAreApart(t *testing.T) {
	made := existing()
	testStrategy().PrepareForCreate(t.Context(), made)
	if diff := cmp.Diff(tenancy.HostClusterStatus{}, made.Status); diff != "" || made.Generation != 1 {
		t.Errorf("created in generation %d with a status:\n%s", made.Generation, diff)
	}
	host, old := existing(), existing()
	host.Spec.MaxVirtualClusters, host.Status.VirtualClusters = nil, 9
	testStrategy().PrepareForUpdate(t.Context(), host, old)
	if host.Generation != 3 || host.Status.VirtualClusters != 3 || host.Spec.MaxVirtualClusters != nil {
		t.Errorf("spec: got generation %d, %+v, %+v; want 3, the new spec and the old status", host.Generation, host.Spec, host.Status)
	}
	host = existing()
	host.Spec.MaxVirtualClusters, host.Status.VirtualClusters, host.Labels = nil, 9, map[string]string{"a": "b"}
	statusStrategy{testStrategy()}.PrepareForUpdate(t.Context(), host, old)
	if host.Generation != 2 || host.Status.VirtualClusters != 9 || *host.Spec.MaxVirtualClusters != 7 || len(host.Labels) > 0 {
		t.Errorf("status: got %+v, want only the status changed", host)
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

func TestTable(t *testing.T) {
	bare := &tenancy.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "local"}}
	for name, test := range map[string]struct {
		object runtime.Object
		want   [][]any
	}{
		"ready": {existing(), [][]any{{"local", "True", "v1.37.2", int64(3), "7", "5h", "small", "m"}}},
		"new":   {&tenancy.HostClusterList{Items: []tenancy.HostCluster{*bare}}, [][]any{{"local", "Unknown", "", int64(0), "<none>", "<unknown>", "<none>", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := tableConvertor().ConvertToTable(t.Context(), test.object, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got [][]any
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
	if _, err := tableConvertor().ConvertToTable(t.Context(), &metav1.Status{}, nil); err == nil {
		t.Error("another kind was printed")
	}
}
