// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/chart"
)

// dataClaim is the name of the claim template in the chart.
const dataClaim = "data"

// values are the chart's values for a virtual cluster, the address of its Service excepted.
// The syncer works by the rules that the host allows, and lets go what has none any more.
func (c *Controller) values(ctx context.Context, vc *tenancyv1.VirtualCluster, kinds *customKinds) (chart.Values, error) {
	cidr, err := c.facts.serviceCIDR(ctx)
	if err != nil {
		return chart.Values{}, &trouble{Reason: reasonHostNotReady, Message: err.Error(), retry: true}
	}
	authority, err := c.facts.clientCA()
	if err != nil {
		// Publishing it leads to another pass.
		return chart.Values{}, &trouble{Reason: reasonHostNotReady, Message: err.Error()}
	}
	datastore, err := c.datastore(ctx, vc)
	if err != nil {
		return chart.Values{}, err
	}
	args, err := c.syncerArguments(ctx, vc, kinds.definitions)
	if err != nil {
		return chart.Values{}, err
	}
	synced, err := tenancyv1.SelectByArgs(args)
	if err != nil {
		return chart.Values{}, err
	}
	ruled, err := tenancyv1.RuleArgs(kinds.allowed)
	if err != nil {
		return chart.Values{}, err
	}
	shown, err := tenancyv1.ShownArgs(kinds.shown)
	if err != nil {
		return chart.Values{}, err
	}
	isolation, err := c.isolation(vc)
	if err != nil {
		return chart.Values{}, err
	}
	isolation.NetworkPolicy.Tenants = synced[tenancyv1.ResourcePolicies]
	return chart.Values{
		Cluster:    chart.Cluster{Name: vc.Name, ID: clusterID(vc), UID: string(vc.UID)},
		Kubernetes: chart.Kubernetes{Distro: string(vc.Spec.Kubernetes.Distro), Version: vc.Spec.Kubernetes.Version, ExtraArgs: vc.Spec.Kubernetes.ExtraArgs},
		ControlPlane: chart.ControlPlane{
			Image:     c.controlPlaneImage(vc.Spec.Kubernetes),
			Resources: chart.ControlPlaneResources(vc.Spec.ControlPlane.Resources),
			Storage:   storage(vc.Spec.ControlPlane.Storage),
			Datastore: datastore,
		},
		Syncer: chart.Syncer{
			Image:     c.options.ImageRepository + "/syncer:" + c.options.Version,
			ExtraArgs: slices.Concat(args, ruled, shown, kinds.releaseArgs()),
		},
		RBAC: chart.RBAC{Rules: slices.Concat(tenancyv1.SyncerRules(synced, kinds.allowed...), tenancyv1.MappingRules(vc.Spec.Syncer.HostMappings()),
			tenancyv1.ShownRules(kinds.shown)[vc.Namespace], tenancyv1.KubeconfigSecretRules(vc.Spec.KubeconfigSecret))},
		Isolation:       isolation,
		Activity:        chart.Activity{Enabled: vc.Spec.Sleep.CountsUse()},
		DNS:             chart.DNS{Embedded: vc.Spec.DNS.Embedded},
		ImagePullPolicy: corev1.PullPolicy(c.options.ImagePullPolicy),
		Host:            chart.Host{ServiceCIDR: cidr, ClusterDomain: c.options.ClusterDomain, ClientCA: authority},
	}, nil
}

// isolation is what the owner asks for, with what the host's administrator has
// opened to all virtual clusters.
func (c *Controller) isolation(vc *tenancyv1.VirtualCluster) (chart.Isolation, error) {
	host, err := c.watched.hosts.Get(vc.Spec.HostClusterRef.Name)
	if err != nil {
		// It is there always; its coming leads to another pass.
		return chart.Isolation{}, &trouble{Reason: reasonHostNotReady, Message: fmt.Sprintf("HostCluster %s: %v", vc.Spec.HostClusterRef.Name, err), retry: true}
	}
	asked, opened := vc.Spec.Isolation, host.Spec.Isolation
	rules, err := podRules(&vc.Spec.Syncer.Pods, &opened)
	if err != nil {
		return chart.Isolation{}, err
	}
	storage, err := opened.AllowedStorage.In(vc.Namespace).Argument()
	if err != nil {
		return chart.Isolation{}, err
	}
	return chart.Isolation{
		PodRules:            rules,
		AllowedStorage:      storage,
		InlineVolumeDrivers: opened.InlineVolumeDrivers,
		DeviceConfigDrivers: opened.DeviceConfigDrivers,
		EndpointRanges:      opened.EndpointRanges,
		ExternalIPRanges:    opened.ExternalIPRanges,
		AllowedAnnotations:  opened.AllowedAnnotations,
		DeniedAnnotations:   slices.Concat(opened.DeniedAnnotations, asked.DeniedAnnotations),
		AllowedLabels:       opened.AllowedLabels,
		NetworkPolicy: chart.NetworkPolicy{
			Enabled:       ptr.Deref(asked.NetworkPolicy.Enabled, true),
			PublicEgress:  ptr.Deref(asked.NetworkPolicy.PublicEgress, true),
			AllowedRanges: opened.EgressRanges,
		},
		ResourceQuota: asked.ResourceQuota,
		LimitRange:    asked.LimitRange,
	}, nil
}

// podRules are those of the virtual cluster, as far as they are allowed now, below those of the host
// cluster.
func podRules(asked *tenancyv1.PodRules, opened *tenancyv1.HostIsolation) (string, error) {
	rules := opened.Pods.Over(opened.AllowedPodRules.Narrow(*asked))
	if rules.IsZero() {
		return "", nil
	}
	return rules.Argument()
}

// clusterID is in the status from the start; deriving it again spares a wait.
func clusterID(vc *tenancyv1.VirtualCluster) string {
	if vc.Status.ClusterID != "" {
		return vc.Status.ClusterID
	}
	return tenancyv1.ClusterID(vc.UID)
}

func (c *Controller) controlPlaneImage(kubernetes tenancyv1.KubernetesSpec) string {
	if kubernetes.Distro == tenancyv1.DistroK8s {
		return c.options.ImageRepository + "/controlplane:" + kubernetes.Version
	}
	return c.options.K3sImage + ":" + kubernetes.Version + "-k3s1"
}

// storage can only ever be what it was at first: validation sees to that, for the
// sake of the StatefulSet's claim template.
func storage(spec tenancyv1.StorageSpec) chart.Storage {
	made := chart.Storage{
		Persistent: spec.Persistent == nil || *spec.Persistent, Size: tenancyv1.DefaultStorageSize, StorageClassName: spec.StorageClassName,
	}
	size := resource.MustParse(made.Size)
	if spec.Size != nil {
		size, made.Size = *spec.Size, spec.Size.String()
	}
	made.DatabaseBytes = strconv.FormatInt(chart.DatabaseShare(size), 10)
	return made
}

func claimName(vc *tenancyv1.VirtualCluster) string {
	return dataClaim + "-" + podName(vc)
}

func podName(vc *tenancyv1.VirtualCluster) string {
	return tenancyv1.ReleaseName(vc.Name) + "-0"
}

// datastore looks which keys the Secret has: a file that is not there must not be named.
func (c *Controller) datastore(ctx context.Context, vc *tenancyv1.VirtualCluster) (chart.Datastore, error) {
	if vc.Spec.ControlPlane.Datastore == nil {
		return chart.Datastore{}, nil
	}
	name := vc.Spec.ControlPlane.Datastore.EndpointSecretRef.Name
	secret, err := c.Host.CoreV1().Secrets(vc.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return chart.Datastore{}, &trouble{Reason: reasonDatastoreNotFound, Message: fmt.Sprintf("the Secret %s with the datastore's endpoint does not exist: create it", name), retry: true}
	}
	if err != nil {
		return chart.Datastore{}, fmt.Errorf("datastore's Secret %s/%s: %w", vc.Namespace, name, err)
	}
	store := chart.Datastore{SecretName: name}
	for _, key := range chart.DatastoreKeys() {
		if len(secret.Data[key]) > 0 {
			store.SecretKeys = append(store.SecretKeys, key)
		}
	}
	if !slices.Contains(store.SecretKeys, "endpoint") {
		return chart.Datastore{}, &trouble{Reason: reasonDatastoreNotFound, Message: fmt.Sprintf("Secret %s has no key endpoint: add it", name), retry: true}
	}
	return store, nil
}

// tenantValues are what the owner put into spec.helm.values.
func tenantValues(vc *tenancyv1.VirtualCluster) (map[string]any, error) {
	if vc.Spec.Helm.Values == nil || len(vc.Spec.Helm.Values.Raw) == 0 {
		return nil, nil
	}
	values := map[string]any{}
	if err := json.Unmarshal(vc.Spec.Helm.Values.Raw, &values); err != nil {
		return nil, fmt.Errorf("spec.helm.values: must be an object: %w", err)
	}
	return values, nil
}
