// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Kubeconfig returns the command "kubeconfig".
func (c *Commands) Kubeconfig() *cobra.Command {
	expiration := tenancyv1.DefaultKubeconfigExpirationSeconds * time.Second
	var server string
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print a kubeconfig that works without the host cluster",
		Long: `Asks for a credential of the virtual cluster itself and prints a whole kubeconfig with
it. It holds a private key that is kept nowhere else, and ends when its time is over.
For everyday work prefer "use vcluster", which needs no credential at all.`,
		Example: "  " + c.Program + ` kubeconfig demo --space team-a > demo.kubeconfig
  ` + c.Program + ` kubeconfig demo -n team-a --expiration 12h --server https://demo.example.com`,
		Args:              exactlyOne,
		ValidArgsFunction: c.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kubeconfig(cmd.Context(), args[0], expiration, server)
		},
	}
	cmd.Flags().DurationVar(&expiration, "expiration", expiration, "life of the credential, from 10m to 24h")
	cmd.Flags().StringVar(&server, "server", "", "address to write as the server, such as https://demo.example.com")
	return cmd
}

func (c *Commands) kubeconfig(ctx context.Context, name string, expiration time.Duration, server string) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	life := int64(expiration / time.Second)
	request := &tenancyv1.KubeconfigRequest{Spec: tenancyv1.KubeconfigRequestSpec{ExpirationSeconds: &life, Server: server}}
	answer, err := client.TenancyV1().VirtualClusters(cluster.Namespace).CreateKubeconfig(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return cluster.Explain(err)
	}
	if until := answer.Status.ExpirationTimestamp; until != nil {
		c.say("valid until %s", until.Local().Format(time.RFC3339))
	}
	_, err = c.Streams.Out.Write(answer.Status.Kubeconfig)
	return err
}
