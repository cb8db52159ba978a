// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placement decides where to run pods that request resources which only nodes inside
// have. Somebody inside wrote these into the status of a Node, and no node of the host has
// them. The host's scheduler knows nothing about them, so the syncer has to track their room.
//
// Only the host's scheduler knows everything else about a node, above all its processors and
// memory. So a plan gives a pod one node with room for its resources inside, and the host
// decides whether the pod gets that node.
//
// Like Kubernetes' scheduler, a plan handles pods in the order of their priorities and their
// age. It lets a pod preempt the fewest and least important pods below it, and reserves the
// room that they free for that pod. It is a pure function, and writes nothing.
package placement
