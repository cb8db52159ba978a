// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// A Claim takes the turn for one write, late: what comes before, such as the
// host's webhooks, may last.
type Claim struct {
	turn    *Turn
	dryRun  bool
	release func()
}

// Claim prepares one. Whoever asks for it calls End when the write is over.
func (t *Turn) Claim(dryRun []string) *Claim {
	return &Claim{turn: t, dryRun: dryrun.IsDryRun(dryRun), release: func() {}}
}

// Check takes the turn and returns what check says, which then holds until End.
// A dry run takes none, since it would have to write that. It may be called again,
// since a store tries a write several times. Errors are API errors, or check's.
func (c *Claim) Check(ctx context.Context, check func() error) error {
	if !c.dryRun {
		c.End()
		release, err := c.turn.Take(ctx)
		if ctx.Err() != nil {
			return apierrors.NewTimeoutError("others are writing what this depends on: try again", 1)
		}
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		c.release = release
	}
	return check()
}

// End lets the next one go on.
func (c *Claim) End() {
	c.release()
	c.release = func() {}
}
