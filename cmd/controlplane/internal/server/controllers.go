package server

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
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
	return lead(ctx, config.Complete())
}
