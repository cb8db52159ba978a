// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestClassOfAContent has the host take a snapshot by a class of its own, for one that the tenant named.
func TestClassOfAContent(t *testing.T) {
	for name, test := range map[string]struct {
		asked any
		want  any
	}{"a class of the tenant's": {"own", "own"}, "none, and the host's is not shown": {nil, nil}} {
		t.Run(name, func(t *testing.T) {
			c := &contents{builder: &builder{Config: Config{Translator: testTranslator()}}}
			snapshot := &unstructured.Unstructured{Object: tree{"metadata": tree{"namespace": "shop", "name": "one"}, "spec": tree{}}}
			if test.asked != nil {
				snapshot.Object["spec"] = tree{snapshotClassName: test.asked}
			}
			content := &unstructured.Unstructured{Object: tree{"spec": tree{"driver": "disks.example.org", snapshotClassName: "of-the-host"}}}
			shown := &unstructured.Unstructured{}
			c.apply(shown, &boundTo{inside: snapshot, content: content})
			if spec := shown.Object["spec"].(tree); spec[snapshotClassName] != test.want || spec["driver"] != "disks.example.org" {
				t.Errorf("got %v, want the class %v", spec, test.want)
			}
		})
	}
}
