// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NodesFromHost says which nodes of the host are shown inside, with which labels and taints.
type NodesFromHost struct {
	// enabled shows the host's nodes as they are, with pods or without. Otherwise a node inside
	// stands for each node of the host that runs a pod, and only its name is known. Off by
	// default.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
	// selector matches the labels of the host's nodes. Others are not shown, and no pod of the
	// virtual cluster starts on one of them. All match when it is not set.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// labels say which labels nodes have inside.
	// +optional
	Labels NodeLabels `json:"labels,omitempty,omitzero"`
	// taints says whether nodes inside have the taints of the host's nodes: Shown or Hidden.
	// Taints that the rules for all pods tolerate are never shown. Defaults to Shown.
	// +optional
	// +k8s:optional
	Taints NodeTaints `json:"taints,omitempty"`
}

// NodeLabels say which labels nodes have inside, besides those that a tenant gives them. The
// labels of the host name, the operating system and the architecture are always shown.
type NodeLabels struct {
	// shown are the keys of the host's labels that nodes have inside. A * at the end of a key
	// stands for any ending. All are shown when it is not set.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	Shown []string `json:"shown,omitempty"`
	// added are labels that all nodes have inside, whatever labels the host's nodes have. The
	// scheduler inside uses them; the host does not have them.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Added map[string]string `json:"added,omitempty"`
}

// NodeTaints says what happens to the taints of the host's nodes.
// +enum
// +k8s:enum
type NodeTaints string

const (
	// NodeTaintsShown gives nodes inside the taints of the host's nodes.
	NodeTaintsShown NodeTaints = "Shown"
	// NodeTaintsHidden gives them none. The taints apply on the host all the same.
	NodeTaintsHidden NodeTaints = "Hidden"
)
