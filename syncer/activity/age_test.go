// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestStreamsEndWithTheirServer has the API server crash, which tells nobody of the streams that
// were open.
func TestStreamsEndWithTheirServer(t *testing.T) {
	for name, test := range map[string]struct {
		age   time.Duration
		known bool
		want  int
	}{
		"it has run all the time":         {time.Hour, true, 2},
		"it began with the first stream":  {10*time.Minute + 2*time.Second, true, 2},
		"it began after the first stream": {9 * time.Minute, true, 1},
		"it began after both":             {3 * time.Minute, true, 0},
		"it does not say":                 {0, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReporting()
			asked := 0
			s.Age = func(context.Context) (time.Duration, bool) {
				asked++
				return test.age, test.known
			}
			s.note([]event{request(stageStarted, watching("/first?timeoutSeconds=7200"))})
			s.clock.Step(ageInterval - time.Second)
			s.survive(t.Context())
			if asked > 0 {
				t.Error("it was asked at once")
			}
			s.clock.Step(time.Second)
			s.note([]event{request(stageStarted, watching("/second?timeoutSeconds=7200"))})
			s.clock.Step(5 * time.Minute)
			s.survive(t.Context())
			s.survive(t.Context())
			if got := s.streams(); asked != 1 || got != test.want {
				t.Errorf("asked %d times, %d streams are open, want %d after one question", asked, got, test.want)
			}
		})
	}
}

// TestNobodyAsksForAnAgeInVain has nobody use the virtual cluster.
func TestNobodyAsksForAnAgeInVain(t *testing.T) {
	s := newReporting()
	s.Age = func(context.Context) (time.Duration, bool) {
		t.Error("it was asked")
		return 0, false
	}
	s.note([]event{request(stageComplete)})
	s.clock.Step(time.Hour)
	s.survive(t.Context())
}

// TestAStreamOfACrashedServerIsNoUse reports by the minute until the crash is noticed, and then no more.
func TestAStreamOfACrashedServerIsNoUse(t *testing.T) {
	s := newReporting()
	s.Age = func(context.Context) (time.Duration, bool) { return time.Minute, true }
	s.run(t)
	s.note([]event{request(stageStarted, watching("/w"))})
	s.next(t, 0)
	for minute := 1; minute < 5; minute++ {
		s.forward(t, time.Minute)
		s.next(t, time.Duration(minute)*time.Minute)
	}
	s.forward(t, time.Minute)
	s.settled(t, false)
	if len(s.times) > 0 {
		t.Errorf("it reported %s", <-s.times)
	}
}

func TestAgeOf(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	line := fmt.Sprintf("process_start_time_seconds %.9e\n", float64(began.UnixMilli())/1000)
	before := "# HELP process_start_time_seconds Start time.\n# TYPE process_start_time_seconds gauge\n"
	for name, test := range map[string]struct {
		code  int
		body  string
		known bool
	}{
		"among others":        {http.StatusOK, "a 1\n" + before + line + "z 1\n", true},
		"none":                {http.StatusOK, "a 1\n" + before, false},
		"no number":           {http.StatusOK, before + "process_start_time_seconds x\n", false},
		"one yet to come":     {http.StatusOK, before + "process_start_time_seconds 9.9e+09\n", false},
		"refused":             {http.StatusForbidden, line, false},
		"a line without end":  {http.StatusOK, strings.Repeat("x", 2*longestLine) + "\n" + line, false},
		"the name in a label": {http.StatusOK, `a{b="process_start_time_seconds 1"} 1` + "\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/metrics" {
					t.Errorf("it asked for %s", r.URL.Path)
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			client := kubernetes.NewForConfigOrDie(&rest.Config{Host: server.URL})
			age, known := AgeOf(client.Discovery().RESTClient())(t.Context())
			if known != test.known || known && (age < time.Hour-2*time.Second || age > time.Hour+time.Minute) {
				t.Errorf("got %s, known %t; want an hour, known %t", age, known, test.known)
			}
		})
	}
}
