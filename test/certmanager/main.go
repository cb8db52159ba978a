// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command cert-manager runs cert-manager's own controllers, and the program that
// answers its HTTP challenges.
//
// cert-manager's commands are modules within its repository that no Go module proxy serves;
// their packages are in its main module. This wires those that issue by a CA, self-signed, and
// by ACME. It is a separate module, because cert-manager requires other versions of the modules
// that the tests use.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"

	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// solverPort is where the controllers' Service for a challenge leads.
const solverPort = 8089

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// run takes the name of the program, as the images give it, and its flags.
func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: %s controller|acmesolver [flags]", os.Args[0])
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	switch args[0] {
	case "controller":
		return controllers(ctx, flags, args[1:])
	case "acmesolver":
		return answer(ctx, flags, args[1:])
	}
	return fmt.Errorf("there is no program %q", args[0])
}

// answer serves the token of one HTTP challenge until it is stopped.
func answer(ctx context.Context, flags *flag.FlagSet, args []string) error {
	var server solver.HTTP01Solver
	flags.IntVar(&server.ListenPort, "listen-port", solverPort, "Port to listen on.")
	flags.StringVar(&server.Domain, "domain", "", "Domain whose challenge is answered.")
	flags.StringVar(&server.Token, "token", "", "Token of the challenge.")
	flags.StringVar(&server.Key, "key", "", "Answer to the challenge.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Listen(klog.Background()); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// controllers runs every controller that is wired here, in the whole cluster.
func controllers(ctx context.Context, flags *flag.FlagSet, args []string) error {
	options := controller.ContextOptions{
		KubernetesAPIQPS: 50, KubernetesAPIBurst: 100,
		ACMEOptions: controller.ACMEOptions{
			HTTP01SolverResourceRequestCPU:    resource.MustParse("10m"),
			HTTP01SolverResourceRequestMemory: resource.MustParse("64Mi"),
			HTTP01SolverResourceLimitsCPU:     resource.MustParse("100m"),
			HTTP01SolverResourceLimitsMemory:  resource.MustParse("64Mi"),
			ACMEHTTP01SolverRunAsNonRoot:      true,
		},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/"},
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: 60},
	}
	flags.StringVar(&options.Kubeconfig, "kubeconfig", "", "Kubeconfig; without it, the pod's ServiceAccount is used.")
	flags.StringVar(&options.ClusterResourceNamespace, "cluster-resource-namespace", "kube-system", "Namespace of the Secrets of ClusterIssuers.")
	flags.DurationVar(&options.DNS01CheckRetryPeriod, "dns01-check-retry-period", 10*time.Second, "How long it is waited until a challenge is looked at again, of either kind.")
	flags.StringVar(&options.HTTP01SolverImage, "acme-http01-solver-image", "", "Image that answers HTTP challenges.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	failed := make(chan error)
	running := 0
	for name, construct := range controller.Known() {
		one, err := construct(factory)
		if err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
		running++
		go func() {
			const workers = 5
			if err := one.Run(workers, ctx); err != nil {
				err = fmt.Errorf("controller %s: %w", name, err)
			}
			failed <- err
		}()
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	// The first that ends without being told to ends all.
	for range running {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}
