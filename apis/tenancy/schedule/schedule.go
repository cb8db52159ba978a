// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedule reads the schedules of spec.sleep: cron expressions of five fields, in a
// time zone. It is pure, and contains the time zones, so that each program reads the same on
// each machine.
package schedule

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
	_ "time/tzdata" // images of programs have no zones

	"github.com/robfig/cron/v3"
)

// Example is an expression that is right.
const Example = "0 20 * * 1-5"

// parser reads five fields: no seconds, and no names such as @daily.
var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Schedule is a series of times. The zero value has none.
type Schedule struct {
	times cron.Schedule
	zone  *time.Location
}

// Parse reads an expression. An empty one has no times. The error says what is wrong with
// it, and does not repeat it.
func Parse(expression string, zone *time.Location) (Schedule, error) {
	switch {
	case expression == "":
		return Schedule{}, nil
	case strings.Contains(expression, "="):
		return Schedule{}, errors.New("must not name a time zone: use timeZone")
	case strings.HasPrefix(strings.TrimSpace(expression), "@"):
		return Schedule{}, errors.New("must have five fields: minute, hour, day of month, month, day of week; names such as @daily are not read")
	}
	times, err := parser.Parse(expression)
	if err != nil {
		return Schedule{}, fmt.Errorf("must have five fields: minute, hour, day of month, month, day of week: %w", err)
	}
	s := Schedule{times, zone}
	if s.Next(time.Unix(0, 0)).IsZero() {
		return Schedule{}, errors.New("must come at least once in five years")
	}
	return s, nil
}

// Zone returns the zone of an IANA name; none is UTC.
func Zone(name string) (*time.Location, error) {
	// What a machine calls its own zone differs between machines.
	if strings.EqualFold(name, "local") {
		return nil, errors.New("must name one zone: each machine has its own Local")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errors.New("must be a name of the IANA time zone database")
	}
	return zone, nil
}

// Next returns the first time after t, or zero.
func (s Schedule) Next(t time.Time) time.Time {
	if s.times == nil {
		return time.Time{}
	}
	return s.times.Next(t.In(s.zone))
}

// Last returns the last time that is after the first argument and not after the second, or zero.
func (s Schedule) Last(after, until time.Time) time.Time {
	comes := func(from time.Time) bool {
		next := s.Next(from)
		return !next.IsZero() && !next.After(until)
	}
	if s.times == nil || !after.Before(until) || !comes(after) {
		return time.Time{}
	}
	// The later one asks, the later what comes next, so that one can halve what is between.
	seconds := int(until.Sub(after) / time.Second)
	none := sort.Search(seconds+1, func(n int) bool { return !comes(after.Add(time.Duration(n) * time.Second)) })
	return s.Next(after.Add(time.Duration(none-1) * time.Second))
}
