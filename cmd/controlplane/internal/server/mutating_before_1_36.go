//go:build before_1_36

package server

import (
	"io"

	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
)

// newMutatingPolicies cannot fail: the policies have no configuration yet.
func newMutatingPolicies(config io.Reader) (*mutatingpolicy.Plugin, error) {
	return mutatingpolicy.NewPlugin(config), nil
}
