// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"net"
	"slices"
	"strconv"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	applyv1 "k8s.io/client-go/applyconfigurations/admissionregistration/v1"
)

const (
	// ConfigurationName is the name of both webhook configurations inside.
	ConfigurationName = "garret.dev"

	webhookName    = "services.garret.dev"
	servicesPath   = "/services"
	nodesName      = "nodes.garret.dev"
	nodesPath      = "/nodes"
	timeoutSeconds = 10
)

// Hosts are the names that the webhook's certificate is for.
func Hosts() []string { return []string{"localhost", "127.0.0.1"} }

// Configuration tells the virtual API server of the webhook on that port.
func Configuration(authority []byte, port int) *applyv1.MutatingWebhookConfigurationApplyConfiguration {
	return applyv1.MutatingWebhookConfiguration(ConfigurationName).WithWebhooks(applyv1.MutatingWebhook().
		WithName(webhookName).
		WithClientConfig(client(authority, port, servicesPath)).
		WithRules(applyv1.RuleWithOperations().
			WithAPIGroups("").WithAPIVersions("v1").WithResources("services").
			WithOperations(admissionregistrationv1.Create, admissionregistrationv1.Update).
			WithScope(admissionregistrationv1.NamespacedScope)).
		// The control plane makes this one itself, at times before the syncer is there;
		// its address is that of the virtual cluster.
		WithMatchConditions(applyv1.MatchCondition().
			WithName("not-the-api-server").
			WithExpression("!(request.namespace == 'default' && has(request.name) && request.name == 'kubernetes')")).
		WithFailurePolicy(admissionregistrationv1.Fail).
		WithMatchPolicy(admissionregistrationv1.Equivalent).
		WithReinvocationPolicy(admissionregistrationv1.NeverReinvocationPolicy).
		WithSideEffects(admissionregistrationv1.SideEffectClassNoneOnDryRun).
		WithTimeoutSeconds(timeoutSeconds).
		WithAdmissionReviewVersions("v1"))
}

func client(authority []byte, port int, path string) *applyv1.WebhookClientConfigApplyConfiguration {
	return applyv1.WebhookClientConfig().
		WithURL("https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + path).
		WithCABundle(authority...)
}

// NodesConfiguration tells the virtual API server of the webhook about Nodes. Without it,
// the doors still stand: so Nodes can be written while the syncer is away.
func NodesConfiguration(authority []byte, port int) *applyv1.ValidatingWebhookConfigurationApplyConfiguration {
	return applyv1.ValidatingWebhookConfiguration(ConfigurationName).WithWebhooks(applyv1.ValidatingWebhook().
		WithName(nodesName).
		WithClientConfig(client(authority, port, nodesPath)).
		WithRules(applyv1.RuleWithOperations().
			WithAPIGroups("").WithAPIVersions("v1").WithResources("nodes", "nodes/status").
			WithOperations(admissionregistrationv1.Create, admissionregistrationv1.Update).
			WithScope(admissionregistrationv1.ClusterScope)).
		WithFailurePolicy(admissionregistrationv1.Ignore).
		WithMatchPolicy(admissionregistrationv1.Equivalent).
		WithSideEffects(admissionregistrationv1.SideEffectClassNone).
		WithTimeoutSeconds(timeoutSeconds).
		WithAdmissionReviewVersions("v1"))
}

// NodesInForce says whether what is stored would call the webhook about Nodes as it should.
func NodesInForce(found *admissionregistrationv1.ValidatingWebhookConfiguration, authority []byte, port int) bool {
	if len(found.Webhooks) != 1 {
		return false
	}
	webhook, wanted := found.Webhooks[0], NodesConfiguration(authority, port).Webhooks[0]
	return webhook.Name == nodesName && webhook.NamespaceSelector.Size() == 0 && webhook.ObjectSelector.Size() == 0 && len(webhook.MatchConditions) == 0 &&
		webhook.ClientConfig.URL != nil && *webhook.ClientConfig.URL == *wanted.ClientConfig.URL &&
		bytes.Equal(webhook.ClientConfig.CABundle, wanted.ClientConfig.CABundle) &&
		len(webhook.Rules) == 1 && slices.Equal(webhook.Rules[0].Operations, wanted.Rules[0].Operations) &&
		slices.Equal(webhook.Rules[0].Resources, wanted.Rules[0].Resources)
}

// InForce says whether what is stored would call the webhook as it should.
func InForce(found *admissionregistrationv1.MutatingWebhookConfiguration, authority []byte, port int) bool {
	if len(found.Webhooks) != 1 {
		return false
	}
	webhook, wanted := found.Webhooks[0], Configuration(authority, port).Webhooks[0]
	return webhook.Name == webhookName && webhook.NamespaceSelector.Size() == 0 && webhook.ObjectSelector.Size() == 0 &&
		webhook.ClientConfig.URL != nil && *webhook.ClientConfig.URL == *wanted.ClientConfig.URL &&
		bytes.Equal(webhook.ClientConfig.CABundle, wanted.ClientConfig.CABundle) &&
		webhook.FailurePolicy != nil && *webhook.FailurePolicy == *wanted.FailurePolicy &&
		len(webhook.MatchConditions) == 1 && webhook.MatchConditions[0].Expression == *wanted.MatchConditions[0].Expression &&
		len(webhook.Rules) == 1 && slices.Equal(webhook.Rules[0].Operations, wanted.Rules[0].Operations) &&
		slices.Equal(webhook.Rules[0].Resources, wanted.Rules[0].Resources)
}
