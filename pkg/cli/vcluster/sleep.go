// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

type sleepOptions struct {
	wait    bool
	timeout time.Duration
}

// Sleep returns the command "sleep".
func (c *Commands) Sleep() *cobra.Command {
	return c.pausing("sleep NAME", "Put a virtual cluster to sleep",
		`Stops the pods of a virtual cluster on the host, and then its control plane. All its objects
inside stay, and so do its volumes, Services and their addresses. It sleeps until somebody
wakes it with "wake": neither a request nor a schedule does.`, true)
}

// Wake returns the command "wake".
func (c *Commands) Wake() *cobra.Command {
	return c.pausing("wake NAME", "Wake a virtual cluster that sleeps",
		`Starts the control plane of a virtual cluster again, and then the pods that ran when it
fell asleep. It stays awake until its next time to sleep: by inactivity, by its
schedule, or because somebody asks for it.`, false)
}

func (c *Commands) pausing(use, short, long string, paused bool) *cobra.Command {
	options := sleepOptions{wait: true, timeout: defaultTimeout}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: subject.One, ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE: func(cmd *cobra.Command, args []string) error { return c.pause(cmd.Context(), args[0], paused, options) },
	}
	cmd.Example = "  " + c.Program + " " + cmd.Name() + " demo --namespace team-a"
	cmd.Flags().BoolVar(&options.wait, "wait", options.wait, "wait until that is done")
	cmd.Flags().DurationVar(&options.timeout, "timeout", options.timeout, "how long to wait")
	return subject.Optional(cmd)
}

// pause sets spec.paused, and waits until the virtual cluster follows.
func (c *Commands) pause(ctx context.Context, name string, paused bool, options sleepOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	start := time.Now()
	clusters := client.TenancyV1().VirtualClusters(cluster.Namespace)
	object, err := clusters.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return cluster.Explain(err)
	}
	patch, err := pausePatch(object, paused)
	if err != nil {
		return err
	}
	object, err = clusters.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "garret"})
	if err != nil {
		return cluster.Explain(err)
	}
	done, other, reached := "asleep", "wake", isAsleep
	if !paused {
		done, other, reached = "awake", "sleep", isAwake
	}
	if !options.wait {
		c.say("see how far it is with: kubectl get vc %s -n %s", name, cluster.Namespace)
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, options.timeout)
	defer cancel()
	last, err := watchUntil(waiting, client, object, reached, progress(c.Streams.ErrOut, start, describe))
	if err != nil {
		if waiting.Err() == nil {
			return cluster.Explain(err)
		}
		if last == nil {
			last = object
		}
		return host.Advise(fmt.Errorf("virtual cluster %s is not %s after %s: %s", name, done, seconds(time.Since(start)), describe(last)),
			"it goes on by itself; kubectl describe vc %s -n %s shows how far it is", name, cluster.Namespace)
	}
	c.say("virtual cluster %s is %s after %s; %s it with: %s %s %s --namespace %s", name, done, seconds(time.Since(start)), other, c.Program, other, name, cluster.Namespace)
	return nil
}

// pausePatch sets spec.paused. A sleep that spec.paused did not ask for is ended by its number.
func pausePatch(object *tenancyv1.VirtualCluster, paused bool) ([]byte, error) {
	patch := map[string]any{"spec": map[string]any{"paused": paused}}
	if !paused && object.Status.Asleep() {
		patch["metadata"] = map[string]any{"uid": object.UID, "annotations": map[string]any{tenancyv1.AnnotationWake: strconv.FormatInt(object.Status.Sleep.Number, 10)}}
	}
	return json.Marshal(patch)
}

// isAsleep says whether nothing of the virtual cluster runs any more.
func isAsleep(current *tenancyv1.VirtualCluster) (bool, error) {
	if !current.Spec.Paused {
		return false, host.Advise(fmt.Errorf("somebody woke virtual cluster %s meanwhile", current.Name), "see who with: kubectl get vc %s -n %s -o yaml --show-managed-fields", current.Name, current.Namespace)
	}
	return meta.IsStatusConditionTrue(current.Status.Conditions, tenancyv1.ConditionAsleep), nil
}

// isAwake says whether the virtual cluster is ready again.
func isAwake(current *tenancyv1.VirtualCluster) (bool, error) {
	if current.Spec.Paused {
		return false, host.Advise(fmt.Errorf("somebody put virtual cluster %s to sleep meanwhile", current.Name), "see who with: kubectl get vc %s -n %s -o yaml --show-managed-fields", current.Name, current.Namespace)
	}
	if current.Status.ObservedGeneration < current.Generation || current.Status.Asleep() {
		return false, nil
	}
	return isReady(current)
}
