// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command netpol has a node of a test host enforce NetworkPolicies: it runs the controller of
// kube-network-policies, which decides on the first packet of each connection.
//
// That controller has nftables hand it the packets, by an expression that some kernels lack. So
// this program has iptables do it, in the network of the node, which takes the rules with it when
// it goes. It is a module of its own, since nothing else needs what the controller stands on.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// queue is the number of the kernel's queue, of which each network has its own.
const queue = 100

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kubeconfig := flag.String("kubeconfig", "", "Kubeconfig of a user who may read pods, namespaces and policies.")
	node := flag.String("node", "", "Name of the node in whose network this program runs.")
	klog.InitFlags(nil)
	flag.Parse()
	if *node == "" {
		return errors.New("--node: must name a node")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(client, factory.Networking().V1().NetworkPolicies(), factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(), nil, nil, nil, nil, networkpolicy.Config{QueueID: queue, NodeName: *node})
	if err != nil {
		return err
	}
	// Without a listener, the kernel drops what is in the queue: nothing passes before policies are known.
	if err := enqueue(ctx); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return controller.Run(ctx)
}

// chain holds the rules.
const chain = "GARRET-POLICIES"

// enqueue has the kernel ask about each new connection that leaves towards a pod or from one. What
// the node's own processes send is not subject to policies, and neither are answers.
func enqueue(ctx context.Context) error {
	rules := fmt.Sprintf(`*mangle
:%[1]s - [0:0]
-A %[1]s -o lo -j RETURN
-A %[1]s -m owner --uid-owner 0 -j RETURN
-A %[1]s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A %[1]s -j NFQUEUE --queue-num %[2]d
COMMIT
`, chain, queue)
	if err := do(ctx, rules, "iptables-restore", "--wait", "--noflush"); err != nil {
		return err
	}
	if do(ctx, "", "iptables", "--wait", "-t", "mangle", "-C", "POSTROUTING", "-j", chain) == nil {
		return nil
	}
	return do(ctx, "", "iptables", "--wait", "-t", "mangle", "-A", "POSTROUTING", "-j", chain)
}

func do(ctx context.Context, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewBufferString(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
