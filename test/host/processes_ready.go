// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/host/internal/addon"
	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/provisioner"
)

const (
	// dnsImage serves cluster DNS.
	dnsImage = "registry.k8s.io/coredns/coredns:v1.15.0"
	// readyLimit is how long each stage of a start may take.
	readyLimit = 3 * time.Minute
	// poll is how often a condition is looked at.
	poll = 50 * time.Millisecond
)

// config is the administrator's, without client-side rate limits.
func (p *processes) config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

// waitAPI returns when the API server is ready.
func (p *processes) waitAPI(ctx context.Context) error {
	config, err := p.config()
	if err != nil {
		return err
	}
	config.Timeout = 2 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return p.wait(ctx, component.APIServer, func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (p *processes) applyAddons(ctx context.Context) error {
	config, err := p.config()
	if err != nil {
		return err
	}
	authority, err := p.host.Authority()
	if err != nil {
		return err
	}
	return addon.Apply(ctx, config, addon.Values{
		MetricsAddress: p.host.Net.Node(1).String(),
		MetricsPort:    component.MetricsPort,
		Authority:      authority,
		DNSAddress:     p.host.Net.DNS().String(),
		DNSImage:       dnsImage,
		ClusterDomain:  component.ClusterDomain,
		Provisioner:    provisioner.Name,
	})
}

// waitReady returns when pods can run and resolve names.
func (p *processes) waitReady(ctx context.Context) error {
	if err := p.waitAPI(ctx); err != nil {
		return err
	}
	config, err := p.config()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	err = p.wait(ctx, "nodes", func(ctx context.Context) error { return nodesReady(ctx, client, p.state.Nodes) })
	if err != nil {
		return err
	}
	p.report.say("%d of %d nodes are ready", p.state.Nodes, p.state.Nodes)
	err = p.wait(ctx, "cluster DNS", func(ctx context.Context) error {
		dns, err := client.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return available(dns)
	})
	if err != nil {
		return err
	}
	p.report.say("cluster DNS answers")
	// As long as it does not answer, no namespace can be deleted.
	return p.wait(ctx, "metrics API", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1").Do(ctx).Error()
	})
}

// wait calls check until it succeeds. It gives up when a component ends, or
// when it has taken too long, and then tells what was last amiss.
func (p *processes) wait(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not ready within %s", readyLimit))
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if died := p.died(); died != nil {
			return died
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func nodesReady(ctx context.Context, client kubernetes.Interface, want int) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	ready, reason := 0, "it has not registered"
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			switch {
			case condition.Type != corev1.NodeReady:
			case condition.Status == corev1.ConditionTrue:
				// The status outlives the kubelet that wrote it for a while.
				if err := kubeletAnswers(ctx, client, node.Name); err != nil {
					return err
				}
				ready++
			default:
				reason = node.Name + ": " + condition.Message
			}
		}
	}
	if ready < want {
		return fmt.Errorf("%d of %d nodes are ready: %s", ready, want, reason)
	}
	return nil
}

func kubeletAnswers(ctx context.Context, client kubernetes.Interface, node string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy", "healthz").Do(ctx).Error()
}

func available(d *appsv1.Deployment) error {
	if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < 1 {
		for _, condition := range d.Status.Conditions {
			if condition.Status != corev1.ConditionTrue {
				return errors.New(condition.Message)
			}
		}
		return fmt.Errorf("%d replicas are available", d.Status.AvailableReplicas)
	}
	return nil
}
