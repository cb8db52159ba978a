// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// fairQueue gives each namespace with waiting keys its turn, and takes the keys
// of one namespace in the order of their arrival. The workqueue around it
// removes duplicates and serialises the calls.
type fairQueue struct {
	// turns are the namespaces with waiting keys; the first is next.
	turns []string
	// waiting holds, for each namespace in turns, at least one key.
	waiting map[string][]types.NamespacedName
	length  int
}

var _ workqueue.Queue[types.NamespacedName] = &fairQueue{}

func newFairQueue() *fairQueue {
	return &fairQueue{waiting: map[string][]types.NamespacedName{}}
}

// Touch does nothing: asking again does not advance a key.
func (q *fairQueue) Touch(types.NamespacedName) {}

// Push adds a key behind those of its namespace.
func (q *fairQueue) Push(key types.NamespacedName) {
	if len(q.waiting[key.Namespace]) == 0 {
		q.turns = append(q.turns, key.Namespace)
	}
	q.waiting[key.Namespace] = append(q.waiting[key.Namespace], key)
	q.length++
}

// Len is the number of waiting keys.
func (q *fairQueue) Len() int { return q.length }

// Pop takes the first key of the namespace whose turn it is, which then goes to the end.
func (q *fairQueue) Pop() types.NamespacedName {
	namespace := q.turns[0]
	q.turns = q.turns[1:]
	keys := q.waiting[namespace]
	key := keys[0]
	if len(keys) == 1 {
		delete(q.waiting, namespace)
	} else {
		q.waiting[namespace] = keys[1:]
		q.turns = append(q.turns, namespace)
	}
	q.length--
	return key
}
