// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import "strings"

// withRequest are the beginnings of those messages of kine that quote a whole
// request, and with it the object that was to be written: a Secret, say.
var withRequest = []string{"error in txn", "error in put"}

// Loggable returns what may be logged of a message of kine: all of it, unless it
// holds an object. Then the reason goes too, since nothing divides it from the
// object's own words; Guard tells it, and so does the answer to the request.
func Loggable(message string) string {
	for _, beginning := range withRequest {
		if strings.HasPrefix(message, beginning) {
			return beginning + ": the request failed, and is left out since it holds an object"
		}
	}
	return message
}
