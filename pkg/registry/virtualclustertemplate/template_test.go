// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/install"
)

// testStrategy is one where the template of this name is the default.
func testStrategy(marked string, err error) strategy {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return newStrategy(scheme, func(context.Context) (*tenancy.VirtualClusterTemplate, error) {
		if marked == "" {
			return nil, err
		}
		return &tenancy.VirtualClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: marked}}, err
	})
}

func named(name string, isDefault bool, versions ...string) *tenancy.VirtualClusterTemplate {
	template := &tenancy.VirtualClusterTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "1", Generation: 2},
		Spec:       tenancy.VirtualClusterTemplateSpec{Default: isDefault, Description: "for tests"},
	}
	for _, version := range versions {
		template.Spec.Versions = append(template.Spec.Versions, tenancy.TemplateVersion{Version: version})
	}
	return template
}

func TestOneDefault(t *testing.T) {
	for name, test := range map[string]struct {
		marked string
		err    error
		want   string
	}{
		"first":   {"", nil, ""},
		"itself":  {"small", nil, ""},
		"second":  {"large", nil, "spec.default: Forbidden: the template large is the default already"},
		"unknown": {"", errors.New("no answer"), "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStrategy(test.marked, test.err)
			for way, errs := range map[string]error{
				"create": s.Validate(t.Context(), named("small", true, "1.0.0")).ToAggregate(),
				"update": s.ValidateUpdate(t.Context(), named("small", true, "1.0.0"), named("small", false, "1.0.0")).ToAggregate(),
			} {
				if (errs == nil) != (test.want == "") || errs != nil && !strings.Contains(errs.Error(), test.want) {
					t.Errorf("%s: got %v, want %q", way, errs, test.want)
				}
			}
			// One that is marked already can be changed whatever others are.
			if errs := s.ValidateUpdate(t.Context(), named("small", true, "2.0.0"), named("small", true, "1.0.0")); len(errs) > 0 {
				t.Errorf("update of a default: got %v", errs)
			}
		})
	}
}

func TestOldFaultsStay(t *testing.T) {
	s := testStrategy("", nil)
	old := named("small", false, "1.0.0")
	old.Spec.Versions[0].Defaults = &runtime.RawExtension{Raw: []byte(`{"gone":1}`)}
	labelled := old.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	if errs := s.ValidateUpdate(t.Context(), labelled, old); len(errs) > 0 {
		t.Errorf("a label on a template with an old fault: got %v", errs)
	}
	changed := old.DeepCopy()
	changed.Spec.Versions[0].Version = "1.0.1"
	if errs := s.ValidateUpdate(t.Context(), changed, old); len(errs) != 1 || errs[0].Field != "spec.versions[0].defaults.gone" {
		t.Errorf("a change of it: got %v, want the fault", errs)
	}
}

// TestWarnings: a default template that cannot be applied to those who name none.
func TestWarnings(t *testing.T) {
	s := testStrategy("", nil)
	wanting := named("small", true, "1.0.0")
	wanting.Spec.Versions[0].Parameters = []tenancy.TemplateParameter{{Name: "team"}}
	for want, found := range map[string]*tenancy.VirtualClusterTemplate{
		`refused: Required value: template "small" needs a value for the parameter team`:          wanting,
		`refused: Required value: template "small" has pre-releases only: name one of 1.0.0-rc.1`: named("small", true, "1.0.0-rc.1"),
	} {
		for way, got := range map[string][]string{
			"create": s.WarningsOnCreate(t.Context(), found),
			"update": s.WarningsOnUpdate(t.Context(), found, named("small", true, "1.0.0")),
		} {
			if len(got) != 1 || !strings.HasPrefix(got[0], "spec.default: ") || !strings.HasSuffix(got[0], want) {
				t.Errorf("%s: got %q, want one that ends with %q", way, got, want)
			}
		}
		other := found.DeepCopy()
		other.Spec.Default = false
		if got := s.WarningsOnCreate(t.Context(), other); got != nil {
			t.Errorf("not the default: got %q", got)
		}
	}
}

func TestGeneration(t *testing.T) {
	s := testStrategy("", nil)
	made := named("small", false, "1.0.0")
	s.PrepareForCreate(t.Context(), made)
	labelled, changed := named("small", false, "1.0.0"), named("small", false, "1.0.1")
	labelled.Labels = map[string]string{"a": "b"}
	s.PrepareForUpdate(t.Context(), labelled, named("small", false, "1.0.0"))
	s.PrepareForUpdate(t.Context(), changed, named("small", false, "1.0.0"))
	if made.Generation != 1 || labelled.Generation != 2 || changed.Generation != 3 {
		t.Errorf("got generations %d, %d and %d, want 1, 2 and 3", made.Generation, labelled.Generation, changed.Generation)
	}
}

func TestTable(t *testing.T) {
	table, err := tableConvertor().ConvertToTable(t.Context(), named("small", true, "1.0.0", "1.1.0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"small", "1.0.0,1.1.0", true, "<unknown>", "for tests"}, table.Rows[0].Cells); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if len(table.Rows[0].Cells) != len(table.ColumnDefinitions) {
		t.Errorf("%d cells for %d columns", len(table.Rows[0].Cells), len(table.ColumnDefinitions))
	}
	if _, err := tableConvertor().ConvertToTable(t.Context(), &metav1.Status{}, nil); err == nil {
		t.Error("another kind was printed")
	}
}
