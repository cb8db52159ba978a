// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// Abandoned is how long one and the same holder is waited for. It is far more
	// than a write of the datastore takes, for which a turn is meant.
	Abandoned = 10 * time.Second

	// lookAgain is how often the one who waits looks.
	lookAgain = 5 * time.Millisecond
	// giveBackWithin bounds the giving back, which goes on when the request has ended.
	giveBackWithin = 5 * time.Second
)

// errTaken says that another has the turn.
var errTaken = errors.New("another has the turn")

// Holder keeps who has the turn, "" for nobody, where all replicas see it.
type Holder interface {
	// Swap replaces the holder by what change makes of it, unless that is an
	// error, which it returns. Change is called again when another was quicker.
	Swap(ctx context.Context, change func(holder string) (string, error)) error
}

// Turn is taken by one at a time, of all that share a Holder.
type Turn struct {
	holder Holder
	clock  clock.PassiveClock
	// here is taken first, so that but one of each process asks the datastore.
	here chan struct{}
}

// New returns the turn that a holder keeps.
func New(holder Holder, clock clock.PassiveClock) *Turn {
	return &Turn{holder: holder, clock: clock, here: make(chan struct{}, 1)}
}

// Take waits for the turn until ctx ends. Whoever has it calls release, once.
func (t *Turn) Take(ctx context.Context) (release func(), err error) {
	select {
	case t.here <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	me := string(uuid.NewUUID())
	if err := t.wait(ctx, me); err != nil {
		<-t.here
		return nil, err
	}
	return func() {
		t.giveBack(ctx, me)
		<-t.here
	}, nil
}

// wait returns once me has the turn.
func (t *Turn) wait(ctx context.Context, me string) error {
	var before string
	var since time.Time
	err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(ctx context.Context) (bool, error) {
		err := t.holder.Swap(ctx, func(holder string) (string, error) {
			if holder != before {
				before, since = holder, t.clock.Now()
			}
			if holder != "" && t.clock.Since(since) < Abandoned {
				return "", errTaken
			}
			return me, nil
		})
		if errors.Is(err, errTaken) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("wait for the turn: %w", err)
	}
	return nil
}

// giveBack lets the next one go on, also when the request is over.
func (t *Turn) giveBack(ctx context.Context, me string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWithin)
	defer cancel()
	err := t.holder.Swap(ctx, func(holder string) (string, error) {
		if holder != me {
			return "", errTaken
		}
		return "", nil
	})
	if err != nil {
		klog.FromContext(ctx).Error(err, "A turn could not be given back: others wait until it counts as abandoned", "after", Abandoned)
	}
}
