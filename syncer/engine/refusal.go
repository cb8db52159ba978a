// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

const (
	// reasonRefused is the reason of Events about what the host does not accept.
	reasonRefused = "HostRefused"
	// reasonFailing is that of Events about what the host cannot take at the moment.
	reasonFailing = "HostFailing"
)

// hostError is an error of the host cluster's API. Those of the virtual
// cluster's own are not told as the host's.
type hostError struct{ error }

func (e hostError) Unwrap() error { return e.error }

// OnHost says of an error that the host cluster's API answered it, and to what.
// It is nil where the error is.
func OnHost(doing string, err error) error {
	if err == nil {
		return nil
	}
	return hostError{fmt.Errorf("%s on the host: %w", doing, err)}
}

// refusal is what the syncer tells a tenant about an object that does not reach the host.
type refusal struct {
	reason, message string
	// byHost says that the message holds the host's words, and its names.
	byHost bool
	// fields are those of the virtual object that are refused.
	fields []RefusedField
}

// IsRefusal tells whether the error says that an object cannot be carried to the host.
func IsRefusal(err error) bool { return len(refusals(err)) > 0 }

// refusals finds the refusals in an error, which may join several. They are the
// translation's own, and the host's: every answer with a code of 400 to 499,
// whatever its reason, except what passes by itself (404, 409, 429) and what is
// nothing of the tenant's (401).
func refusals(err error) []refusal {
	var all []refusal
	walk(err, false, func(own *refusedError, answer apierrors.APIStatus) {
		if own != nil {
			all = append(all, refusal{own.reason, own.message, false, own.fields})
			return
		}
		if isRefusal(answer.Status().Code) {
			all = append(all, refusal{reasonRefused, "The host cluster refused it: " + answer.Status().Message, true, nil})
		}
	})
	return all
}

// failures finds the failures of the host cluster in an error: answers with a
// code of 500 or more, as those of a webhook that cannot be reached.
func failures(err error) []refusal {
	var all []refusal
	walk(err, false, func(_ *refusedError, answer apierrors.APIStatus) {
		if answer != nil && answer.Status().Code >= 500 {
			all = append(all, refusal{reasonFailing, "The host cluster cannot take it now, and the syncer retries: " + answer.Status().Message, true, nil})
		}
	})
	return all
}

// walk visits the refusals of the translation and the answers of the host's API
// that an error is made of.
func walk(err error, onHost bool, visit func(own *refusedError, answer apierrors.APIStatus)) {
	switch e := err.(type) { //nolint:errorlint // the chain is walked here
	case nil:
	case *refusedError:
		visit(e, nil)
	case hostError:
		walk(e.error, true, visit)
	case apierrors.APIStatus:
		if onHost {
			visit(nil, e)
		}
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			walk(each, onHost, visit)
		}
	case utilerrors.Aggregate:
		for _, each := range e.Errors() {
			walk(each, onHost, visit)
		}
	default:
		walk(errors.Unwrap(err), onHost, visit)
	}
}

// heldBy finds the breakers that hold back what an error is about. All says that
// nothing else is wrong.
func heldBy(err error) (held []*heldError, all bool) {
	several := func(parts []error) ([]*heldError, bool) {
		all := len(parts) > 0
		for _, part := range parts {
			more, only := heldBy(part)
			held, all = append(held, more...), all && only
		}
		return held, all
	}
	switch e := err.(type) { //nolint:errorlint // the chain is walked here
	case nil:
		return nil, false
	case *heldError:
		return []*heldError{e}, true
	case interface{ Unwrap() []error }:
		return several(e.Unwrap())
	case utilerrors.Aggregate:
		return several(e.Errors())
	default:
		return heldBy(errors.Unwrap(err))
	}
}

// passes tells whether an error needs no attention, since the next pass comes after
// what is in its way: every part of it, where several are joined.
func passes(err error) bool {
	all := func(parts []error) bool {
		return len(parts) > 0 && !slices.ContainsFunc(parts, func(part error) bool { return !passes(part) })
	}
	switch e := err.(type) { //nolint:errorlint // the chain is walked here
	case nil:
		return false
	case againError:
		return true
	case apierrors.APIStatus:
		return e.Status().Reason == metav1.StatusReasonConflict
	case interface{ Unwrap() []error }:
		return all(e.Unwrap())
	case utilerrors.Aggregate:
		return all(e.Errors())
	default:
		return passes(errors.Unwrap(err))
	}
}
