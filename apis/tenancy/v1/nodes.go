// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// ResourceNodes are no kind of the catalogue: a node stands inside also where none is shown.
	ResourceNodes = "nodes"
	// FlagNodesFromHost has the host's nodes be shown as they are.
	FlagNodesFromHost = "sync-nodes-from-host"
	// FlagNodeRules has which labels and taints are shown, as args writes them.
	FlagNodeRules = "node-rules"
)

// nodeRules are the part of NodesFromHost that one argument carries.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type nodeRules struct {
	Labels NodeLabels `json:"labels,omitzero"`
	Taints NodeTaints `json:"taints,omitempty"`
}

// args are the arguments of the syncer.
func (n *NodesFromHost) args() []string {
	if n.Enabled == nil || !*n.Enabled {
		return nil
	}
	args := []string{"--" + FlagNodesFromHost}
	if selects(n.Selector) {
		args = append(args, selectArg(ResourceNodes, n.Selector))
	}
	if len(n.Labels.Shown)+len(n.Labels.Added) > 0 || n.Taints != "" {
		// Strings alone can be encoded. A kubelet would replace $(NAME) with a variable.
		text, _ := json.Marshal(nodeRules{n.Labels, n.Taints})
		args = append(args, "--"+FlagNodeRules+"="+strings.ReplaceAll(string(text), "$", `\u0024`))
	}
	return args
}

// ParseNodeRules reads the value of FlagNodeRules; nothing is no rule.
func ParseNodeRules(argument string) (NodesFromHost, error) {
	if argument == "" {
		return NodesFromHost{}, nil
	}
	var rules nodeRules
	decoder := json.NewDecoder(bytes.NewReader([]byte(argument)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		return NodesFromHost{}, fmt.Errorf("rules for nodes: %w", err)
	}
	return NodesFromHost{Labels: rules.Labels, Taints: rules.Taints}, nil
}

// Shows tells whether a label of the host's node is one inside.
func (n NodeLabels) Shows(key string) bool {
	_, added := n.Added[key]
	return !added && (len(n.Shown) == 0 || MatchesKey(n.Shown, key))
}

// selects tells whether the selector leaves anything out.
func selects(selector *metav1.LabelSelector) bool {
	return selector != nil && len(selector.MatchLabels)+len(selector.MatchExpressions) > 0
}

func selectArg(resource string, selector *metav1.LabelSelector) string {
	return "--" + FlagSelectFromHost + "=" + resource + ":" + metav1.FormatLabelSelector(selector)
}
