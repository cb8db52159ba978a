// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const foo corev1.ResourceName = "example.com/foo"

// pod reads "name priority wants [on=NODE] [for=NODE] [only=NODE] [at=SECOND] [ending] [peaceful] [guarded]".
func pod(t *testing.T, place int, line string) Pod {
	t.Helper()
	words := strings.Fields(line)
	p := Pod{UID: types.UID(words[0]), Wants: Amounts{}, Created: time.Unix(int64(place), 0), May: func(string) bool { return true }, Guarded: func() bool { return false }}
	var wants int64
	if _, err := fmt.Sscan(words[1], &p.Priority); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(words[2], &wants); err != nil {
		t.Fatal(err)
	}
	p.Wants[foo] = wants
	for _, word := range words[3:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "on":
			p.Node = value
		case "for":
			p.Nominated = value
		case "only":
			p.May = func(node string) bool { return node == value }
		case "at":
			var second int64
			if _, err := fmt.Sscan(value, &second); err != nil {
				t.Fatal(err)
			}
			p.Created = time.Unix(second, 0)
		case "ending":
			p.Ending = true
		case "peaceful":
			p.Peaceful = true
		case "guarded":
			p.Guarded = func() bool { return true }
		default:
			t.Fatalf("what is %q?", word)
		}
	}
	return p
}

func (p Plan) String() string {
	var lines []string
	for uid, node := range p.Placed {
		lines = append(lines, fmt.Sprintf("%s on %s", uid, node))
	}
	for uid, node := range p.Nominated {
		lines = append(lines, fmt.Sprintf("%s soon %s", uid, node))
	}
	for victim, by := range p.Victims {
		lines = append(lines, fmt.Sprintf("%s ends for %s", victim, by))
	}
	for uid, short := range p.Short {
		for _, name := range slices.Sorted(maps.Keys(short)) {
			lines = append(lines, fmt.Sprintf("%s short on %d", uid, short[name]))
		}
		if len(short) == 0 {
			lines = append(lines, fmt.Sprintf("%s nowhere", uid))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		nodes map[string]int64
		pods  []string
		want  string
	}{
		"a pod gets the node with more room":               {map[string]int64{"a": 5, "b": 5}, []string{"x 0 2 on=a", "y 0 2"}, "y on b"},
		"two pods do not get the same room":                {map[string]int64{"a": 2}, []string{"x 0 2", "y 0 2"}, "x on a, y short on 1"},
		"the more important pod comes first":               {map[string]int64{"a": 2}, []string{"x 0 2 peaceful", "y 1 2"}, "x short on 1, y on a"},
		"a pod that may not go there has nowhere to go":    {map[string]int64{"a": 2}, []string{"x 0 2 only=b"}, "x nowhere"},
		"the less important pod ends":                      {map[string]int64{"a": 5, "b": 5}, []string{"l 1 2 on=a", "m 100 2 on=a", "n 100 2 on=b", "o 100 2 on=b", "x 1000 2"}, "l ends for x, x soon a"},
		"nobody ends for a pod of the same priority":       {map[string]int64{"a": 2}, []string{"x 1 2 on=a", "y 1 2"}, "y short on 1"},
		"of one second, the fewest end":                    {map[string]int64{"a": 4}, []string{"v 0 2 on=a at=1", "w 0 1 on=a at=1", "x 0 1 on=a at=1", "y 1 2"}, "v ends for y, y soon a"},
		"nobody ends for a pod that preempts nobody":       {map[string]int64{"a": 2}, []string{"x 1 2 on=a", "y 2 2 peaceful"}, "y short on 1"},
		"nobody ends in vain":                              {map[string]int64{"a": 4}, []string{"x 1 2 on=a", "z 3 2 on=a", "y 2 4"}, "y short on 1"},
		"as few as possible end, from the bottom":          {map[string]int64{"a": 1000}, []string{"x 1 200 on=a", "y 2 300 on=a", "z 3 450 on=a", "p 4 500"}, "p soon a, x ends for p, y ends for p"},
		"what is freed is kept for whom it was freed":      {map[string]int64{"a": 1000}, []string{"x 1 200 on=a ending", "z 3 450 on=a", "y 2 300 on=a ending", "p 4 500 for=a", "x2 1 200", "y2 2 300"}, "p soon a, x2 short on 1, y2 short on 1"},
		"room that comes is waited for":                    {map[string]int64{"a": 2}, []string{"x 1 2 on=a ending", "y 2 2"}, "y soon a"},
		"a small pod does not take it from a larger one":   {map[string]int64{"a": 3}, []string{"x 1 2 on=a ending", "y 2 3", "z 1 1"}, "y soon a, z short on 1"},
		"a pod gets the node that it was freed for":        {map[string]int64{"a": 2, "b": 4}, []string{"y 2 2 for=a"}, "y on a"},
		"whom a budget protects stays":                     {map[string]int64{"a": 2, "b": 2}, []string{"x 1 2 on=a guarded", "y 2 2 on=b", "z 3 2"}, "y ends for z, z soon b"},
		"whom a budget protects ends where nobody else is": {map[string]int64{"a": 2}, []string{"x 1 2 on=a guarded", "z 3 2"}, "x ends for z, z soon a"},
		"two pods have two others end":                     {map[string]int64{"a": 2}, []string{"x 1 1 on=a", "y 1 1 on=a", "p 2 1", "q 2 1"}, "p soon a, q soon a, x ends for q, y ends for p"},
		"one that waits and ends gets nothing":             {map[string]int64{"a": 2}, []string{"x 1 2 ending"}, ""},
		"too much on a node leaves nothing":                {map[string]int64{"a": 2}, []string{"x 1 3 on=a", "y 1 1"}, "y short on 1"},
		"a node that has none is no place":                 {map[string]int64{"a": 0}, []string{"y 1 1"}, "y short on 1"},
		"a pod on a node that is not inside takes nothing": {map[string]int64{"a": 1}, []string{"x 1 1 on=gone", "y 1 1"}, "y on a"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var nodes []Node
			for node, has := range tc.nodes {
				nodes = append(nodes, Node{Name: node, Has: Amounts{foo: has}})
			}
			var pods []Pod
			for place, line := range tc.pods {
				pods = append(pods, pod(t, place, line))
			}
			if got := New(nodes, pods).String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
