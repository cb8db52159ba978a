// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/subject"
)

// Kubeconfig returns the command "kubeconfig".
func (c *Commands) Kubeconfig() *cobra.Command {
	expiration := tenancyv1.DefaultKubeconfigExpirationSeconds * time.Second
	var spec tenancyv1.KubeconfigRequestSpec
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print a kubeconfig that works without the host cluster",
		Long: `Requests a credential of the virtual cluster itself and prints a complete kubeconfig with
it. It contains a private key that is stored nowhere else, and it expires.
It has the rights of cluster-admin inside, or those of --cluster-role and no others.
To revoke them earlier, delete the ClusterRoleBinding inside that it names.
For everyday work prefer "use", which needs no credential at all.`,
		Example: "  " + c.Program + ` kubeconfig demo --space team-a > demo.kubeconfig
  ` + c.Program + ` kubeconfig demo -n team-a --expiration 12h --server https://demo.example.com
  ` + c.Program + ` kubeconfig demo -n team-a --cluster-role view > reader.kubeconfig`,
		Args:              subject.One,
		ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kubeconfig(cmd.Context(), args[0], expiration, spec)
		},
	}
	cmd.Flags().DurationVar(&expiration, "expiration", expiration, "life of the credential, from 10m to 24h")
	cmd.Flags().StringVar(&spec.ClusterRole, "cluster-role", "", "ClusterRole inside that the credential is held to (default cluster-admin)")
	cmd.Flags().StringVar(&spec.Server, "server", "", "address to write as the server, such as https://demo.example.com")
	return subject.Optional(cmd)
}

func (c *Commands) kubeconfig(ctx context.Context, name string, expiration time.Duration, spec tenancyv1.KubeconfigRequestSpec) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	life := int64(expiration / time.Second)
	spec.ExpirationSeconds = &life
	request := &tenancyv1.KubeconfigRequest{Spec: spec}
	answer, err := client.TenancyV1().VirtualClusters(cluster.Namespace).CreateKubeconfig(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return cluster.Explain(err)
	}
	if until := answer.Status.ExpirationTimestamp; until != nil {
		c.say("valid until %s", until.Local().Format(time.RFC3339))
	}
	if id := answer.Status.CredentialID; id != "" {
		c.say("to revoke it before, inside: kubectl delete clusterrolebinding %s%s", tenancyv1.KubeconfigPrefix, id)
	}
	_, err = c.Streams.Out.Write(answer.Status.Kubeconfig)
	return err
}
