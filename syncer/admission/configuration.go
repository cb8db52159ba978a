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
	// ConfigurationName is the name of the MutatingWebhookConfiguration inside.
	ConfigurationName = "garret.dev"

	webhookName    = "services.garret.dev"
	servicesPath   = "/services"
	nodesName      = "nodes.garret.dev"
	nodesPath      = "/nodes"
	timeoutSeconds = 10

	warningsName           = "warnings.garret.dev"
	warningsPath           = "/warnings"
	warningsTimeoutSeconds = 2
)

// Hosts are the names that the webhook's certificate is for.
func Hosts() []string { return []string{"localhost", "127.0.0.1"} }

// Configuration tells the virtual API server of the webhooks on that port.
func Configuration(authority []byte, port int) *applyv1.MutatingWebhookConfigurationApplyConfiguration {
	return applyv1.MutatingWebhookConfiguration(ConfigurationName).WithWebhooks(ofServices(authority, port), ofWarnings(authority, port))
}

func client(authority []byte, port int, path string) *applyv1.WebhookClientConfigApplyConfiguration {
	return applyv1.WebhookClientConfig().
		WithURL("https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + path).
		WithCABundle(authority...)
}

func ofServices(authority []byte, port int) *applyv1.MutatingWebhookApplyConfiguration {
	return applyv1.MutatingWebhook().
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
		WithAdmissionReviewVersions("v1")
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

// ofWarnings answers people who write pods. What controllers write has been warned of
// where it was written. Nothing waits for it, and nothing fails without it.
func ofWarnings(authority []byte, port int) *applyv1.MutatingWebhookApplyConfiguration {
	rule := func(group string, operations []admissionregistrationv1.OperationType, resources ...string) *applyv1.RuleWithOperationsApplyConfiguration {
		return applyv1.RuleWithOperations().WithAPIGroups(group).WithAPIVersions("v1").WithResources(resources...).
			WithOperations(operations...).WithScope(admissionregistrationv1.NamespacedScope)
	}
	created := []admissionregistrationv1.OperationType{admissionregistrationv1.Create}
	changed := []admissionregistrationv1.OperationType{admissionregistrationv1.Update}
	both := append(created, changed...)
	return applyv1.MutatingWebhook().
		WithName(warningsName).
		WithClientConfig(client(authority, port, warningsPath)).
		WithRules(
			rule("", created, "pods"), rule("", changed, "pods/ephemeralcontainers"),
			rule("apps", both, "deployments", "daemonsets", "statefulsets"),
			rule("batch", both, "cronjobs", "jobs")).
		WithMatchConditions(applyv1.MatchCondition().
			WithName("not-a-controller").
			WithExpression("!request.userInfo.username.startsWith('system:serviceaccount:kube-system:') && request.userInfo.username != 'system:kube-controller-manager'")).
		WithFailurePolicy(admissionregistrationv1.Ignore).
		WithMatchPolicy(admissionregistrationv1.Equivalent).
		WithReinvocationPolicy(admissionregistrationv1.NeverReinvocationPolicy).
		WithSideEffects(admissionregistrationv1.SideEffectClassNone).
		WithTimeoutSeconds(warningsTimeoutSeconds).
		WithAdmissionReviewVersions("v1")
}

// InForce says whether what is stored would call the webhooks as it should.
func InForce(found *admissionregistrationv1.MutatingWebhookConfiguration, authority []byte, port int) bool {
	wanted := Configuration(authority, port).Webhooks
	return len(found.Webhooks) == len(wanted) && !slices.ContainsFunc(wanted, func(webhook applyv1.MutatingWebhookApplyConfiguration) bool {
		return !slices.ContainsFunc(found.Webhooks, func(stored admissionregistrationv1.MutatingWebhook) bool { return isAs(&stored, &webhook) })
	})
}

func isAs(webhook *admissionregistrationv1.MutatingWebhook, wanted *applyv1.MutatingWebhookApplyConfiguration) bool {
	return webhook.Name == *wanted.Name && webhook.NamespaceSelector.Size() == 0 && webhook.ObjectSelector.Size() == 0 &&
		webhook.ClientConfig.URL != nil && *webhook.ClientConfig.URL == *wanted.ClientConfig.URL &&
		bytes.Equal(webhook.ClientConfig.CABundle, wanted.ClientConfig.CABundle) &&
		webhook.FailurePolicy != nil && *webhook.FailurePolicy == *wanted.FailurePolicy &&
		len(webhook.MatchConditions) == 1 && webhook.MatchConditions[0].Expression == *wanted.MatchConditions[0].Expression &&
		slices.EqualFunc(webhook.Rules, wanted.Rules, func(rule admissionregistrationv1.RuleWithOperations, wanted applyv1.RuleWithOperationsApplyConfiguration) bool {
			return slices.Equal(rule.Operations, wanted.Operations) && slices.Equal(rule.Resources, wanted.Resources) && slices.Equal(rule.APIGroups, wanted.APIGroups)
		})
}
