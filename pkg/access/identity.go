// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apiserver/pkg/authentication/user"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Identity is who somebody is inside a virtual cluster.
type Identity struct {
	// User is the name of the user inside.
	User string
	// Groups are the groups inside, Garret's own first.
	Groups []string
}

// Inside translates a host user. The group that gives rights inside, one of
// Garret's own, comes first among the groups.
//
// A name that would not survive the journey unchanged is refused rather than
// repaired, since "alice" and "alice " are two users on the host and would be
// one behind a header. Groups of that kind are left out: to lose a group never
// gives a right.
func Inside(host user.Info, group string) (Identity, error) {
	if err := checkName(host.GetName()); err != nil {
		return Identity{}, fmt.Errorf("user %q cannot enter: %w", host.GetName(), err)
	}
	groups := make([]string, 0, len(host.GetGroups())+1)
	groups = append(groups, group)
	for _, name := range host.GetGroups() {
		if checkName(name) == nil {
			groups = append(groups, v1.HostUserPrefix+name)
		}
	}
	return Identity{User: v1.HostUserPrefix + host.GetName(), Groups: groups}, nil
}

// checkName tells whether a name is the same after it travelled in a header
// or in a certificate.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case !utf8.ValidString(name):
		return fmt.Errorf("the name is not valid UTF-8")
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the name begins or ends with white space")
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name contains a control character")
	}
	return nil
}
