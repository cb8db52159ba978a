// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestParse(t *testing.T) {
	for expression, problem := range map[string]string{
		"":                           "",
		Example:                      "",
		"*/5 7-19 * JAN,mar mon-FRI": "",
		"0 0 29 2 *":                 "",
		"0 20 * *":                   "must have five fields",
		"0 0 20 * * 1-5":             "must have five fields",
		"61 * * * *":                 "must have five fields",
		"*/0 * * * *":                "must have five fields",
		"@daily":                     "names such as @daily are not read",
		"@every 1h":                  "names such as @daily are not read",
		"TZ=Europe/Berlin 0 1 * * *": "use timeZone",
		"CRON_TZ=UTC 0 1 * * *":      "use timeZone",
		"TZ=":                        "use timeZone",
		"0 0 31 2 *":                 "must come at least once in five years",
		"a b c d e":                  "must have five fields",
	} {
		_, err := Parse(expression, time.UTC)
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: got %v, want %q", expression, err, problem)
		}
	}
}

func TestZone(t *testing.T) {
	for name, right := range map[string]bool{
		"": true, "UTC": true, "Europe/Berlin": true, "America/Sao_Paulo": true,
		"Local": false, "local": false, "Mars/Olympus": false, "../../etc/passwd": false, "+02:00": false,
	} {
		if _, err := Zone(name); (err == nil) != right {
			t.Errorf("%q: got %v, want right %v", name, err, right)
		}
	}
}

func TestLast(t *testing.T) {
	for name, test := range map[string]struct{ expression, zone, after, until, want string }{
		"once":                    {"0 20 * * *", "UTC", "2026-11-27T12:00:00Z", "2026-11-27T23:00:00Z", "2026-11-27T20:00:00Z"},
		"the last of many":        {"*/5 * * * *", "UTC", "2020-01-01T00:00:00Z", "2026-11-27T23:04:59Z", "2026-11-27T23:00:00Z"},
		"the last of a weekend":   {"0 20 * * 1-5", "UTC", "2026-11-01T00:00:00Z", "2026-11-29T12:00:00Z", "2026-11-27T20:00:00Z"},
		"at the end":              {"0 20 * * *", "UTC", "2026-11-27T12:00:00Z", "2026-11-27T20:00:00Z", "2026-11-27T20:00:00Z"},
		"not at the beginning":    {"0 20 * * *", "UTC", "2026-11-27T20:00:00Z", "2026-11-28T19:59:59Z", ""},
		"a fraction of a second":  {"0 20 * * *", "UTC", "2026-11-27T19:59:59.5Z", "2026-11-27T20:00:00.2Z", "2026-11-27T20:00:00Z"},
		"none":                    {"0 20 * * *", "UTC", "2026-11-27T20:00:01Z", "2026-11-27T23:00:00Z", ""},
		"backwards":               {"0 20 * * *", "UTC", "2026-11-28T20:00:01Z", "2026-11-27T23:00:00Z", ""},
		"in a zone":               {"0 20 * * *", "Europe/Berlin", "2026-11-27T12:00:00Z", "2026-11-27T23:00:00Z", "2026-11-27T19:00:00Z"},
		"summer":                  {"0 20 * * *", "Europe/Berlin", "2026-07-27T12:00:00Z", "2026-07-27T23:00:00Z", "2026-07-27T18:00:00Z"},
		"an hour that is skipped": {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T23:00:00Z", ""},
		"an hour that is twice":   {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T23:00:00Z", "2026-10-25T01:30:00Z"},
		"no expression":           {"", "UTC", "2026-11-27T12:00:00Z", "2026-11-27T23:00:00Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			zone, err := Zone(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(test.expression, zone)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := s.Last(at(t, test.after), at(t, test.until)), at(t, test.want); !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
