// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"garret.dev/garret/pkg/cli/exit"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

type logOptions struct {
	part             string
	follow, previous bool
	timestamps       bool
	tail             int64
	since            time.Duration
}

// The parts of a virtual cluster that log.
const (
	partControlPlane = "control-plane"
	partSyncer       = "syncer"
)

// containerOf is the container that is a part. That of the control plane is named after the distribution.
func containerOf(pod *corev1.Pod, part string) string {
	for _, container := range pod.Spec.Containers {
		if (container.Name == partSyncer) == (part == partSyncer) {
			return container.Name
		}
	}
	return part
}

// Logs returns the command "logs".
func (c *Commands) Logs() *cobra.Command {
	options := logOptions{tail: -1}
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print what the control plane or the syncer of a virtual cluster logs",
		Long: `Prints the log of one part of a virtual cluster, from its pod on the host. It needs the
right to get pods/log in the namespace on the host. For logs of workloads, use kubectl logs
inside.`,
		Example: "  " + c.Program + ` logs demo --space team-a
  ` + c.Program + ` logs demo --space team-a --part syncer --follow
  ` + c.Program + ` logs demo -n team-a --part syncer --previous --tail 100`,
		Args:              subject.One,
		ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.logs(cmd.Context(), args[0], options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.part, "part", partControlPlane, "whose log: control-plane or syncer")
	flags.BoolVarP(&options.follow, "follow", "f", false, "also print each new line, until the command is interrupted")
	flags.BoolVarP(&options.previous, "previous", "p", false, "the log of the container before its last restart")
	flags.BoolVar(&options.timestamps, "timestamps", false, "print the time before each line")
	flags.Int64Var(&options.tail, "tail", options.tail, "number of last lines to print; -1 for all")
	flags.DurationVar(&options.since, "since", 0, "only what is newer than this, such as 5m")
	if err := cmd.RegisterFlagCompletionFunc("part", cobra.FixedCompletions([]string{partControlPlane, partSyncer}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
	return subject.Optional(cmd)
}

func (c *Commands) logs(ctx context.Context, name string, options logOptions) error {
	if options.part != partControlPlane && options.part != partSyncer {
		return host.Misuse(fmt.Errorf("a virtual cluster has no part %q", options.part), "write --part control-plane or --part syncer")
	}
	view, err := c.open(ctx, name)
	if err != nil {
		return err
	}
	pods, err := view.controlPlane(ctx)
	if err != nil {
		return view.cluster.Explain(err)
	}
	if len(pods) == 0 {
		return exit.With(exit.NotFound, host.Advise(fmt.Errorf("virtual cluster %s has no pod on the host", name),
			"see why with: %s describe %s --namespace %s", c.Program, name, view.object.Namespace))
	}
	stream, err := view.log(ctx, &pods[0], options)
	if err != nil {
		return view.cluster.Explain(err)
	}
	defer stream.Close()
	_, err = io.Copy(c.Streams.Out, stream)
	return err
}

func (v *view) log(ctx context.Context, pod *corev1.Pod, options logOptions) (io.ReadCloser, error) {
	request := &corev1.PodLogOptions{Container: containerOf(pod, options.part), Follow: options.follow, Previous: options.previous, Timestamps: options.timestamps}
	if options.tail >= 0 {
		request.TailLines = &options.tail
	}
	if seconds := int64(options.since.Seconds()); seconds > 0 {
		request.SinceSeconds = &seconds
	}
	stream, err := v.client.CoreV1().Pods(v.object.Namespace).GetLogs(pod.Name, request).Stream(ctx)
	if err != nil && strings.Contains(err.Error(), "previous terminated container") {
		return nil, exit.With(exit.NotFound, host.Advise(err, "leave --previous out: the container has not restarted"))
	}
	return stream, err
}
