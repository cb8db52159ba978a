// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"garret.dev/garret/apis/tenancy"
)

// keySaving holds an audit policy to recording no credential: what
// virtualclusters/kubeconfig answers is one, key included, so its bodies stay
// out of the log whatever the policy says.
type keySaving struct{ policy audit.PolicyRuleEvaluator }

func (k keySaving) EvaluatePolicyRule(attributes authorizer.Attributes) audit.RequestAuditConfig {
	config := k.policy.EvaluatePolicyRule(attributes)
	if attributes.IsResourceRequest() && attributes.GetAPIGroup() == tenancy.GroupName &&
		attributes.GetResource() == "virtualclusters" && attributes.GetSubresource() == "kubeconfig" &&
		config.Level.GreaterOrEqual(auditinternal.LevelMetadata) {
		config.Level = auditinternal.LevelMetadata
	}
	return config
}
