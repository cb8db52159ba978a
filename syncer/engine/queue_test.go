// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestFairQueue(t *testing.T) {
	tests := []struct{ name, push, want string }{
		{"one namespace keeps its order", "a/1 a/2 a/3", "a/1 a/2 a/3"},
		{"namespaces take turns", "a/1 a/2 a/3 b/1 c/1", "a/1 b/1 c/1 a/2 a/3"},
		{"a late namespace does not wait for an early one", "a/1 a/2 a/3 a/4 b/1", "a/1 b/1 a/2 a/3 a/4"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			queue := newFairQueue()
			for _, key := range strings.Fields(test.push) {
				namespace, name, _ := strings.Cut(key, "/")
				queue.Push(types.NamespacedName{Namespace: namespace, Name: name})
			}
			var got []string
			for queue.Len() > 0 {
				got = append(got, queue.Pop().String())
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
			if len(queue.turns) != 0 || len(queue.waiting) != 0 {
				t.Errorf("an empty queue holds on to %v and %v", queue.turns, queue.waiting)
			}
		})
	}
}
