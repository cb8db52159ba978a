package instep

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAlign(t *testing.T) {
	c := New(time.Second)
	tests := map[string]struct {
		moment, d, want time.Duration
	}{
		"at a step, a second and a bit":    {5 * time.Second, 1200 * time.Millisecond, time.Second},
		"between steps":                    {5300 * time.Millisecond, 1100 * time.Millisecond, 700 * time.Millisecond},
		"half a step, never at once":       {5900 * time.Millisecond, 500 * time.Millisecond, 100 * time.Millisecond},
		"nearest is past":                  {5001 * time.Millisecond, 500 * time.Millisecond, 999 * time.Millisecond},
		"many steps":                       {5100 * time.Millisecond, 15 * time.Second, 14900 * time.Millisecond},
		"less than half a step stays so":   {5100 * time.Millisecond, 30 * time.Millisecond, 30 * time.Millisecond},
		"no time at all, and none is made": {5100 * time.Millisecond, 0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := c.align(tc.moment, tc.d); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTimersGoOffTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Second)
		early, late := c.NewTimer(700*time.Millisecond), c.NewTimer(1300*time.Millisecond)
		defer early.Stop()
		defer late.Stop()
		for range 3 {
			first, second := <-early.C(), <-late.C()
			if !first.Equal(second) {
				t.Errorf("timers of one step went off at %s and %s", first, second)
			}
			early.Reset(700 * time.Millisecond)
			late.Reset(1300 * time.Millisecond)
		}
	})
}
