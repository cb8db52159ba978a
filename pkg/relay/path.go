// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errPathPrefix   = errors.New("the path does not lead to the virtual cluster as it is spelled")
	errPathSlash    = errors.New("the path contains an encoded slash or a back slash")
	errPathDots     = errors.New("the path contains a dot segment")
	errPathControl  = errors.New("the path contains a control character")
	errPathUTF8     = errors.New("the path is not UTF-8")
	errPathEncoding = errors.New("the path is not correctly encoded")
)

// innerPath takes prefix off the path of u. The rest keeps its encoding and its
// trailing slash, or is refused; nothing is cleaned. A bare prefix is "/".
func innerPath(u *url.URL, prefix string) (*url.URL, error) {
	raw, ok := strings.CutPrefix(u.EscapedPath(), prefix)
	if !ok || (raw != "" && raw[0] != '/') {
		return nil, errPathPrefix
	}
	if raw == "" {
		raw = "/"
	}
	if lower := strings.ToLower(raw); strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(raw, "\\") {
		return nil, errPathSlash
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, errPathEncoding
	}
	if !utf8.ValidString(path) {
		// Servers there are that take an overlong form for the character it encodes.
		return nil, errPathUTF8
	}
	if strings.ContainsFunc(path, unicode.IsControl) {
		return nil, errPathControl
	}
	for segment := range strings.SplitSeq(path, "/") {
		// Others see a parameter behind a semicolon, and the dots before it.
		if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
			return nil, errPathDots
		}
	}
	return &url.URL{Path: path, RawPath: raw}, nil
}
