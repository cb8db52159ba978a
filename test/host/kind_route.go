// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// route lets the machine reach pods and services, as it does with the other
// provider. It needs root's rights and the containers on this machine; without
// either, tests that rely on it fail, and all others work.
func (k *kindCluster) route(ctx context.Context) error {
	if os.Geteuid() != 0 {
		k.report.say("not root: no routes to pods and services from this machine")
		return nil
	}
	routes, err := k.routes(ctx)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := ipRoute(ctx, "replace", r.to, "via", r.via); err != nil {
			return err
		}
	}
	return nil
}

// unroute removes the routes of a cluster that still answers. The routes of
// one that does not end with the engine's network.
func (k *kindCluster) unroute(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return nil
	}
	routes, err := k.routes(ctx)
	if err != nil {
		return nil
	}
	var errs []error
	for _, r := range routes {
		if err := ipRoute(ctx, "del", r.to, "via", r.via); err != nil && !strings.Contains(err.Error(), "No such process") {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// route leads to a network by way of a node.
type route struct{ to, via string }

func (k *kindCluster) routes(ctx context.Context) ([]route, error) {
	client, err := k.client()
	if err != nil {
		return nil, err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return kindRoutes(nodes.Items), nil
}

func kindRoutes(nodes []corev1.Node) []route {
	var routes []route
	for i, node := range nodes {
		for _, address := range node.Status.Addresses {
			if address.Type != corev1.NodeInternalIP || strings.Contains(address.Address, ":") {
				continue
			}
			if i == 0 {
				routes = append(routes, route{kindServiceNet, address.Address})
			}
			if node.Spec.PodCIDR != "" {
				routes = append(routes, route{node.Spec.PodCIDR, address.Address})
			}
			break
		}
	}
	return routes
}

func ipRoute(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ip", append([]string{"route"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip route %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
