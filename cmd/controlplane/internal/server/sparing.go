package server

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

const (
	// sparedRepeats is how often a controller reads the same before its reads wait: one that could
	// not do what it read of tries again by reading again.
	sparedRepeats = 4
	// sparedPatience is how long a read waits for something new, less than the 32 seconds for which
	// client-go waits, and sparedLook how often it looks for it.
	sparedPatience = 25 * time.Second
	sparedLook     = 5 * time.Second

	pathAPI  = genericapiserver.DefaultLegacyAPIPrefix
	pathAPIs = genericapiserver.APIGroupPrefix
	// aggregatedDiscovery is how a client asks for all of discovery at once.
	aggregatedDiscovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
)

// sparedControllers are the names of the controllers of garbage and of quotas. Half a minute after
// each read of discovery they read it again, to see whether it has changed. An idle control plane
// allocated a fifth of all for that.
func sparedControllers() []string {
	return []string{"generic-garbage-collector", "resourcequota-controller"}
}

// sparing has reads of discovery by those controllers wait until there is something new, or for
// sparedPatience. The controllers hear of it sooner than by reading twice a minute.
//
// It knows them by what they call themselves, before anybody is authenticated. Whoever pretends to be
// one waits, too, one at a time, and gets the same answer. The most that does to a controller: it
// hears of a change after 80 seconds, where upstream's hears of it after 30.
type sparing struct {
	// tag differs for each state of discovery. It is empty where that is not known.
	tag func() string
	// over ends all waiting.
	over <-chan struct{}

	mu      sync.Mutex
	readers map[string]*sparedReader
}

// sparedReader is a controller, with the state of discovery that it read last, how often it read the
// same again, and whether it waits.
type sparedReader struct {
	last  string
	same  int
	waits bool
}

func newSparing(over <-chan struct{}) *sparing {
	s := &sparing{over: over, readers: map[string]*sparedReader{}}
	for _, name := range sparedControllers() {
		s.readers[name] = &sparedReader{}
	}
	return s
}

// before has requests wait ahead of all that measures how long an answer takes.
func (s *sparing) before(build func(http.Handler, *genericapiserver.Config) http.Handler) func(http.Handler, *genericapiserver.Config) http.Handler {
	return func(api http.Handler, config *genericapiserver.Config) http.Handler {
		chain := build(api, config)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && (r.URL.Path == pathAPI || r.URL.Path == pathAPIs) {
				s.hold(r)
			}
			chain.ServeHTTP(w, r)
		})
	}
}

// hold returns when the request is to be answered.
func (s *sparing) hold(r *http.Request) {
	reader := s.readers[sparedName(r.UserAgent())]
	if reader == nil {
		return
	}
	now := s.tag()
	s.mu.Lock()
	wait := now != "" && now == reader.last && reader.same >= sparedRepeats && !reader.waits
	reader.waits = reader.waits || wait
	s.mu.Unlock()
	if wait {
		now = s.await(r, now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait {
		reader.waits = false
	}
	switch {
	case r.URL.Path != pathAPIs:
	case now == reader.last:
		reader.same++
	default:
		reader.last, reader.same = now, 0
	}
}

// await returns the state of discovery once it is another one than this, or patience is over.
func (s *sparing) await(r *http.Request, now string) string {
	patience, looks := time.NewTimer(sparedPatience), time.NewTicker(sparedLook)
	defer patience.Stop()
	defer looks.Stop()
	for {
		select {
		case <-s.over:
			return now
		case <-r.Context().Done():
			return now
		case <-patience.C:
			return now
		case <-looks.C:
			if next := s.tag(); next != now {
				return next
			}
		}
	}
}

// sparedName is the last part of a user agent, which for kube-controller-manager's clients is the
// name of the controller or of its service account.
func sparedName(userAgent string) string {
	name := userAgent[strings.LastIndexByte(userAgent, '/')+1:]
	return strings.TrimPrefix(name, serviceaccount.MakeUsername(metav1.NamespaceSystem, ""))
}

// discoveryTag tells by their ETags what the handlers of /api and /apis answer at present.
func discoveryTag(api, apis http.Handler) func() string {
	first, second := &tagged{Handler: api, path: pathAPI}, &tagged{Handler: apis, path: pathAPIs}
	return func() string {
		api, apis := first.ask(), second.ask()
		if api == "" || apis == "" {
			return ""
		}
		return api + apis
	}
}

// tagged is a handler of discovery, with the ETag of its last answer.
type tagged struct {
	http.Handler
	path string
	mu   sync.Mutex
	last string
}

func (t *tagged) ask() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	header := http.Header{}
	header.Set("Accept", aggregatedDiscovery)
	header.Set("If-None-Match", t.last)
	answer := onlyHeader{}
	t.ServeHTTP(answer, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: t.path}, Header: header})
	t.last = http.Header(answer).Get("ETag")
	return t.last
}

// onlyHeader takes an answer without its body.
type onlyHeader http.Header

func (h onlyHeader) Header() http.Header         { return http.Header(h) }
func (h onlyHeader) Write(b []byte) (int, error) { return len(b), nil }
func (h onlyHeader) WriteHeader(int)             {}
