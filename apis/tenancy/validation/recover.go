// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// decision is a value of the annotation that decides about lost data.
var decision = regexp.MustCompile(`^(` + v1.RecoverAdopt + `|` + v1.RecoverGiveUp + `) [a-z0-9-]{1,63}( ` + v1.RecoverBeforehand + `)?$`)

// recovery judges the decision about lost data, unless old says the same. A
// value that the syncer could not read would look like a decision, and be none.
func recovery(annotations, old map[string]string, path *field.Path) field.ErrorList {
	value, set := annotations[v1.AnnotationRecover]
	before, was := old[v1.AnnotationRecover]
	if !set || was && value == before || decision.MatchString(value) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Key(v1.AnnotationRecover), value, fmt.Sprintf(
		"must be %q or %q, such as %q: TOKEN is new, and has at most 63 of the characters a-z, 0-9 and -; "+
			"add %q for a decision about the next loss, and remove the annotation to decide nothing", v1.RecoverAdopt+" TOKEN", v1.RecoverGiveUp+" TOKEN", v1.RecoverAdopt+" 1", " "+v1.RecoverBeforehand))}
}
