// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// annotationAnswered is on a host object of which the host's admission changed what
// was asked for. It tells that from what somebody changed later.
const annotationAnswered = "garret.dev/answered"

// answers hold, for each field that the host changed, what was asked and what was
// answered, as short hashes with a colon between.
type answers map[string]string

// Carry has the host object be what fill makes of it, and says whether that took a
// write. What the host's admission made of an earlier write stays: a field is written
// when something else is asked for than then, or when somebody changed the answer.
// Write writes the wanted object and returns what the host made of it.
func Carry[T Object](ctx context.Context, writer Writer[T], host T, fill func(T) error, write func(wanted T) (T, error)) (bool, error) {
	wanted, err := filled(host, fill)
	if err != nil {
		return false, err
	}
	if equality.Semantic.DeepEqual(host, wanted) {
		return false, nil
	}
	kept, err := answersOf(host).keep(host, wanted)
	if err != nil || equality.Semantic.DeepEqual(host, wanted) {
		return false, err
	}
	if err := kept.putOn(wanted); err != nil {
		return false, err
	}
	written, err := write(wanted)
	if err != nil {
		return false, err
	}
	return true, KeepAnswer(ctx, writer, wanted, written, fill)
}

// Create makes the host object that fill fills in.
func Create[T Object](ctx context.Context, writer Writer[T], host T, fill func(T) error) error {
	if err := fill(host); err != nil {
		return err
	}
	made, err := writer.Create(ctx, host, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return KeepAnswer(ctx, writer, host, made, fill)
}

// filled is a copy that fill has been at. The answers stay on it.
func filled[T Object](host T, fill func(T) error) (T, error) {
	wanted := host.DeepCopyObject().(T)
	if err := fill(wanted); err != nil {
		return wanted, err
	}
	return wanted, answersOf(host).putOn(wanted)
}

// keep gives wanted the host's value of each field that stands as the host answered
// when the same was asked. It returns the answers to those.
func (a answers) keep(host, wanted Object) (answers, error) {
	if len(a) == 0 {
		return nil, nil
	}
	has, asks, err := contents(host, wanted)
	if err != nil {
		return nil, err
	}
	kept := answers{}
	for field, answer := range a {
		if answer == answerTo(asks[field], has[field]) {
			kept[field] = answer
		}
	}
	return kept, replace(wanted, has, kept)
}

// KeepAnswer has the host object carry what its API server made of what was sent.
func KeepAnswer[T Object](ctx context.Context, writer Writer[T], sent, written T, fill func(T) error) error {
	again, err := filled(written, fill)
	if err != nil {
		// The next pass finds it so, and tells.
		return nil
	}
	before := answersOf(written)
	if len(before) == 0 && equality.Semantic.DeepEqual(written, again) {
		return nil
	}
	has, asks, err := contents(written, again)
	if err != nil {
		return err
	}
	gave, _, err := contents(sent, again)
	if err != nil {
		return err
	}
	after := answers{}
	for field := range has {
		// A field that was not asked for as it would be now was not answered yet.
		answer := answerTo(asks[field], has[field])
		if !reflect.DeepEqual(has[field], asks[field]) && (reflect.DeepEqual(gave[field], asks[field]) || before[field] == answer) {
			after[field] = answer
		}
	}
	if maps.Equal(before, after) {
		return nil
	}
	var value any // null takes the annotation away
	if len(after) > 0 {
		if value, err = after.text(); err != nil {
			return err
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": written.GetUID(), "annotations": map[string]any{annotationAnswered: value}}})
	if err != nil {
		return fmt.Errorf("answer of the host: %w", err)
	}
	_, err = writer.Patch(ctx, written.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	return OnHost("keep the answer", err)
}

// answersOf reads the annotation. One that somebody has spoilt answers nothing.
func answersOf(host metav1.Object) answers {
	var read answers
	_ = json.Unmarshal([]byte(host.GetAnnotations()[annotationAnswered]), &read)
	return read
}

func (a answers) text() (string, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("answer of the host: %w", err)
	}
	return string(text), nil
}

// putOn has the object carry these answers and no others.
func (a answers) putOn(host metav1.Object) error {
	annotations := maps.Clone(host.GetAnnotations())
	delete(annotations, annotationAnswered)
	if len(a) > 0 {
		text, err := a.text()
		if err != nil {
			return err
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[annotationAnswered] = text
	}
	host.SetAnnotations(annotations)
	return nil
}

func answerTo(asked, answered any) string { return Hash(asked) + ":" + Hash(answered) }

// Hash is a short digest of a part of an object, which can always be written.
func Hash(value any) string {
	data, _ := json.Marshal(value)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// contents takes two objects apart into their fields, those of a spec by themselves.
// Both have all fields that either has, nil where there is none. Metadata are
// the translation's to see to, and the status is the host's own.
func contents(one, other Object) (a, b map[string]any, err error) {
	if a, err = contentOf(one); err != nil {
		return nil, nil, err
	}
	if b, err = contentOf(other); err != nil {
		return nil, nil, err
	}
	for field := range a {
		b[field] = b[field]
	}
	for field := range b {
		a[field] = a[field]
	}
	return a, b, nil
}

const specPrefix = "spec."

func contentOf(object Object) (map[string]any, error) {
	all, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("fields of the host object: %w", err)
	}
	content := map[string]any{}
	for key, value := range all {
		switch spec, nested := value.(map[string]any); {
		case key == "apiVersion" || key == "kind" || key == "metadata" || key == "status":
		case key == "spec" && nested:
			for name := range spec {
				content[specPrefix+name] = spec[name]
			}
		default:
			content[key] = value
		}
	}
	return content, nil
}

// replace gives the object the values of the fields that are named.
func replace(object Object, values map[string]any, fields answers) error {
	if len(fields) == 0 {
		return nil
	}
	all, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("fields of the host object: %w", err)
	}
	for field := range fields {
		within, name := all, field
		if inSpec, ok := strings.CutPrefix(field, specPrefix); ok {
			spec, _ := all["spec"].(map[string]any)
			if spec == nil {
				spec = map[string]any{}
				all["spec"] = spec
			}
			within, name = spec, inSpec
		}
		if values[field] == nil {
			delete(within, name)
		} else {
			within[name] = values[field]
		}
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(all, object); err != nil {
		return fmt.Errorf("fields of the host object: %w", err)
	}
	return nil
}
