// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/version"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

// logLines is how much of each log goes into a bundle.
const logLines = 5000

// Debug returns the command "debug".
func (c *Commands) Debug() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "debug NAME",
		Short: "Write a support bundle about a virtual cluster, without secrets",
		Long: `Writes an archive for whoever helps you: versions, the state of the virtual cluster and of
its pods on the host, its events, and the logs of its control plane and syncer.

The bundle contains named fields, not whole objects. It leaves out values that you wrote, such
as environment variables, annotations, labels, flags, template parameters and Helm values. Read the logs all the same before you pass the bundle on.`,
		Example:           "  " + c.Program + " debug demo --space team-a --output demo.tar.gz",
		Args:              subject.One,
		ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.debug(cmd.Context(), args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write, NAME.tar.gz when not given; it must not exist yet")
	return subject.Optional(cmd)
}

func (c *Commands) debug(ctx context.Context, name, output string) error {
	view, err := c.open(ctx, name)
	if err != nil {
		return err
	}
	if output == "" {
		output = name + ".tar.gz"
	}
	file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return host.Misuse(err, "name another file with --output")
	}
	if err != nil {
		return err
	}
	err = errors.Join(view.bundle(ctx, file, func(part string) { fmt.Fprintf(c.Streams.ErrOut, "collecting %s\n", part) }), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(output))
	}
	fmt.Fprintf(c.Streams.ErrOut, "%s written; look at it with: tar -tzf %s\n", output, output)
	return nil
}

// bundle writes the archive. What cannot be read is a line in it and no error: a bundle
// is wanted most where something does not work.
func (v *view) bundle(ctx context.Context, to io.Writer, collecting func(part string)) error {
	compressed := gzip.NewWriter(to)
	archive := tar.NewWriter(compressed)
	for _, part := range v.sections() {
		collecting(part.name)
		content, err := part.read(ctx)
		if err != nil {
			content = append(content, hidden(err)+"\n"...)
		}
		header := &tar.Header{Name: v.object.Name + "/" + part.name, Mode: 0o600, Size: int64(len(content)), ModTime: time.Now()}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

// section is one file of a bundle.
type section struct {
	name string
	read func(context.Context) ([]byte, error)
}

func (v *view) sections() []section {
	return []section{
		{"versions.txt", v.versions},
		{"virtualcluster.yaml", func(context.Context) ([]byte, error) { return yaml.Marshal(summary(v.object)) }},
		{"pods.txt", v.podStates},
		{"events.txt", v.eventLines},
		{"control-plane.log", func(ctx context.Context) ([]byte, error) { return v.tail(ctx, partControlPlane, false) }},
		{"control-plane-previous.log", func(ctx context.Context) ([]byte, error) { return v.tail(ctx, partControlPlane, true) }},
		{"syncer.log", func(ctx context.Context) ([]byte, error) { return v.tail(ctx, partSyncer, false) }},
		{"syncer-previous.log", func(ctx context.Context) ([]byte, error) { return v.tail(ctx, partSyncer, true) }},
	}
}

func (v *view) versions(context.Context) ([]byte, error) {
	out := []byte("garret: " + version.Get().GitVersion + "\n")
	server, err := v.client.Discovery().ServerVersion()
	if err != nil {
		return out, err
	}
	return append(out, "host: "+server.GitVersion+"\n"...), nil
}

// summary copies the fields of a virtual cluster that are decided by Garret, or that are
// one of a few values. What a user writes freely is left out: it may hold a secret.
func summary(vc *tenancyv1.VirtualCluster) *tenancyv1.VirtualCluster {
	safe := &tenancyv1.VirtualCluster{}
	safe.Name, safe.Namespace, safe.UID, safe.Generation = vc.Name, vc.Namespace, vc.UID, vc.Generation
	safe.ResourceVersion, safe.CreationTimestamp, safe.DeletionTimestamp = vc.ResourceVersion, vc.CreationTimestamp, vc.DeletionTimestamp
	safe.Finalizers = vc.Finalizers
	safe.Spec.HostClusterRef = vc.Spec.HostClusterRef
	safe.Spec.Kubernetes.Distro, safe.Spec.Kubernetes.Version = vc.Spec.Kubernetes.Distro, vc.Spec.Kubernetes.Version
	safe.Spec.ControlPlane.Resources, safe.Spec.ControlPlane.Storage = vc.Spec.ControlPlane.Resources, vc.Spec.ControlPlane.Storage
	safe.Spec.Isolation.PodSecurity, safe.Spec.Isolation.NetworkPolicy = vc.Spec.Isolation.PodSecurity, vc.Spec.Isolation.NetworkPolicy
	safe.Spec.Isolation.Quota = vc.Spec.Isolation.Quota
	status := vc.Status
	safe.Status = tenancyv1.VirtualClusterStatus{
		Phase: status.Phase, Conditions: status.Conditions, ObservedGeneration: status.ObservedGeneration, ClusterID: status.ClusterID,
		KubernetesVersion: status.KubernetesVersion, Endpoint: status.Endpoint, Release: status.Release, Quota: status.Quota,
	}
	if template := status.Template; template != nil {
		safe.Status.Template = &tenancyv1.TemplateStatus{Name: template.Name, Version: template.Version, UID: template.UID, Generation: template.Generation}
	}
	return safe
}

// podStates are the states of the pods: of the control plane's with their reasons, of the
// workloads' without messages, which may repeat what a container printed.
func (v *view) podStates(ctx context.Context) ([]byte, error) {
	var buffer bytes.Buffer
	out := tabwriter.NewWriter(&buffer, 0, 8, 2, ' ', 0)
	own, err := v.controlPlane(ctx)
	if err != nil {
		return nil, err
	}
	workloads, err := v.workloads(ctx)
	if err != nil {
		return nil, err
	}
	for i := range own {
		podLine(out, &own[i], "the control plane and the syncer")
		for _, status := range own[i].Status.ContainerStatuses {
			fmt.Fprintf(out, "    %s\t%s\t%s\n", status.Name, status.Image, state(status.State))
			if ended := status.LastTerminationState.Terminated; ended != nil {
				fmt.Fprintf(out, "    before:\t%s\t%s\n", ended.FinishedAt.Format(time.RFC3339), state(status.LastTerminationState))
			}
		}
	}
	for i := range workloads {
		podLine(out, &workloads[i], "a workload")
	}
	err = out.Flush()
	return buffer.Bytes(), err
}

func state(of corev1.ContainerState) string {
	switch {
	case of.Running != nil:
		return "running since " + of.Running.StartedAt.Format(time.RFC3339)
	case of.Waiting != nil:
		return "waiting: " + of.Waiting.Reason
	case of.Terminated != nil:
		return fmt.Sprintf("ended: %s, exit code %d", of.Terminated.Reason, of.Terminated.ExitCode)
	}
	return "unknown"
}

func (v *view) eventLines(ctx context.Context) ([]byte, error) {
	events, err := v.events(ctx)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, event := range events {
		fmt.Fprintf(&out, "%s %s %s: %s\n", when(&event).Format(time.RFC3339), event.Type, event.Reason, oneLine(event.Message))
	}
	return out.Bytes(), nil
}

func (v *view) tail(ctx context.Context, part string, previous bool) ([]byte, error) {
	pods, err := v.controlPlane(ctx)
	if err != nil || len(pods) == 0 {
		return nil, err
	}
	if previous && !restarted(&pods[0], containerOf(&pods[0], part)) {
		return []byte("the container has not restarted\n"), nil
	}
	stream, err := v.log(ctx, &pods[0], logOptions{part: part, previous: previous, tail: logLines, timestamps: true})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return io.ReadAll(stream)
}

func restarted(pod *corev1.Pod, container string) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status.RestartCount > 0
		}
	}
	return false
}
