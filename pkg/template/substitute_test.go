// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

func TestSubstitute(t *testing.T) {
	arguments := map[string]argument{
		"text":  newArgument(tenancy.ParameterString, `a"b`),
		"n":     newArgument(tenancy.ParameterInteger, "7"),
		"on":    newArgument(tenancy.ParameterBoolean, "true"),
		"size":  newArgument(tenancy.ParameterQuantity, "1024Mi"),
		"again": newArgument(tenancy.ParameterString, "$(n)"),
	}
	for name, test := range map[string]struct {
		value, want any
		errs        []string
	}{
		"nothing":            {"plain", "plain", nil},
		"in a text":          {"v=$(n)!", "v=7!", nil},
		"several":            {"$(text)-$(on)", `a"b-true`, nil},
		"integer alone":      {"$(n)", int64(7), nil},
		"boolean alone":      {"$(on)", true, nil},
		"quantity alone":     {"$(size)", "1024Mi", nil},
		"string alone":       {"$(text)", `a"b`, nil},
		"escaped":            {"$$(n)", "$(n)", nil},
		"escaped and filled": {"$$(n)=$(n)", "$(n)=7", nil},
		"dollars before":     {"$$$(n)", "$$(n)", nil},
		"not twice":          {"$(again)", "$(n)", nil},
		"not twice in text":  {"x$(again)", "x$(n)", nil},
		"no name":            {"$(a b) $() $n ${n}", "$(a b) $() $n ${n}", nil},
		"unknown":            {"$(m)", "", []string{"x: there is no parameter m; write $$(m) for the text itself"}},
		"in lists and objects": {
			map[string]any{"a": []any{"$(n)", map[string]any{"b": "--n=$(n)"}}, "c": int64(1)},
			map[string]any{"a": []any{int64(7), map[string]any{"b": "--n=7"}}, "c": int64(1)}, nil,
		},
		"unknown within": {
			map[string]any{"a": []any{"$(m)"}}, map[string]any{"a": []any{""}}, []string{"x.a[0]: there is no parameter m"},
		},
		"in a name": {map[string]any{"$(n)": "x"}, map[string]any{}, []string{"x: not in the names of fields"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := substitute(test.value, arguments, field.NewPath("x"))
			expect(t, errs, test.errs...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzSubstitute looks for a value that leaves its place: whatever a parameter
// holds, the structure stays, and the text that was around it too.
func FuzzSubstitute(f *testing.F) {
	for _, seed := range []string{"", "x", "$(p)", "$$(p)", `","b":"`, "\\", "\u2028", "\xff", "$(q)"} {
		f.Add(seed, "pre-", "-post")
	}
	f.Fuzz(func(t *testing.T, value, before, after string) {
		if strings.ContainsAny(before+after, "$()") {
			return
		}
		arguments := map[string]argument{"p": newArgument(tenancy.ParameterString, value)}
		document := map[string]any{"alone": "$(p)", "within": before + "$(p)" + after, "list": []any{"$(p)"}, "escaped": "$$(p)"}
		filled, errs := substitute(document, arguments, field.NewPath("x"))
		if len(errs) > 0 {
			t.Fatalf("%q: %v", value, errs)
		}
		want := map[string]any{"alone": value, "within": before + value + after, "list": []any{value}, "escaped": "$(p)"}
		if diff := cmp.Diff(want, filled); diff != "" {
			t.Errorf("%q (-want +got):\n%s", value, diff)
		}
		data, err := json.Marshal(filled)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(data, &back); err != nil || len(back) != len(document) {
			t.Errorf("%q: got %s, %v; want the %d fields that there were", value, data, err, len(document))
		}
	})
}
