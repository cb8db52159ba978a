// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"net/url"
	"strings"
	"unicode"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
)

var (
	errPathPrefix   = errors.New("the path does not lead to the virtual cluster's proxy as it is spelled")
	errPathSlash    = errors.New("the path contains an encoded slash or a back slash")
	errPathDots     = errors.New("the path contains a dot segment")
	errPathControl  = errors.New("the path contains a control character")
	errPathEncoding = errors.New("the path is not correctly encoded")
)

// isProxy tells whether the host authorised the request as one to the
// subresource proxy of a virtual cluster.
func isProxy(info *apirequest.RequestInfo) bool {
	return info != nil && info.IsResourceRequest && info.APIPrefix == "apis" &&
		info.APIGroup == tenancy.GroupName && info.Resource == "virtualclusters" && info.Subresource == "proxy"
}

// prefix is the part of the path that the host authorised. Names of namespaces
// and virtual clusters need no encoding, so there is one spelling of it.
func prefix(info *apirequest.RequestInfo) string {
	return "/apis/" + info.APIGroup + "/" + info.APIVersion + "/namespaces/" + info.Namespace + "/virtualclusters/" + info.Name + "/proxy"
}

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
	if strings.ContainsFunc(path, unicode.IsControl) {
		return nil, errPathControl
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return nil, errPathDots
		}
	}
	return &url.URL{Path: path, RawPath: raw}, nil
}
