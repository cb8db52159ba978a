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
		strings.Join(minors, " or "), strings.Join(supported, " or ")))}
}

// notLowered refuses an older version: a control plane does not read what a newer one wrote.
func notLowered(now, before string, path *field.Path) field.ErrorList {
	if now == before || !release.MatchString(now) || !release.MatchString(before) {
		return nil
	}
	if utilversion.MustParseSemantic(now).LessThan(utilversion.MustParseSemantic(before)) {
		return field.ErrorList{field.Invalid(path, now, fmt.Sprintf(
			"cannot be lowered from %s, since an older control plane cannot read the data of a newer one", before))}
	}
	return nil
}
