// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// serviceAccounts carries accounts, so that policies and workload identities of the host tell the
// pods of a tenant apart. Tokens, pull secrets and rights of an account stay inside. Its twin has
// none of the host's: no pod mounts its token.
func (b *builder) serviceAccounts() {
	virtual, host := sidesOf(b, core(tenancyv1.ResourceServiceAccounts), kubernetes.Interface.CoreV1, typedcorev1.CoreV1Interface.ServiceAccounts)
	declare(b, virtual, host, declared[*corev1.ServiceAccount]{
		apply: func(_, host *corev1.ServiceAccount) error {
			host.AutomountServiceAccountToken = ptr.To(false)
			return nil
		},
	})
	b.accounts = host
}

// account is the ServiceAccount that the pod has on the host: the twin of its own, or that of the
// release where accounts stay inside.
func (p *pods) account(virtual *corev1.Pod) (string, error) {
	if p.accounts == nil {
		return p.translator.Cluster().WorkloadsAccount(), nil
	}
	name := p.translator.HostName(virtual.Namespace, virtual.Spec.ServiceAccountName)
	twin, found := p.accounts.Get(p.accounts.Namespace(), name)
	if !found || !p.translator.IsOurs(twin) {
		return "", engine.Again("its ServiceAccount is not on the host yet")
	}
	return name, nil
}
