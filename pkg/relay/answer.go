// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/access"
)

const (
	headerLength = "Content-Length"
	headerType   = "Content-Type"
	headerCache  = "Cache-Control"
	headerPolicy = "Content-Security-Policy"

	// maxAnswerHeader bounds the header of one answer, in bytes.
	maxAnswerHeader = 256 << 10

	// sandbox takes from a page of a virtual cluster the origin that it comes
	// from: with kubectl proxy, or behind an address that others share, that
	// origin may do more than enter this virtual cluster.
	sandbox = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads"
)

// checkAnswer refuses answers that would lead the caller away or take over
// their connection.
func checkAnswer(cluster *tenancy.VirtualCluster, response *http.Response) error {
	switch code := response.StatusCode; {
	case code == http.StatusSwitchingProtocols:
		return access.BadGateway(cluster, "UnexpectedUpgrade", "its API server switched protocols without being asked to")
	case code < 200 || code > 599:
		return access.BadGateway(cluster, "MalformedAnswer", fmt.Sprintf("its API server answered with the code %d, which is none of HTTP", code))
	case code >= 300 && code < 400 && response.Header.Get("Location") != "":
		return access.BadGateway(cluster, "Redirect", fmt.Sprintf("its API server answered %d with a redirect, which is not passed on", code))
	}
	return nil
}

// answerHeader adds the header of an answer from inside to outer, what the
// server outside has set already. Where both speak, the inner one counts, except
// about the request's audit id; warnings add up.
func answerHeader(outer http.Header, response *http.Response) {
	named := namedInConnection(response.Header)
	for name, values := range response.Header {
		switch {
		case isHopByHop(name) || named[name] || speaksForHost(name) || name == headerAuditID:
		case name == "Warning":
			outer[name] = append(outer[name], values...)
		case name == headerCache:
			outer[name] = []string{private(values)}
		default:
			outer[name] = values
		}
	}
	delete(outer, headerLength)
	if length := response.ContentLength; length >= 0 && len(response.Header[headerLength]) > 0 {
		// As the body was delimited, which a second value may contradict.
		outer[headerLength] = []string{strconv.FormatInt(length, 10)}
	}
	if len(response.Header[headerType]) == 0 {
		// Nothing is guessed from what the body looks like.
		outer[headerType] = nil
	}
	outer["X-Content-Type-Options"] = []string{"nosniff"}
	// Of several policies all hold. The clip keeps the answer's own list as it is.
	outer[headerPolicy] = append(slices.Clip(outer[headerPolicy]), sandbox)
}

// speaksForHost tells whether a header of an answer is about the origin or the
// address that the caller spoke to, which is the host's, or is an instruction
// to the proxies on the way there. The relay writes the length itself.
func speaksForHost(name string) bool {
	switch strings.ToLower(name) {
	case "alt-svc", "strict-transport-security", "public-key-pins", "clear-site-data", "service-worker-allowed",
		"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate", "authentication-info", "proxy-authentication-info",
		"refresh", "report-to", "reporting-endpoints", "nel", "accept-ch", "origin-agent-cluster",
		"surrogate-control", "cdn-cache-control", "x-sendfile", "x-lighttpd-send-file", "content-length":
		return true
	}
	return hasPrefixFold(name, "access-control-") || hasPrefixFold(name, "x-accel-") || hasPrefixFold(name, "x-envoy-")
}

// private keeps an answer to one user out of caches that several share.
func private(values []string) string {
	kept := []string{"private"}
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			directive = strings.TrimSpace(directive)
			key, _, _ := strings.Cut(strings.ToLower(directive), "=")
			switch strings.TrimSpace(key) {
			case "", "public", "private", "s-maxage", "proxy-revalidate":
			default:
				kept = append(kept, directive)
			}
		}
	}
	return strings.Join(kept, ", ")
}
