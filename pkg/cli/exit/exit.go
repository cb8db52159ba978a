// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exit gives each kind of failure its exit code, so that a script can tell
// a wrong flag from a missing right without reading messages.
package exit

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The exit codes. They are a promise to scripts: none changes its meaning.
const (
	OK = 0
	// Failed is for everything that has no code of its own.
	Failed = 1
	// Usage is for a command line that is wrong, whatever the cluster says.
	Usage = 2
	// Refused is for what the host cluster does not allow, or finds invalid.
	Refused = 3
	// NotFound is for an object that does not exist.
	NotFound = 4
	// NotReady is for what did not become ready in time.
	NotReady = 5
	// Interrupted is for a command that the user stopped.
	Interrupted = 130
)

// Meaning is one exit code, in the words of the help and the reference.
type Meaning struct {
	Code int
	Text string
}

// Meanings are all codes, in the order of the numbers.
func Meanings() []Meaning {
	return []Meaning{
		{OK, "the command did what it was asked for"},
		{Failed, "the command failed for another reason than those below"},
		{Usage, "the command line is wrong"},
		{Refused, "the host cluster refused the request: a right is missing, or a value is invalid"},
		{NotFound, "an object does not exist"},
		{NotReady, "an object did not become ready in time, or cannot become ready"},
		{Interrupted, "the user interrupted the command"},
	}
}

// coded is an error whose code is known where it is made.
type coded struct {
	error
	code int
	// handedOn says that the code stands although the user interrupted the command.
	handedOn bool
}

func (c *coded) Unwrap() error { return c.error }

// HandOn is the error of a command that ends with the code of another program. That said
// itself what is wrong, so nothing more is printed. An interrupt reached it, too, and it decided
// what that means.
func HandOn(code int) error { return &coded{error: errors.New(""), code: code, handedOn: true} }

// With gives an error an exit code. A nil error stays nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &coded{error: err, code: code}
}

// Of returns the exit code of an error; nil is OK.
func Of(ctx context.Context, err error) int {
	var known *coded
	switch {
	case err == nil:
		return OK
	case errors.As(err, &known) && known.handedOn:
		return known.code
	case errors.Is(ctx.Err(), context.Canceled):
		return Interrupted
	case errors.As(err, &known):
		return known.code
	case apierrors.IsNotFound(err):
		return NotFound
	case apierrors.IsServiceUnavailable(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return NotReady
	case refused(err):
		return Refused
	default:
		return Failed
	}
}

func refused(err error) bool {
	for _, is := range []func(error) bool{
		apierrors.IsForbidden, apierrors.IsUnauthorized, apierrors.IsInvalid, apierrors.IsBadRequest,
		apierrors.IsConflict, apierrors.IsAlreadyExists, apierrors.IsTooManyRequests, apierrors.IsMethodNotSupported,
	} {
		if is(err) {
			return true
		}
	}
	return false
}
