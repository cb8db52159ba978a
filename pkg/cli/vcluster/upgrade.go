// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/subject"
)

// Upgrade returns the command "upgrade".
func (c *Commands) Upgrade() *cobra.Command {
	var version string
	wait, timeout := true, defaultTimeout
	cmd := &cobra.Command{
		Use:   "upgrade NAME",
		Short: "Raise the Kubernetes version of a virtual cluster, and wait until it runs",
		Long: `Sets spec.kubernetes.version and waits until the API server inside runs that version and the
virtual cluster is ready. The API inside does not answer while a new pod replaces the old one;
workloads keep running. A version can be raised but never lowered: the server refuses that.`,
		Example: "  " + c.Program + ` upgrade demo --space team-a
  ` + c.Program + ` upgrade demo -n team-a --kubernetes-version ` + tenancyv1.DefaultKubernetesVersion,
		Args:              subject.One,
		ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.upgrade(cmd.Context(), args[0], version, wait, timeout)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&version, "kubernetes-version", tenancyv1.DefaultKubernetesVersion, "Kubernetes to run inside")
	flags.BoolVar(&wait, "wait", wait, "wait until the new version runs and the virtual cluster is ready")
	flags.DurationVar(&timeout, "timeout", timeout, "how long to wait")
	return subject.Optional(cmd)
}

func (c *Commands) upgrade(ctx context.Context, name, version string, wait bool, timeout time.Duration) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	clusters := client.TenancyV1().VirtualClusters(cluster.Namespace)
	before, err := clusters.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return cluster.Explain(err)
	}
	if before.Spec.Kubernetes.Version == version && before.Status.KubernetesVersion == version {
		c.say("virtual cluster %s runs %s already", name, version)
		return nil
	}
	// The uid keeps it from raising another one of the same name made meanwhile.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": before.UID},
		"spec":     map[string]any{"kubernetes": map[string]any{"version": version}},
	})
	if err != nil {
		return err
	}
	start := time.Now()
	raised, err := clusters.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "garret"})
	if err != nil {
		return cluster.Explain(err)
	}
	c.say("virtual cluster %s is to run %s; it ran %s", name, version, before.Spec.Kubernetes.Version)
	if wait {
		running := func(current *tenancyv1.VirtualCluster) (bool, error) {
			if current.Status.ObservedGeneration < raised.Generation || current.Status.KubernetesVersion != version {
				return false, nil
			}
			return isReady(current)
		}
		if err := c.await(ctx, client, raised, start, timeout, running); err != nil {
			return cluster.Explain(err)
		}
		c.say("ready with %s after %s", version, seconds(time.Since(start)))
	}
	c.say("see its state with: %s", fmt.Sprintf("%s describe %s --namespace %s", c.Program, name, cluster.Namespace))
	return nil
}
