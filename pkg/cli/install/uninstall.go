// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// namedAtMost is how many virtual clusters a refusal names.
const namedAtMost = 5

type uninstallOptions struct {
	force   bool
	purge   bool
	timeout time.Duration
}

// Uninstall returns the command "uninstall".
func (c *Commands) Uninstall() *cobra.Command {
	options := uninstallOptions{timeout: 2 * time.Minute}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Uninstall Garret from the host cluster",
		Long: `Takes Garret away. It refuses while there are virtual clusters, for nobody would be left
to delete what they consist of. The volume with the VirtualCluster objects and the
certificates in ` + tenancyv1.SystemNamespace + ` stay, so that a new installation goes on where this one ended;
with --purge they go too.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.uninstall(cmd.Context(), options) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.force, "force", false, "uninstall although there are virtual clusters, or although Garret cannot list them; their pods run on")
	flags.BoolVar(&options.purge, "purge", false, "remove the namespace "+tenancyv1.SystemNamespace+" with all data, too")
	flags.DurationVar(&options.timeout, "timeout", options.timeout, "how long to wait for each step")
	return cmd
}

func (c *Commands) uninstall(ctx context.Context, options uninstallOptions) error {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return err
	}
	if !options.force {
		if err := refuseWhileInUse(ctx, cluster); err != nil {
			return cluster.Explain(err)
		}
	}
	if err := removeAPIService(ctx, cluster.Config, options.timeout); err != nil {
		return cluster.Explain(err)
	}
	release, err := newHelm(ctx, cluster.Getter())
	if err != nil {
		return err
	}
	found, err := release.remove(options.timeout)
	if err != nil {
		return cluster.Explain(err)
	}
	if !found && !options.purge {
		return host.Advise(fmt.Errorf("there is no Helm release %s in %s", releaseName, tenancyv1.SystemNamespace),
			"what was applied from manifests goes with: kubectl delete -f artifacts/manifests/garret.yaml")
	}
	if !options.purge {
		c.say("Garret was taken away; its data stay in namespace %s", tenancyv1.SystemNamespace)
		return nil
	}
	client, err := cluster.Kubernetes()
	if err != nil {
		return err
	}
	if err := removeNamespace(ctx, client, options.timeout); err != nil {
		return cluster.Explain(err)
	}
	c.say("Garret was taken away with all its data")
	return nil
}

func refuseWhileInUse(ctx context.Context, cluster *host.Cluster) error {
	client, err := cluster.Tenancy()
	if err != nil {
		return err
	}
	list, err := client.TenancyV1().VirtualClusters(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		// The API is not registered: what is left can only be in the way.
		return nil
	}
	if err != nil {
		return host.Advise(fmt.Errorf("cannot find out whether there are virtual clusters: %w", err), "repair Garret first, or go on with --force")
	}
	if len(list.Items) == 0 {
		return nil
	}
	var names []string
	for i, item := range list.Items {
		if i == namedAtMost {
			names = append(names, "…")
			break
		}
		names = append(names, item.Namespace+"/"+item.Name)
	}
	return host.Advise(fmt.Errorf("virtual clusters still exist (%d): %s", len(list.Items), strings.Join(names, ", ")),
		"delete them first, or leave them running without a controller by --force")
}

// removeAPIService returns when the host no longer asks garret-apiserver anything.
func removeAPIService(ctx context.Context, config *rest.Config, timeout time.Duration) error {
	client, err := aggregator.NewForConfig(config)
	if err != nil {
		return err
	}
	services := client.ApiregistrationV1().APIServices()
	if err := services.Delete(ctx, apiServiceName, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return untilGone(ctx, timeout, "APIService "+apiServiceName, func(ctx context.Context) error {
		_, err := services.Get(ctx, apiServiceName, metav1.GetOptions{})
		return err
	})
}

func removeNamespace(ctx context.Context, client kubernetes.Interface, timeout time.Duration) error {
	namespaces := client.CoreV1().Namespaces()
	if err := namespaces.Delete(ctx, tenancyv1.SystemNamespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return untilGone(ctx, timeout, "namespace "+tenancyv1.SystemNamespace, func(ctx context.Context) error {
		_, err := namespaces.Get(ctx, tenancyv1.SystemNamespace, metav1.GetOptions{})
		return err
	})
}

func untilGone(ctx context.Context, timeout time.Duration, what string, get func(context.Context) error) error {
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, timeout, true, func(ctx context.Context) (bool, error) {
		err := get(ctx)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("%s is not gone after %s", what, timeout)
	}
	return err
}
