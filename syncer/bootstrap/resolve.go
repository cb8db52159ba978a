// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/corefile"
)

const (
	// dnsResolveKey is the key of the configuration of the DNS that holds the rules of the
	// VirtualCluster. The Corefile imports it.
	dnsResolveKey = "spec.resolve"
	// dnsResolveHash, in the pods of the DNS, has them start again with other rules.
	dnsResolveHash = "garret.dev/dns-resolve"
	// resolveManager owns these two, so that neither goes when the rest is applied.
	resolveManager = fieldManager + "-resolve"
	// resolveAgain is how soon a step is tried again that failed.
	resolveAgain = 5 * time.Second
)

// Resolve has the DNS answer what the VirtualCluster says, as soon as garret-controller has
// looked for all Services in it.
func (b *Bootstrap) Resolve(cluster *tenancyv1.VirtualCluster) {
	rules, known := corefile.Rules(cluster)
	if !known {
		return
	}
	if before := b.resolved.Swap(&rules); before != nil && *before == rules {
		return
	}
	select {
	case b.resolvedChanged <- struct{}{}:
	default:
	}
}

// keepResolved writes the rules when they change, until the context ends.
func (b *Bootstrap) keepResolved(ctx context.Context) {
	for {
		again := keepInterval
		if rules := b.resolved.Load(); rules != nil {
			if err := b.applyResolved(ctx, *rules); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Cannot make the DNS answer by the rules of the virtual cluster")
				again = resolveAgain
			}
		}
		select {
		case <-b.resolvedChanged:
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

// applyResolved writes the rules, and has the pods of the DNS follow: by itself CoreDNS
// looks after half a minute, and the kubelet after a whole one. Where the tenant deleted what it
// would write to, there is nothing to do.
func (b *Bootstrap) applyResolved(ctx context.Context, rules string) error {
	options := metav1.ApplyOptions{FieldManager: resolveManager, Force: true}
	configs, deployments := b.Virtual.CoreV1().ConfigMaps(metav1.NamespaceSystem), b.Virtual.AppsV1().Deployments(metav1.NamespaceSystem)
	found, err := configs.Get(ctx, dnsName, metav1.GetOptions{})
	if err != nil {
		return ignoreNotFound(err)
	}
	config, template, hash := applycorev1.ConfigMap(dnsName, metav1.NamespaceSystem), applycorev1.PodTemplateSpec(), ""
	if rules != "" {
		config.WithData(map[string]string{dnsResolveKey: rules})
		sum := sha256.Sum256([]byte(rules))
		hash = hex.EncodeToString(sum[:8])
		template.WithAnnotations(map[string]string{dnsResolveHash: hash})
	}
	if found.Data[dnsResolveKey] != rules {
		if _, err := configs.Apply(ctx, config, options); err != nil {
			return fmt.Errorf("ConfigMap %s: %w", dnsName, err)
		}
		klog.FromContext(ctx).V(1).Info("The rules of the DNS changed", "bytes", len(rules))
	}
	running, err := deployments.Get(ctx, dnsName, metav1.GetOptions{})
	if err != nil {
		return ignoreNotFound(err)
	}
	if running.Spec.Template.Annotations[dnsResolveHash] == hash {
		return nil
	}
	deployment := appsv1.Deployment(dnsName, metav1.NamespaceSystem).WithSpec(appsv1.DeploymentSpec().WithTemplate(template))
	if _, err := deployments.Apply(ctx, deployment, options); err != nil {
		return fmt.Errorf("Deployment %s: %w", dnsName, err)
	}
	return nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
