// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// FlagPodRules has the rules for all pods, as Argument writes them.
const FlagPodRules = "pod-rules"

// IsZero says that there is no rule.
func (r PodRules) IsZero() bool { return equality.Semantic.DeepEqual(r, PodRules{}) }

// Over lays the rules over others. Where both decide about one thing, these do.
func (r PodRules) Over(below PodRules) PodRules {
	merged := *r.DeepCopy()
	merged.Images = unlessKnown(merged.Images, below.Images, func(rule ImageRule) string { return rule.From })
	merged.PriorityClasses = unlessKnown(merged.PriorityClasses, below.PriorityClasses, func(rule PriorityClassRule) string { return rule.Name })
	for _, toleration := range below.Tolerations {
		if !slices.ContainsFunc(merged.Tolerations, func(t corev1.Toleration) bool { return equality.Semantic.DeepEqual(t, toleration) }) {
			merged.Tolerations = append(merged.Tolerations, toleration)
		}
	}
	if merged.RuntimeClassName == "" {
		merged.RuntimeClassName = below.RuntimeClassName
	}
	merged.NodeSelector = over(merged.NodeSelector, below.NodeSelector)
	merged.Labels = over(merged.Labels, below.Labels)
	merged.Annotations = over(merged.Annotations, below.Annotations)
	return merged
}

// unlessKnown adds what has another key than those that are there.
func unlessKnown[T any](rules, more []T, key func(T) string) []T {
	for _, rule := range more {
		if !slices.ContainsFunc(rules, func(known T) bool { return key(known) == key(rule) }) {
			rules = append(rules, rule)
		}
	}
	return rules
}

func over(values, below map[string]string) map[string]string {
	if len(below) == 0 {
		return values
	}
	merged := maps.Clone(below)
	maps.Copy(merged, values)
	return merged
}

// Argument writes the rules as the value of an argument of a container. It has no dollar sign:
// a kubelet would replace $(NAME) with variables of the container.
func (r PodRules) Argument() (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode rules for pods: %w", err)
	}
	return strings.ReplaceAll(string(text), "$", `\u0024`), nil
}

// ParsePodRules reads what Argument wrote; nothing is no rule.
func ParsePodRules(argument string) (PodRules, error) {
	var rules PodRules
	if argument == "" {
		return rules, nil
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(argument)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		return PodRules{}, fmt.Errorf("rules for pods: %w", err)
	}
	return rules, nil
}

// Narrow returns the rules without those that are not allowed.
func (a AllowedPodRules) Narrow(rules PodRules) PodRules {
	narrowed := *rules.DeepCopy()
	maps.DeleteFunc(narrowed.Labels, func(key, _ string) bool { return !MatchesKey(a.Labels, key) })
	maps.DeleteFunc(narrowed.Annotations, func(key, _ string) bool { return !MatchesKey(a.Annotations, key) })
	narrowed.PriorityClasses = slices.DeleteFunc(narrowed.PriorityClasses, func(rule PriorityClassRule) bool {
		return !slices.Contains(a.PriorityClasses, rule.Host)
	})
	return narrowed
}

// MatchesKey tells whether one of the patterns is of the key of a label or annotation: the key itself, or
// its beginning and a *.
func MatchesKey(patterns []string, key string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		start, open := strings.CutSuffix(pattern, "*")
		return key == pattern || open && strings.HasPrefix(key, start)
	})
}
