// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TenancyGetter is what kubectl's own packages take, for Garret's kinds alone. It knows
// them without asking the host which kinds there are: a command then works at once after
// an installation, and also while another aggregated API does not answer.
func (c *Cluster) TenancyGetter() genericclioptions.RESTClientGetter { return tenancyGetter{c.getter} }

type tenancyGetter struct {
	genericclioptions.RESTClientGetter
}

// ToRESTMapper knows Garret's kinds.
func (tenancyGetter) ToRESTMapper() (meta.RESTMapper, error) {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{tenancyv1.SchemeGroupVersion})
	mapper.Add(tenancyv1.SchemeGroupVersion.WithKind("VirtualCluster"), meta.RESTScopeNamespace)
	mapper.Add(tenancyv1.SchemeGroupVersion.WithKind("VirtualClusterTemplate"), meta.RESTScopeRoot)
	mapper.Add(tenancyv1.SchemeGroupVersion.WithKind("HostCluster"), meta.RESTScopeRoot)
	return mapper, nil
}

// ToDiscoveryClient answers that there are no categories, such as "all".
func (tenancyGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return noCategories{}, nil
}

// noCategories answers the one question that kubectl's packages ask before the mapper.
type noCategories struct {
	discovery.CachedDiscoveryInterface
}

// ServerGroupsAndResources names no resource, so that no word counts as a category.
func (noCategories) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	return nil, nil, nil
}
