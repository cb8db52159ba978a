// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// sort is how a cause goes away.
type sort int

const (
	// other answers hold nothing back: they pass by themselves, or are none.
	other sort = iota
	// full is a quota, which lets one more in for each that leaves.
	full
	// refused is a rule, which somebody changes for all.
	refused
	// failed is a host that cannot answer, which passes for all.
	failed
)

func (s sort) last() time.Duration {
	switch s {
	case full:
		return lastQuotaProbe
	case failed:
		return lastFailedProbe
	}
	return lastProbe
}

// reason is that of Events about it.
func (s sort) reason() string {
	if s == failed {
		return reasonFailing
	}
	return reasonRefused
}

// exceeded begins what the host says of each quota that an object does not fit into.
const exceeded = "exceeded quota: "

// ownQuota is the cause of what does not fit into the quota of the virtual cluster.
const ownQuota = "full: of the virtual cluster"

// causeOf names the cause of an answer to a write of the name. Answers that differ
// in nothing but the name of the object have the same. One that is no answer of
// the host's API has none.
func causeOf(err error, name string) (string, sort) {
	if err == nil {
		return "", other
	}
	var own *refusedError
	if errors.As(err, &own) {
		if own.reason == reasonQuota && strings.HasPrefix(own.message, "exceeded ") {
			return ownQuota, full
		}
		return "", other
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return "", other
	}
	status := answer.Status()
	switch {
	case status.Code >= http.StatusInternalServerError:
		return "failed: " + strings.ReplaceAll(status.Message, name, ""), failed
	case !isRefusal(status.Code):
		return "", other
	}
	if _, quota, found := strings.Cut(status.Message, exceeded); found {
		// What follows the name of the quota says how much of it is taken now.
		quota, _, _ = strings.Cut(quota, ",")
		return "full: " + quota, full
	}
	return "refused: " + strings.ReplaceAll(status.Message, objectName(name), ""), refused
}

// objectName is the name of the host object in that of a write.
func objectName(write string) string {
	name, _, _ := strings.Cut(write, "/")
	return name
}

// sameAnswer is the answer that a write of one name had, as one to a write of another.
func sameAnswer(err error, answered, name string) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	status := answer.Status()
	status.Message = strings.ReplaceAll(status.Message, objectName(answered), objectName(name))
	return &apierrors.StatusError{ErrStatus: status}
}

// isRefusal tells whether a code says that the host does not take an object: each
// from 400 to 499 but those that pass by themselves (404, 409, 429), and that
// are nothing of the tenant's (401).
func isRefusal(code int32) bool {
	switch code {
	case http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusUnauthorized:
		return false
	}
	return code >= 400 && code < 500
}
