package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

const (
	// sparedRepeats is how often the same is read before further reads wait: a controller that could not
	// do what it read of tries again by reading again.
	sparedRepeats = 4
	// sparedLook is how often a read that waits looks whether there is something new, and sparedPatience
	// how long it waits where there is not.
	sparedLook     = 10 * time.Second
	sparedPatience = 5 * time.Minute
	// sparedTimeout is how long the read itself may take, as in client-go.
	sparedTimeout = 32 * time.Second

	aggregatedDiscovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
)

// spared are the user agents of the controllers of garbage and of quotas. They read all of discovery twice
// a minute to see whether it has changed, for which an idle control plane allocated a fifth of all.
func spared() []string { return []string{"generic-garbage-collector", "resourcequota-controller"} }

// sparing has reads of discovery by those controllers wait until there is something new. They hear of it
// sooner than by reading twice a minute.
type sparing struct {
	next http.RoundTripper
	// tag differs for each state of discovery. It is empty where that is not known.
	tag func() string
	// over ends all waiting.
	over <-chan struct{}

	mu   sync.Mutex
	last string
	same int
}

// RoundTrip holds the first of the two reads that make up discovery.
func (s *sparing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.URL.Path != genericapiserver.DefaultLegacyAPIPrefix || !isSpared(req.UserAgent()) || !s.wait() {
		return s.next.RoundTrip(req)
	}
	// The client's own limit is over by now. What it gets nevertheless, it reads: a response
	// without an error, whose body does not wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), sparedTimeout)
	defer cancel()
	response, err := s.next.RoundTrip(req.Clone(ctx))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// wait returns when there is something new to read, or it was patient enough. It tells whether it waited.
func (s *sparing) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	tag := s.tag()
	if tag == "" || tag != s.last {
		s.last, s.same = tag, 0
		return false
	}
	if s.same++; s.same < sparedRepeats {
		return false
	}
	patience, looks := time.NewTimer(sparedPatience), time.NewTicker(sparedLook)
	defer patience.Stop()
	defer looks.Stop()
	for {
		select {
		case <-s.over:
			return true
		case <-patience.C:
			return true
		case <-looks.C:
			if s.tag() != s.last {
				return true
			}
		}
	}
}

func isSpared(userAgent string) bool {
	for _, name := range spared() {
		if strings.HasSuffix(userAgent, "/"+name) {
			return true
		}
	}
	return false
}

// discoveryTag tells by their ETags what the handlers of /api and /apis answer at present.
func discoveryTag(api, apis http.Handler) func() string {
	core, groups := &tagged{Handler: api, path: "/api"}, &tagged{Handler: apis, path: "/apis"}
	return func() string {
		first, second := core.ask(), groups.ask()
		if first == "" || second == "" {
			return ""
		}
		return first + second
	}
}

// tagged is a server of discovery, with the ETag of its last answer.
type tagged struct {
	http.Handler
	path string
	mu   sync.Mutex
	last string
}

func (t *tagged) ask() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	req := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: t.path},
		Header: http.Header{"Accept": {aggregatedDiscovery}, "If-None-Match": {t.last}},
	}
	answer := onlyHeader{}
	t.ServeHTTP(answer, req)
	t.last = http.Header(answer).Get("ETag")
	return t.last
}

// onlyHeader takes an answer without its body.
type onlyHeader http.Header

func (h onlyHeader) Header() http.Header         { return http.Header(h) }
func (h onlyHeader) Write(b []byte) (int, error) { return len(b), nil }
func (h onlyHeader) WriteHeader(int)             {}
