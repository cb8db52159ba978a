// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	utilversion "k8s.io/apimachinery/pkg/util/version"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// release is an exact release. Build suffixes are left out: the chart chooses the image for a release.
var release = regexp.MustCompile(`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`)

func version(version string, path *field.Path) field.ErrorList {
	supported := v1.SupportedVersions()
	if !release.MatchString(version) {
		return field.ErrorList{field.Invalid(path, version,
			fmt.Sprintf("must be an exact release such as %s", supported[0]))}
	}
	asked := utilversion.MustParseSemantic(version)
	minors := make([]string, 0, len(supported))
	for _, known := range supported {
		parsed := utilversion.MustParseSemantic(known)
		if parsed.Major() == asked.Major() && parsed.Minor() == asked.Minor() {
			return nil
		}
		minors = append(minors, fmt.Sprintf("v%d.%d", parsed.Major(), parsed.Minor()))
	}
	return field.ErrorList{field.Invalid(path, version, fmt.Sprintf(
		"is not known to this release of Garret: use a release of %s, such as %s",
		alternatives(minors), alternatives(supported)))}
}

// alternatives reads "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// versionStep refuses an older version, and one that is more than one minor newer than
// the older of what was asked for before and what runs inside.
func versionStep(now, before, running string, path *field.Path) field.ErrorList {
	if now == before || !release.MatchString(now) || !release.MatchString(before) {
		return nil
	}
	asked, from := utilversion.MustParseSemantic(now), utilversion.MustParseSemantic(before)
	if asked.LessThan(from) {
		return field.ErrorList{field.Invalid(path, now, fmt.Sprintf(
			"cannot be lowered from %s, since an older control plane cannot read the data of a newer one: "+
				"create a new virtual cluster for an older version", before))}
	}
	// What runs may have a suffix, such as +k3s1. An upgrade that is not over has left it older.
	if inside, err := utilversion.ParseSemantic(running); err == nil && inside.LessThan(from) {
		from = inside
	}
	if asked.Major() == from.Major() && asked.Minor() > from.Minor()+1 {
		return field.ErrorList{field.Invalid(path, now, fmt.Sprintf(
			"cannot be raised from v%d.%d.%d by more than one minor at a time: set %s first, and wait until status.kubernetesVersion shows it",
			from.Major(), from.Minor(), from.Patch(), releaseOf(from.Major(), from.Minor()+1)))}
	}
	return nil
}

// releaseOf is a release of a minor that can be named in a message.
func releaseOf(major, minor uint) string {
	for _, known := range v1.SupportedVersions() {
		if parsed := utilversion.MustParseSemantic(known); parsed.Major() == major && parsed.Minor() == minor {
			return known
		}
	}
	return fmt.Sprintf("a release of v%d.%d", major, minor)
}
