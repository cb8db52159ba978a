// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/discovery"
	restclient "k8s.io/client-go/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/validation"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/registry/hostcluster"
	"garret.dev/garret/pkg/registry/virtualcluster"
	"garret.dev/garret/pkg/registry/virtualclustertemplate"
)

// resources are all that the group serves.
type resources struct {
	clusters  *virtualcluster.Storage
	templates *virtualclustertemplate.REST
	hosts     *hostcluster.Storage
}

func (c *Config) newResources(kubeconfigs virtualcluster.KubeconfigIssuer, relay virtualcluster.Relay) (*resources, error) {
	templates, err := virtualclustertemplate.NewStorage(c.scheme, c.generic.RESTOptionsGetter)
	if err != nil {
		return nil, err
	}
	hosts, err := hostcluster.NewStorage(c.scheme, c.generic.RESTOptionsGetter, templates)
	if err != nil {
		return nil, err
	}
	definitions, err := apiextensions.NewForConfig(c.generic.ClientConfig)
	if err != nil {
		return nil, fmt.Errorf("client of the host's definitions: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(c.generic.ClientConfig)
	if err != nil {
		return nil, fmt.Errorf("discovery of the host's kinds: %w", err)
	}
	clusters, err := virtualcluster.NewStorage(virtualcluster.Config{
		Scheme:      c.scheme,
		RESTOptions: c.generic.RESTOptionsGetter,
		Templates:   templates,
		Hosts:       hosts.HostCluster,
		Validator:   &validation.Validator{Values: c.options.ValidateValues},
		Authorizer:  c.generic.Authorization.Authorizer,
		Definition: func(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
			return definitions.CustomResourceDefinitions().Get(ctx, name, metav1.GetOptions{})
		},
		Serves:      serves(kinds),
		Namespaces:  c.generic.SharedInformerFactory.Core().V1().Namespaces().Lister(),
		Kubeconfigs: kubeconfigs,
		Relay:       relay,
	})
	if err != nil {
		return nil, err
	}
	return &resources{clusters: clusters, templates: templates, hosts: hosts}, nil
}

// serves tells which kinds the host has. It remembers nothing: somebody may have upgraded the host.
func serves(host discovery.ServerResourcesInterface) virtualcluster.Serves {
	return func(_ context.Context, at schema.GroupVersionResource) (bool, error) {
		served, err := host.ServerResourcesForGroupVersion(at.GroupVersion().String())
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Name == at.Resource }), nil
	}
}

// endpointRanges are those that the administrator opens to all virtual clusters.
func (r *resources) endpointRanges(ctx context.Context) ([]string, error) {
	isolation, err := r.hostIsolation(ctx)
	return isolation.EndpointRanges, err
}

// allowedStorage is what the administrator allows volumes and classes of tenants to be.
func (r *resources) allowedStorage(ctx context.Context) (v1.AllowedStorage, error) {
	var allowed v1.AllowedStorage
	isolation, err := r.hostIsolation(ctx)
	if err != nil {
		return allowed, err
	}
	err = v1.Convert_tenancy_AllowedStorage_To_v1_AllowedStorage(&isolation.AllowedStorage, &allowed, nil)
	return allowed, err
}

// hostIsolation is what the administrator opens.
func (r *resources) hostIsolation(ctx context.Context) (tenancy.HostIsolation, error) {
	obj, err := r.hosts.HostCluster.Get(request.WithNamespace(ctx, metav1.NamespaceNone), v1.LocalHostCluster, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return tenancy.HostIsolation{}, nil // the server creates it again in a moment
	}
	if err != nil {
		return tenancy.HostIsolation{}, err
	}
	host, ok := obj.(*tenancy.HostCluster)
	if !ok {
		return tenancy.HostIsolation{}, fmt.Errorf("storage of hostclusters holds a %T", obj)
	}
	return host.Spec.Isolation, nil
}

// byPath is what the group is installed from.
func (r *resources) byPath() map[string]rest.Storage {
	return map[string]rest.Storage{
		"virtualclusters":            r.clusters.VirtualCluster,
		"virtualclusters/status":     r.clusters.Status,
		"virtualclusters/kubeconfig": r.clusters.Kubeconfig,
		"virtualclusters/proxy":      r.clusters.Proxy,
		"virtualclustertemplates":    r.templates,
		"hostclusters":               r.hosts.HostCluster,
		"hostclusters/status":        r.hosts.Status,
	}
}

// cached fails while lists are not answered from memory: at the beginning, and as
// long as something that is stored cannot be read, as without its key.
func (r *resources) cached(*http.Request) error {
	var missing []string
	for path, served := range r.byPath() {
		if store, ok := served.(rest.StorageWithReadiness); ok && store.ReadinessCheck() != nil {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("what is stored of %s has not been read", strings.Join(missing, ", "))
}

// keepLocal keeps the host cluster there, through the server's own door.
func (r *resources) keepLocal(loopback *restclient.Config) (func(context.Context), error) {
	client, err := versioned.NewForConfig(loopback)
	if err != nil {
		return nil, fmt.Errorf("client of this server itself: %w", err)
	}
	return func(ctx context.Context) { r.hosts.KeepLocal(ctx, client.TenancyV1().HostClusters()) }, nil
}
