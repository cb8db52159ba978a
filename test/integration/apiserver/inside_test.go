// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"os"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	syncaccess "garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/issuer"
	"garret.dev/garret/syncer/pki"
)

// inside is the way into the one virtual cluster that has a control plane: the
// syncer's issuer beside it, and a dialer that stands for its Service.
type inside struct {
	issuer string
	stop   func()
}

// serveInside runs the issuer. The authority of its callers is what
// garret-apiserver publishes, written to caFile as the chart would mount it.
func serveInside(caFile string) (*inside, error) {
	if err := grant(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	dir, name := shared.virtual.Dir, v1.ServerName(insideName, insideNamespace)
	server := &issuer.Issuer{
		Listener: listener,
		Serving:  pki.NewServing(pki.ServerAuthority(dir), "garret-syncer", []string{name}, clock.RealClock{}),
		Callers:  pki.NewPool(caFile),
		Signer:   pki.ClientAuthority(dir),
		Rights:   syncaccess.NewKubeconfigs(shared.virtual.Client),
		Clock:    clock.RealClock{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(ctx) }()
	go followAuthority(ctx, caFile)
	return &inside{issuer: listener.Addr().String(), stop: func() { cancel(); <-done }}, nil
}

// followAuthority writes the published authority once it is there.
func followAuthority(ctx context.Context, file string) {
	_ = wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		published, err := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		return true, os.WriteFile(file, []byte(published.Data[v1.CAConfigMapKey]), 0o600)
	})
}

// dial knows the two ports of one Service and no others.
func (i *inside) dial(ctx context.Context, network, address string) (net.Conn, error) {
	name := v1.ServerName(insideName, insideNamespace)
	targets := map[string]string{
		fmt.Sprintf("%s:%d", name, v1.PortHTTPS):  shared.virtual.Address,
		fmt.Sprintf("%s:%d", name, v1.PortIssuer): i.issuer,
	}
	target, known := targets[address]
	if !known {
		return nil, fmt.Errorf("dialled %s", address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, target)
}

// grant gives those who enter the rights that a syncer gives them.
func grant() error {
	ctx := context.Background()
	rbac := shared.virtual.Client.RbacV1()
	_, err := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: v1.RelayUser},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"users", "groups"}, Verbs: []string{"impersonate"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for _, each := range []struct{ subject, kind, role string }{
		{v1.RelayUser, rbacv1.UserKind, v1.RelayUser},
		{v1.GroupAdmins, rbacv1.GroupKind, "cluster-admin"},
		{v1.GroupViewers, rbacv1.GroupKind, "view"},
	} {
		_, err := rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "test:" + each.subject},
			Subjects:   []rbacv1.Subject{{Kind: each.kind, Name: each.subject, APIGroup: rbacv1.GroupName}},
			RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: each.role, APIGroup: rbacv1.GroupName},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	return nil
}
