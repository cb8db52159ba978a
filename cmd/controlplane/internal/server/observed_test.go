package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"

	"garret.dev/garret/cmd/controlplane/internal/instep"
)

// refusing is a storage that writes nothing.
type refusing struct{ storage.Interface }

var errRefused = errors.New("refused")

func (refusing) Watch(context.Context, string, storage.ListOptions) (watch.Interface, error) {
	return nil, errRefused
}

func (refusing) Create(context.Context, string, runtime.Object, runtime.Object, uint64) error {
	return errRefused
}

func (refusing) Delete(context.Context, string, runtime.Object, *storage.Preconditions, storage.ValidateObjectFunc, runtime.Object, storage.DeleteOptions) error {
	return errRefused
}

func (refusing) GuaranteedUpdate(context.Context, string, runtime.Object, bool, *storage.Preconditions, storage.UpdateFunc, runtime.Object) error {
	return errRefused
}

// TestAFirstListByStreamingHurriesTheCaches has a look that waits, and watches that do and do
// not stream a first list.
func TestAFirstListByStreamingHurriesTheCaches(t *testing.T) {
	yes, no := true, false
	for name, tc := range map[string]struct {
		streams *bool
		want    time.Duration
	}{"a watch": {nil, cacheCalm}, "a watch that says so": {&no, cacheCalm}, "a stream": {&yes, cacheStep}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := instep.New(cacheStep, cacheCalm)
				begin := time.Now()
				look := clock.NewTimer(cacheStep)
				defer look.Stop()
				_, err := streamed{refusing{}, clock}.Watch(t.Context(), "/pods", storage.ListOptions{SendInitialEvents: tc.streams})
				if !errors.Is(err, errRefused) {
					t.Errorf("got %v, want what the storage answers", err)
				}
				if got := (<-look.C()).Sub(begin); got != tc.want {
					t.Errorf("the caches look after %s, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestEachWriteOfADefinitionIsNoted(t *testing.T) {
	writes := 0
	store := written{refusing{}, func() { writes++ }}
	for i, write := range []func() error{
		func() error { return store.Create(t.Context(), "/x", nil, nil, 0) },
		func() error { return store.GuaranteedUpdate(t.Context(), "/x", nil, false, nil, nil, nil) },
		func() error { return store.Delete(t.Context(), "/x", nil, nil, nil, nil, storage.DeleteOptions{}) },
	} {
		if err := write(); !errors.Is(err, errRefused) {
			t.Errorf("got %v, want what the storage answers", err)
		}
		if writes != i+1 {
			t.Errorf("%d writes were noted, want %d", writes, i+1)
		}
	}
}
