// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"

	corelisters "k8s.io/client-go/listers/core/v1"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// podSecurityWarnings say where the host does not stand behind the level of pods that
// a new or changed spec names, or stands in its way.
func podSecurityWarnings(namespaces corelisters.NamespaceLister, vc, old *tenancy.VirtualCluster) []string {
	asked := v1.PodSecurityLevel(vc.Spec.Isolation.PodSecurity)
	if namespaces == nil || old != nil && old.Spec.Isolation.PodSecurity == vc.Spec.Isolation.PodSecurity {
		return nil
	}
	namespace, err := namespaces.Get(vc.Namespace)
	if err != nil {
		// It is too young for the cache. The condition will tell.
		return nil
	}
	field, enforced := specPath.Child("isolation", "podSecurity"), v1.EnforcedPodSecurity(namespace.Labels)
	switch {
	case enforced.StricterThan(asked):
		return []string{fmt.Sprintf("%s: the namespace %s enforces %s on the host, which refuses pods that only %s allows", field, namespace.Name, enforced, asked)}
	case enforced != v1.PodSecurityPrivileged:
		return nil
	case asked == v1.PodSecurityPrivileged:
		return []string{fmt.Sprintf("%s: the namespace %s enforces no level of Pod Security on the host: whoever creates pods in the virtual cluster controls the host's nodes", field, namespace.Name)}
	}
	return []string{fmt.Sprintf("%s: the namespace %s enforces no level of Pod Security on the host: only the syncer enforces the level %s; set the label %s=%s on the namespace",
		field, namespace.Name, asked, v1.LabelEnforce, asked)}
}
