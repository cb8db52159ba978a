// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// tenantDomain is the domain of keys that a tenant chose.
	tenantDomain = "tenant.garret.dev"
	// longDomain is the domain of tenants' keys whose own domain is too long to be kept.
	longDomain = "long.garret.dev"
	// maxKeyDomain is the length of the part of a key before the slash.
	maxKeyDomain = 253
)

// Key returns the key on the host of a tenant's label or annotation: app
// becomes tenant.garret.dev/app, and example.org/app becomes
// example.org.tenant.garret.dev/app. Different keys stay different.
func Key(key string) string {
	domain, name, found := strings.Cut(key, "/")
	if !found {
		return tenantDomain + "/" + key
	}
	if len(domain)+1+len(tenantDomain) > maxKeyDomain {
		return digest(domain) + "." + longDomain + "/" + name
	}
	return domain + "." + tenantDomain + "/" + name
}

// TenantLabels are the labels inside of which a host object carries the keys that
// Key returns. Those with a domain that was too long are lost.
func TenantLabels(host map[string]string) map[string]string {
	inside := map[string]string{}
	for key, value := range host {
		domain, name, _ := strings.Cut(key, "/")
		if domain == tenantDomain {
			inside[name] = value
		} else if own, found := strings.CutSuffix(domain, "."+tenantDomain); found {
			inside[own+"/"+name] = value
		}
	}
	return inside
}

// HostLabels returns the labels on the host for an object in the virtual
// namespace with these labels.
func (t *Translator) HostLabels(namespace string, labels map[string]string) map[string]string {
	host := make(map[string]string, len(labels)+2)
	for key, value := range labels {
		host[Key(key)] = value
	}
	host[tenancyv1.LabelCluster] = t.cluster.ID
	if namespace != "" {
		// A namespace's name is a DNS label, hence a label value.
		host[tenancyv1.LabelVirtualNamespace] = namespace
	}
	return host
}

// HostSelector returns the selector on the host that matches the twins of the
// objects in the virtual namespace which the selector matches inside. An empty
// selector stays empty: for a Service it means that somebody else keeps the endpoints.
func (t *Translator) HostSelector(namespace string, selector map[string]string) map[string]string {
	if len(selector) == 0 {
		return nil
	}
	return t.HostLabels(namespace, selector)
}

// HostLabelSelector returns the label selector on the host that matches the
// twins of the objects which the selector matches inside the virtual
// namespaces. No namespaces at all (nil) means every namespace; an empty,
// non-nil list matches nothing, as does a nil selector.
func (t *Translator) HostLabelSelector(selector *metav1.LabelSelector, namespaces []string) *metav1.LabelSelector {
	if selector == nil {
		return nil
	}
	host := &metav1.LabelSelector{MatchLabels: map[string]string{tenancyv1.LabelCluster: t.cluster.ID}}
	for key, value := range selector.MatchLabels {
		host.MatchLabels[Key(key)] = value
	}
	for _, expression := range selector.MatchExpressions {
		host.MatchExpressions = append(host.MatchExpressions, metav1.LabelSelectorRequirement{
			Key:      Key(expression.Key),
			Operator: expression.Operator,
			Values:   append([]string(nil), expression.Values...),
		})
	}
	switch {
	case namespaces == nil:
	case len(namespaces) == 0:
		// Both at once can never hold.
		host.MatchExpressions = append(host.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: tenancyv1.LabelCluster, Operator: metav1.LabelSelectorOpDoesNotExist,
		})
	case len(namespaces) == 1:
		host.MatchLabels[tenancyv1.LabelVirtualNamespace] = namespaces[0]
	default:
		host.MatchExpressions = append(host.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: tenancyv1.LabelVirtualNamespace, Operator: metav1.LabelSelectorOpIn,
			Values: append([]string(nil), namespaces...),
		})
	}
	return host
}
