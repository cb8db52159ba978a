// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"testing"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/deployed"
)

// runHere runs the syncer of a cluster in this process, by another clock, until
// the test ends.
func runHere(t *testing.T, c cluster, clock *framework.WallClock) {
	t.Helper()
	c.Syncer.Kill()
	options := syncer.NewOptions()
	flags := pflag.NewFlagSet("syncer", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true // those about logs
	options.AddFlags(flags)
	if err := flags.Parse(c.Syncer.Args()); err != nil {
		t.Fatal(err)
	}
	options.Complete()
	options.Clock = clock
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- syncer.Run(ctx, *options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("syncer: %v", err)
		}
	})
}

// TestClockJumps sets the clock of the syncer forward and back by an hour while it
// works, and wants nothing to be lost and everything to go on.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	c := cluster{deployed.Run(t, host.ControlPlane, host.garret.Clients, newVirtualCluster(t))}
	clock := &framework.WallClock{}
	runHere(t, c, clock)
	newNamespace(t, c, space)
	c.create(t, "old")
	before := c.everything(t)
	for i, jump := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		clock.Jump(jump)
		name := []string{"ahead", "behind", "right"}[i]
		last := c.checkpoint(t)
		c.create(t, name)
		c.awaitCheckpoint(t, last)
		c.unharmed(t, before)
		if err := c.Client.CoreV1().Pods(space).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Client.CoreV1().PersistentVolumeClaims(space).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		framework.Eventually(t, "what was deleted at "+name+" is gone from the host", func(context.Context) (bool, error) {
			_, pod := c.onHost(t, "pods")[space+"/"+name]
			_, claim := c.onHost(t, "persistentvolumeclaims")[space+"/"+name]
			return !pod && !claim, nil
		})
	}
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
}
