// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

func testRegistry(t *testing.T) *Registry {
	return &Registry{
		Root:     t.TempDir(),
		Max:      3,
		Range:    func(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", 200+i)) },
		Alive:    func(string) bool { return true },
		Networks: func() ([]netip.Prefix, error) { return nil, nil },
	}
}

func TestAcquire(t *testing.T) {
	for name, tt := range map[string]struct {
		held   []string // owners of the indexes 0, 1, …
		dead   string   // the one which does not exist any more
		inUse  string   // a network of the machine
		asker  string
		want   int
		got    int
		failed string
	}{
		"the first":               {asker: "me", want: -1, got: 0},
		"the next":                {held: []string{"a", "b"}, asker: "me", want: -1, got: 2},
		"one's own":               {held: []string{"a", "me"}, asker: "me", want: -1, got: 1},
		"one's own, by index":     {held: []string{"a", "me"}, asker: "me", want: 1, got: 1},
		"a certain one":           {asker: "me", want: 2, got: 2},
		"another's":               {held: []string{"a"}, asker: "me", want: 0, failed: "in use"},
		"a dead one's":            {held: []string{"a", "b"}, dead: "a", asker: "me", want: -1, got: 0},
		"past a network in use":   {inUse: "10.200.3.0/24", asker: "me", want: -1, got: 1},
		"a certain one in use":    {inUse: "10.200.3.0/24", asker: "me", want: 0, failed: "in use"},
		"when there is none left": {held: []string{"a", "b", "c"}, asker: "me", want: -1, failed: "all of 3 networks"},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRegistry(t)
			for i, owner := range tt.held {
				if _, err := r.Acquire(owner, i); err != nil {
					t.Fatal(err)
				}
			}
			r.Alive = func(owner string) bool { return owner != tt.dead }
			if tt.inUse != "" {
				r.Networks = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix(tt.inUse)}, nil }
			}
			lease, err := r.Acquire(tt.asker, tt.want)
			if tt.failed != "" {
				if err == nil || !strings.Contains(err.Error(), tt.failed) {
					t.Errorf("got %+v, %v; want an error with %q", lease, err, tt.failed)
				}
				return
			}
			if err != nil || lease.Index != tt.got {
				t.Errorf("got %+v, %v; want index %d", lease, err, tt.got)
			}
		})
	}
}

// A cluster's own network is in use, by itself, when it comes up again.
func TestAcquireAgainWhileUp(t *testing.T) {
	r := testRegistry(t)
	if _, err := r.Acquire("me", -1); err != nil {
		t.Fatal(err)
	}
	r.Networks = func() ([]netip.Prefix, error) { return []netip.Prefix{r.Range(0)}, nil }
	if lease, err := r.Acquire("me", 0); err != nil || lease.Index != 0 {
		t.Errorf("got %+v, %v; want index 0", lease, err)
	}
}

func TestAcquireAtOnce(t *testing.T) {
	r := testRegistry(t)
	var mu sync.Mutex
	var got []int
	var group sync.WaitGroup
	for i := range r.Max {
		group.Go(func() {
			lease, err := r.Acquire(fmt.Sprint("owner", i), -1)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, lease.Index)
		})
	}
	group.Wait()
	slices.Sort(got)
	if want := []int{0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("got indexes %v, want %v", got, want)
	}
}

func TestRelease(t *testing.T) {
	r := testRegistry(t)
	lease, err := r.Acquire("me", -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Release(lease); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.Root); !os.IsNotExist(err) {
		t.Errorf("after the last release: got %v, want no folder", err)
	}
}
