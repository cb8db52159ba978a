// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"maps"
	"reflect"
	"slices"
)

// merge returns base with the fields of over on top.
func merge(base, over fragment) fragment {
	out := make(fragment, len(base)+len(over))
	maps.Copy(out, base)
	for name, value := range over {
		inner, object := value.(fragment)
		below, both := out[name].(fragment)
		if object {
			// A copy even where there is nothing below, so that the result shares nothing that is changed.
			if !both {
				below = nil
			}
			value = merge(below, inner)
		}
		out[name] = value
	}
	return out
}

// walk calls visit with every value that is no object, in the order of the names.
func walk(f fragment, visit func(path []string, value any)) {
	var descend func(f fragment, path []string)
	descend = func(f fragment, path []string) {
		for _, name := range slices.Sorted(maps.Keys(f)) {
			at := append(slices.Clone(path), name)
			if inner, ok := f[name].(fragment); ok {
				descend(inner, at)
				continue
			}
			visit(at, f[name])
		}
	}
	descend(f, nil)
}

// lookup returns the value at path. A single value that stands where the path
// wants an object is what is found there.
func lookup(f fragment, path []string) (any, bool) {
	for i, name := range path {
		value, ok := f[name]
		if !ok {
			return nil, false
		}
		if i == len(path)-1 {
			return value, true
		}
		inner, object := value.(fragment)
		if !object {
			return value, true
		}
		f = inner
	}
	return f, true
}

// put sets the value at path, whose way consists of objects or is free.
func put(f fragment, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := f[name].(fragment)
		if !ok {
			inner = fragment{}
			f[name] = inner
		}
		f = inner
	}
	f[path[len(path)-1]] = value
}

// without leaves out of f the values that stand in other at the same place.
func without(f, other fragment) fragment {
	out := make(fragment, len(f))
	for name, value := range f {
		theirs, ok := other[name]
		inner, object := value.(fragment)
		theirInner, theirObject := theirs.(fragment)
		switch {
		case object && theirObject:
			if rest := without(inner, theirInner); len(rest) > 0 {
				out[name] = rest
			}
		case ok && reflect.DeepEqual(value, theirs):
		default:
			out[name] = value
		}
	}
	return out
}

// unset says whether a value stands for nothing: null, or an empty list.
func unset(value any) bool {
	list, ok := value.([]any)
	return value == nil || ok && len(list) == 0
}
