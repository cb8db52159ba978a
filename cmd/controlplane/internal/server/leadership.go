//go:build !before_1_36

package server

import (
	"context"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cmfeatures "k8s.io/controller-manager/pkg/features"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/config"
)

// releaseLeadership makes a stopping controller manager give its lease back.
// Upstream's default is to end the process when the lease is lost, by intent
// or not, and here the process is the API server's too.
func releaseLeadership() error {
	name := cmfeatures.ControllerManagerReleaseLeaderElectionLockOnExit
	if utilfeature.DefaultFeatureGate.Enabled(name) {
		return nil
	}
	return utilfeature.DefaultMutableFeatureGate.OverrideDefault(name, true)
}

// lead runs the controllers for as long as this process holds their lease.
func lead(ctx context.Context, c *config.CompletedConfig) error { return app.Run(ctx, c) }
