package server

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	cmfeatures "k8s.io/controller-manager/pkg/features"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
)

// parseControllerManager turns a command line into kube-controller-manager's
// options.
func parseControllerManager(args []string) (*options.KubeControllerManagerOptions, error) {
	o, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	fs := pflag.NewFlagSet("kube-controller-manager", pflag.ContinueOnError)
	sets := o.Flags(app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases())
	o.ParsedFlags = &sets
	for _, set := range sets.FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(args); err != nil {
		return nil, fmt.Errorf("--kube-controller-manager-arg: %w", err)
	}
	return o, nil
}

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

// runControllerManager runs the controllers until ctx is cancelled. The API
// must answer: the options ask it for the authentication configuration.
func runControllerManager(ctx context.Context, o *options.KubeControllerManagerOptions) error {
	// Logging is the process's and set already; another setting here would
	// have to change it for all.
	if err := logsapi.ValidateAndApply(o.Logs, nil); err != nil {
		return fmt.Errorf("--kube-controller-manager-arg: logging differs from kube-apiserver's in the same process: %w", err)
	}
	config, err := o.Config(ctx, app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases())
	if err != nil {
		return fmt.Errorf("--kube-controller-manager-arg: %w", err)
	}
	return app.Run(ctx, config.Complete())
}
