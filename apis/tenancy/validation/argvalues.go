// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxVerbosity is the highest level of logs. From 8 on, clients of the API log the
// bodies of their requests and answers, Secrets among them, and whoever may read
// logs on the host need not be somebody who may read Secrets.
const maxVerbosity = 7

// modules is the value of klog's --vmodule: patterns of file names, each with a
// level that maxVerbosity allows.
var modules = regexp.MustCompile(`^[A-Za-z0-9_./*?\[\]-]+=[0-7](,[A-Za-z0-9_./*?\[\]-]+=[0-7])*$`)

// portNumbers is the one spelling of a range of ports that is accepted.
var portNumbers = regexp.MustCompile(`^[0-9]+-[0-9]+$`)

// A given flag: --name=value, and the field that it stands in.
type given struct {
	name, value string
	path        *field.Path
}

// wants is the error of a flag whose value has another form.
func (g given) wants(form string) *field.Error {
	return field.Invalid(g.path, "--"+g.name+"="+g.value, fmt.Sprintf("must have the form --%s=%s", g.name, form))
}

// A value judges what a flag is given.
type value func(given) *field.Error

func boolean(flag given) *field.Error {
	if _, err := strconv.ParseBool(flag.value); err != nil {
		return flag.wants("true or --" + flag.name + "=false")
	}
	return nil
}

func verbosity(flag given) *field.Error {
	if level, err := strconv.ParseUint(flag.value, 10, 8); err != nil || level > maxVerbosity {
		return flag.wants("N, with a number from 0 to 7: above, Secrets would be logged")
	}
	return nil
}

func moduleVerbosity(flag given) *field.Error {
	if !modules.MatchString(flag.value) {
		return flag.wants("PATTERN=N, with a number from 0 to 7 and more of the kind after commas")
	}
	return nil
}

func portRange(flag given) *field.Error {
	if ports, err := utilnet.ParsePortRange(flag.value); err != nil || ports.Base == 0 || !portNumbers.MatchString(flag.value) {
		return flag.wants("30000-32767, with a range of ports")
	}
	return nil
}

func oneOf(choices ...string) value {
	return func(flag given) *field.Error {
		if !slices.Contains(choices, flag.value) {
			return flag.wants(strings.Join(choices, " or --"+flag.name+"="))
		}
		return nil
	}
}

func listOf(groups ...[]string) value {
	choices := slices.Sorted(slices.Values(slices.Concat(groups...)))
	return func(flag given) *field.Error {
		for _, name := range strings.Split(flag.value, ",") {
			if !slices.Contains(choices, name) {
				return flag.wants("A,B,… with names of these: " + strings.Join(choices, ", "))
			}
		}
		return nil
	}
}
