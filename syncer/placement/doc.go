// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placement decides where pods go that ask for resources which only nodes inside
// have: somebody inside wrote them into the status of a Node, and no node of the host has
// them. The host's scheduler knows nothing of them, so that their room has to be kept inside.
//
// All else about a node, its processors and memory above all, the host's scheduler
// knows and the syncer does not. So a plan gives a pod one node that has room for what it asks
// inside, and the host decides whether the pod gets that node.
//
// As Kubernetes' scheduler does, a plan looks at pods in the order of their priorities and
// their age, lets a pod preempt the fewest and least important of those below it, and keeps
// the room that is about to come free for the pod that it was freed for. It is a function of
// what it is given, and writes nothing.
package placement
