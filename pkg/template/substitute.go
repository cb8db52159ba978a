// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	// reference is $(NAME), or $$(NAME), which stands for $(NAME) itself.
	reference = regexp.MustCompile(`\$?\$\(([A-Za-z][A-Za-z0-9_-]*)\)`)
	// parameterName is what reference recognises.
	parameterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
)

// substitute returns a copy of a decoded JSON value with the arguments in place
// of the references to them. What is no reference to a name stays as it is.
func substitute(value any, arguments map[string]argument, path *field.Path) (any, field.ErrorList) {
	switch value := value.(type) {
	case string:
		return fill(value, arguments, path)
	case map[string]any:
		out := make(map[string]any, len(value))
		var errs field.ErrorList
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if reference.MatchString(key) {
				errs = append(errs, field.Invalid(path, key, "parameters can stand in values, not in the names of fields"))
				continue
			}
			filled, problems := substitute(value[key], arguments, path.Child(key))
			out[key] = filled
			errs = append(errs, problems...)
		}
		return out, errs
	case []any:
		out := make([]any, len(value))
		var errs field.ErrorList
		for i := range value {
			filled, problems := substitute(value[i], arguments, path.Index(i))
			out[i] = filled
			errs = append(errs, problems...)
		}
		return out, errs
	}
	return value, nil
}

// fill substitutes in one text. A text that is nothing but one reference
// becomes the argument's value, any other stays a text.
func fill(text string, arguments map[string]argument, path *field.Path) (any, field.ErrorList) {
	var errs field.ErrorList
	var out strings.Builder
	rest := 0
	for _, match := range reference.FindAllStringSubmatchIndex(text, -1) {
		start, end, name := match[0], match[1], text[match[2]:match[3]]
		out.WriteString(text[rest:start])
		rest = end
		if strings.HasPrefix(text[start:], "$$") {
			out.WriteString(text[start+1 : end])
			continue
		}
		argument, ok := arguments[name]
		if !ok {
			errs = append(errs, field.Invalid(path, text, fmt.Sprintf(
				"there is no parameter %s; write $$(%s) for the text itself", name, name)))
			continue
		}
		if start == 0 && end == len(text) {
			return argument.value, nil
		}
		out.WriteString(argument.text)
	}
	out.WriteString(text[rest:])
	return out.String(), errs
}
