//go:build before_1_36

package server

import (
	"context"
	"errors"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/config"
)

// releaseLeadership does nothing: lead gives the lease back.
func releaseLeadership() error { return nil }

// lead runs the controllers for as long as this process holds their lease.
// Upstream's own election ends the process when the lease is lost, by intent or
// not, and here the process is the API server's too. So the election is here.
func lead(ctx context.Context, c *config.CompletedConfig) error {
	settings := c.ComponentConfig.Generic.LeaderElection
	if !settings.LeaderElect {
		return app.Run(ctx, c)
	}
	c.ComponentConfig.Generic.LeaderElection.LeaderElect = false
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	lock, err := resourcelock.NewFromKubeconfig(settings.ResourceLock, settings.ResourceNamespace, settings.ResourceName,
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID()), EventRecorder: c.EventRecorder},
		c.Kubeconfig, settings.RenewDeadline.Duration)
	if err != nil {
		return fmt.Errorf("lease of the controllers: %w", err)
	}

	// The lease is given back when the controllers have ended, not when they are
	// asked to: until then no other process may run them.
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	leading, ended := make(chan struct{}), make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-leading:
		default:
			release()
		}
	})()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		Name:            settings.ResourceName,
		LeaseDuration:   settings.LeaseDuration.Duration,
		RenewDeadline:   settings.RenewDeadline.Duration,
		RetryPeriod:     settings.RetryPeriod.Duration,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(lost context.Context) {
				close(leading)
				defer release()
				running, stop := context.WithCancel(ctx)
				defer stop()
				defer context.AfterFunc(lost, stop)()
				ended <- app.Run(running, c)
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("lease of the controllers: %w", err)
	}
	elector.Run(held)
	select {
	case <-leading:
	default:
		return ctx.Err()
	}
	if err := <-ended; err != nil || ctx.Err() != nil {
		return err
	}
	return errors.New("the lease of the controllers was lost")
}
