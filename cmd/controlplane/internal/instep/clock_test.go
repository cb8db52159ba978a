package instep

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAlign(t *testing.T) {
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
			if got := align(time.Second, tc.moment, tc.d); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTimersGoOffTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Second, 5*time.Second)
		early, late := c.NewTimer(1700*time.Millisecond), c.NewTimer(2300*time.Millisecond)
		defer early.Stop()
		defer late.Stop()
		for range 3 {
			first, second := <-early.C(), <-late.C()
			if !first.Equal(second) {
				t.Errorf("timers of one step went off at %s and %s", first, second)
			}
			early.Reset(1700 * time.Millisecond)
			late.Reset(2300 * time.Millisecond)
		}
	})
}

// TestLooksFollowHurry has one look that waits when somebody hurries, and one that was stopped.
func TestLooksFollowHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Second, 5*time.Second)
		begin := time.Now()
		look, stopped, other := c.NewTimer(1100*time.Millisecond), c.NewTimer(time.Second), c.NewTimer(3*time.Second)
		stopped.Stop()
		defer look.Stop()
		at := func() time.Duration { return (<-look.C()).Sub(begin) }
		if got := at(); got != 5*time.Second {
			t.Errorf("the first look is after %s, want that of a calm clock", got)
		}
		if got := (<-other.C()).Sub(begin); got != 3*time.Second {
			t.Errorf("a timer of three steps goes off after %s", got)
		}

		look.Reset(1200 * time.Millisecond)
		time.Sleep(1500 * time.Millisecond)
		c.Hurry()
		// The look that waited until 10 s comes at the next step, as do those after it.
		if got := at(); got > 8*time.Second {
			t.Errorf("the look that waited is after %s, though somebody hurries since 6.5 s", got)
		}
		looks := 0
		for end := time.Now().Add(hurryTime - 5*time.Second); time.Now().Before(end); looks++ {
			look.Reset(1200 * time.Millisecond)
			at()
		}
		if looks < 50 {
			t.Errorf("%d looks while somebody hurries, want one a second", looks)
		}

		time.Sleep(hurryTime)
		look.Reset(time.Second)
		now := time.Since(begin)
		if got := at(); got != (now + 5*time.Second).Round(5*time.Second) {
			t.Errorf("after the hurry, a look at %s was set at %s", got, now)
		}
		select {
		case <-stopped.C():
			t.Error("a look went off that was stopped")
		default:
		}
	})
}
