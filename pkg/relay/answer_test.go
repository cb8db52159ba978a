// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"reflect"
	"testing"
)

func TestAnswerHeader(t *testing.T) {
	response := &http.Response{ContentLength: 7, Header: http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"7", "0"}, "Audit-Id": {"inside"}, "Warning": {"299 - inside"},
		"Cache-Control": {"public, max-age=60", "s-maxage=9"}, "Etag": {"x"},
		"Content-Security-Policy":     {"default-src 'self'"},
		"Access-Control-Allow-Origin": {"*"}, "Alt-Svc": {"h2=evil"}, "Strict-Transport-Security": {"max-age=1"},
		"Set-Cookie": {"session=evil"}, "Www-Authenticate": {"Basic"}, "Refresh": {"0; url=https://evil.example"}, "X-Accel-Redirect": {"/internal"},
		"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"timeout=1"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X-Late"},
	}}
	outer := http.Header{"Audit-Id": {"outside"}, "Warning": {"299 - outside"}, "Cache-Control": {"no-cache"}, "X-Frame-Options": {"DENY"}}
	answerHeader(outer, response)
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"7"}, "Audit-Id": {"outside"}, "Warning": {"299 - outside", "299 - inside"},
		"Cache-Control": {"private, max-age=60"}, "Etag": {"x"}, "X-Frame-Options": {"DENY"},
		"Content-Security-Policy": {"default-src 'self'", sandbox}, "X-Content-Type-Options": {"nosniff"},
	}
	if !reflect.DeepEqual(outer, want) {
		t.Errorf("got\n%v, want\n%v", outer, want)
	}
}

func TestNoTypeIsGuessed(t *testing.T) {
	outer := http.Header{}
	answerHeader(outer, &http.Response{ContentLength: -1, Header: http.Header{}})
	if got, ok := outer["Content-Type"]; !ok || len(got) != 0 {
		t.Errorf("the type is %q, %t; want it set to none", got, ok)
	}
}
