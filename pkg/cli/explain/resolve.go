// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/pkg/cli/host"
)

// resolve finds the resource that a user means, by its name, its kind or a short name.
func (c *Commands) resolve(client discovery.DiscoveryInterface, kind string) (metav1.APIResource, error) {
	explained, err := client.ServerResourcesForGroupVersion(v1alpha1.GroupName + "/" + v1alpha1.Version)
	if apierrors.IsNotFound(err) {
		return metav1.APIResource{}, host.Advise(fmt.Errorf("the cluster does not serve %s/%s", v1alpha1.GroupName, v1alpha1.Version),
			"name a virtual cluster with --vcluster, or enter one with: %s use vcluster NAME", c.Program)
	}
	if err != nil {
		return metav1.APIResource{}, err
	}
	var known []string
	for _, each := range explained.APIResources {
		known = append(known, each.Name)
	}
	name := strings.ToLower(kind)
	if at := slices.Index(known, name); at >= 0 {
		return explained.APIResources[at], nil
	}
	// What some API group does not tell is no reason not to find one of another.
	lists, err := client.ServerPreferredResources()
	if lists == nil && err != nil {
		return metav1.APIResource{}, err
	}
	for _, list := range lists {
		if strings.HasPrefix(list.GroupVersion, v1alpha1.GroupName+"/") {
			continue
		}
		group, _, grouped := strings.Cut(list.GroupVersion, "/")
		for _, each := range list.APIResources {
			if !means(each, name) {
				continue
			}
			// A kind by a rule has its group in the name.
			at := -1
			if grouped {
				at = slices.Index(known, each.Name+"."+group)
			}
			if at < 0 {
				at = slices.Index(known, each.Name)
			}
			if at >= 0 {
				return explained.APIResources[at], nil
			}
		}
	}
	return metav1.APIResource{}, host.Advise(fmt.Errorf("objects of the kind %s are not synced", kind), "those that are: %s", strings.Join(known, ", "))
}

func means(resource metav1.APIResource, name string) bool {
	return name == resource.Name || name == resource.SingularName || name == strings.ToLower(resource.Kind) || slices.Contains(resource.ShortNames, name)
}
