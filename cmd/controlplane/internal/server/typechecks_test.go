package server

import (
	"slices"
	"testing"
)

func TestTypeChecksAreTakenUnlessTheOperatorDecides(t *testing.T) {
	for name, tc := range map[string]struct {
		controllers string
		want        bool
	}{
		"all":                    {"*,tokencleaner", true},
		"all, and others not":    {"*,-ttl", true},
		"all but this":           {"*,-" + typeChecks, false},
		"this by its name":       {"*," + typeChecks, false},
		"others by their names":  {"ttl-controller", false},
		"others, and not by all": {"ttl-controller,-deployment-controller", false},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseControllerManager([]string{"--controllers=" + tc.controllers})
			if err != nil {
				t.Fatal(err)
			}
			before := slices.Clone(o.Generic.Controllers)
			if got := takeTypeChecks(o); got != tc.want {
				t.Errorf("taken: %t, want %t", got, tc.want)
			}
			if tc.want {
				before = append(before, "-"+typeChecks)
			}
			if !slices.Equal(o.Generic.Controllers, before) {
				t.Errorf("controllers: %v, want %v", o.Generic.Controllers, before)
			}
		})
	}
}
