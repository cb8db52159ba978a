// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// maxValue bounds the value of a parameter, in bytes.
const maxValue = 4096

// parse returns a value of the type, or an error that says how it is written.
func parse(kind tenancy.TemplateParameterType, text string) (any, error) {
	switch kind {
	case tenancy.ParameterString, "":
		return text, nil
	case tenancy.ParameterInteger:
		if number, err := strconv.ParseInt(text, 10, 64); err == nil {
			return number, nil
		}
		return nil, fmt.Errorf("must be a whole number such as 3")
	case tenancy.ParameterBoolean:
		if text == "true" || text == "false" {
			return text == "true", nil
		}
		return nil, fmt.Errorf("must be true or false")
	case tenancy.ParameterQuantity:
		if quantity, err := resource.ParseQuantity(text); err == nil {
			return quantity, nil
		}
		return nil, fmt.Errorf("must be a quantity such as 500m or 5Gi")
	}
	return nil, fmt.Errorf("is of the unknown type %q", kind)
}

// compare orders two values that parse has made of one type that has an order.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		other, _ := b.(int64)
		switch {
		case a < other:
			return -1
		case a > other:
			return 1
		}
		return 0
	case resource.Quantity:
		other, _ := b.(resource.Quantity)
		return a.Cmp(other)
	}
	return 0
}

// same says whether two values that parse has made of one type are equal.
func same(a, b any) bool {
	switch a.(type) {
	case int64, resource.Quantity:
		return compare(a, b) == 0
	}
	return a == b
}

// whole compiles a pattern so that it must match all of a text. By itself it
// must be a pattern, too: one with a stray parenthesis could end the group.
func whole(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// check judges a value by all that its parameter says, except for the limits
// that the parameter itself has wrong: Validate speaks of those.
func check(parameter *tenancy.TemplateParameter, text string, path *field.Path) field.ErrorList {
	wrong := func(detail string) field.ErrorList {
		return field.ErrorList{field.Invalid(path, text, detail)}
	}
	if len(text) > maxValue {
		return field.ErrorList{field.TooLong(path, "", maxValue)}
	}
	value, err := parse(parameter.Type, text)
	if err != nil {
		return wrong(err.Error())
	}
	if len(parameter.Options) > 0 && !offered(parameter, value) {
		return field.ErrorList{field.NotSupported(path, text, parameter.Options)}
	}
	if low, ok := bound(parameter, parameter.Minimum); ok && compare(value, low) < 0 {
		return wrong("must be at least " + *parameter.Minimum)
	}
	if high, ok := bound(parameter, parameter.Maximum); ok && compare(value, high) > 0 {
		return wrong("must be at most " + *parameter.Maximum)
	}
	if parameter.Pattern != "" {
		if pattern, err := whole(parameter.Pattern); err == nil && !pattern.MatchString(text) {
			return wrong("must match " + parameter.Pattern)
		}
	}
	return nil
}

func offered(parameter *tenancy.TemplateParameter, value any) bool {
	for _, option := range parameter.Options {
		if parsed, err := parse(parameter.Type, option); err == nil && same(parsed, value) {
			return true
		}
	}
	return false
}

// bound parses a minimum or maximum where the type has one.
func bound(parameter *tenancy.TemplateParameter, text *string) (any, bool) {
	if text == nil || !ordered(parameter.Type) {
		return nil, false
	}
	value, err := parse(parameter.Type, *text)
	return value, err == nil
}

func ordered(kind tenancy.TemplateParameterType) bool {
	return kind == tenancy.ParameterInteger || kind == tenancy.ParameterQuantity
}

// argument is a parameter with its value.
type argument struct {
	text string
	// value is what a string that is nothing but the parameter's reference becomes.
	value any
}

// newArgument takes text for a value of the type, which it must be.
func newArgument(kind tenancy.TemplateParameterType, text string) argument {
	value, err := parse(kind, text)
	if _, quantity := value.(resource.Quantity); err != nil || quantity {
		value = text
	}
	return argument{text: text, value: value}
}

// bind gives every parameter its value: the given one, or else its default.
func bind(parameters []tenancy.TemplateParameter, given []tenancy.TemplateParameterValue, template string,
	path *field.Path) (map[string]argument, field.ErrorList) {
	known := make(map[string]*tenancy.TemplateParameter, len(parameters))
	names := make([]string, 0, len(parameters))
	for i := range parameters {
		known[parameters[i].Name] = &parameters[i]
		names = append(names, parameters[i].Name)
	}
	arguments := make(map[string]argument, len(parameters))
	var errs field.ErrorList
	for i, value := range given {
		at := path.Index(i)
		parameter, ok := known[value.Name]
		if !ok {
			errs = append(errs, unknown(value.Name, names, template, at.Child("name")))
			continue
		}
		if _, twice := arguments[value.Name]; twice {
			errs = append(errs, field.Duplicate(at.Child("name"), value.Name))
			continue
		}
		errs = append(errs, check(parameter, value.Value, at.Child("value"))...)
		arguments[value.Name] = newArgument(parameter.Type, value.Value)
	}
	for _, name := range names {
		if _, ok := arguments[name]; ok {
			continue
		}
		parameter := known[name]
		if parameter.Default == nil {
			errs = append(errs, field.Required(path, fmt.Sprintf("template %q needs a value for the parameter %s%s",
				template, name, explained(parameter.Description))))
			continue
		}
		arguments[name] = newArgument(parameter.Type, *parameter.Default)
	}
	return arguments, errs
}

func unknown(name string, names []string, template string, path *field.Path) *field.Error {
	if len(names) == 0 {
		return field.Invalid(path, name, fmt.Sprintf("template %q has no parameters", template))
	}
	return field.Invalid(path, name, fmt.Sprintf("template %q has no such parameter, but %s", template, strings.Join(names, ", ")))
}

func explained(description string) string {
	if description == "" {
		return ""
	}
	return ": " + description
}
