// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command typed-client shows what programs do with Garret's typed clients: it
// applies a virtual cluster, lists those beside it, waits until it is ready, and
// writes a kubeconfig of it to standard output.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/generated/clientset/versioned"
)

func main() {
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the host cluster; empty inside a pod")
	namespace := flag.String("namespace", "default", "namespace of the virtual cluster")
	name := flag.String("name", "example", "name of the virtual cluster")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err == nil {
		var client *versioned.Clientset
		if client, err = versioned.NewForConfig(config); err == nil {
			err = run(ctx, client, *namespace, *name, os.Stdout, os.Stderr)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "typed-client:", err)
		os.Exit(1)
	}
}

// run writes the kubeconfig to out, and what happens to progress.
func run(ctx context.Context, client versioned.Interface, namespace, name string, out, progress io.Writer) error {
	applied, err := apply(ctx, client, namespace, name)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	fmt.Fprintf(progress, "applied %s, Kubernetes %s\n", applied.Name, applied.Spec.Kubernetes.Version)
	names, err := list(ctx, client, namespace)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	fmt.Fprintf(progress, "virtual clusters in %s: %v\n", namespace, names)
	if err := waitUntilReady(ctx, client, namespace, name, progress); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	kubeconfig, err := askForKubeconfig(ctx, client, namespace, name)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	_, err = out.Write(kubeconfig)
	return err
}
