// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/syncer/admission"
)

// webhook has the virtual API server call the admission webhook, and returns
// when it does: the API server learns of a configuration a moment after it was
// stored, and a Service that is made meanwhile would get any address.
func (b *Bootstrap) webhook(ctx context.Context) error {
	if err := b.keepWebhook(ctx); err != nil {
		return err
	}
	select {
	case <-b.WebhookReached:
		return nil
	default:
	}
	_, err := b.Virtual.CoreV1().Services(metav1.NamespaceSystem).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "garret-admission-probe-"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	select {
	case <-b.WebhookReached:
		return nil
	default:
	}
	if err != nil {
		return fmt.Errorf("ask for a service: %w", err)
	}
	return errors.New("the API server does not call it yet")
}

// keepNodes has the virtual API server call the webhook about Nodes, and puts the
// configuration back if it is gone or changed.
func (b *Bootstrap) keepNodes(ctx context.Context) error {
	authority, err := b.Authority.Bundle()
	if err != nil {
		return err
	}
	configurations := b.Virtual.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	found, err := configurations.Get(ctx, admission.ConfigurationName, metav1.GetOptions{})
	if err == nil && admission.NodesInForce(found, authority, b.WebhookPort) {
		return nil
	}
	_, err = configurations.Apply(ctx, admission.NodesConfiguration(authority, b.WebhookPort), force())
	return err
}

func (b *Bootstrap) applyWebhook(ctx context.Context) error {
	authority, err := b.Authority.Bundle()
	if err != nil {
		return err
	}
	_, err = b.Virtual.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Apply(ctx, admission.Configuration(authority, b.WebhookPort), metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// keepWebhook puts the configuration back if it is gone or changed.
func (b *Bootstrap) keepWebhook(ctx context.Context) error {
	found, err := b.Virtual.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, admission.ConfigurationName, metav1.GetOptions{})
	if err != nil {
		return b.applyWebhook(ctx)
	}
	authority, err := b.Authority.Bundle()
	if err != nil {
		return err
	}
	if admission.InForce(found, authority, b.WebhookPort) {
		return nil
	}
	return b.applyWebhook(ctx)
}
