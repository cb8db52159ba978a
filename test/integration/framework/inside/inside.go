// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inside makes of a control plane of package framework what the relay
// finds behind the Service of a virtual cluster.
package inside

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	syncaccess "garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/issuer"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/test/integration/framework"
)

// Cluster is a virtual cluster as it is seen from the host: a control plane with
// the syncer's issuer beside it, both behind one Service.
type Cluster struct {
	*framework.ControlPlane
	// Namespace and Name are those of its VirtualCluster.
	Namespace, Name string

	issuer string
}

// NameFlag is what the control plane of a Cluster must be started with: the
// name of its Service in the serving certificate.
func NameFlag(namespace, name string) string { return "--tls-san=" + v1.ServerName(name, namespace) }

// Serve runs the issuer beside a control plane. The authority of its callers is
// what garret-apiserver publishes on the host, written to a file as the chart
// would mount it.
func Serve(stage *framework.Stage, host, plane *framework.ControlPlane, namespace, name string) (*Cluster, error) {
	if err := grant(plane); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	caFile := filepath.Join(stage.Dir, "ca.crt")
	server := &issuer.Issuer{
		Listener: listener,
		Serving:  pki.NewServing(pki.ServerAuthority(plane.Dir), "garret-syncer", []string{v1.ServerName(name, namespace)}, clock.RealClock{}),
		Callers:  pki.NewPool(caFile),
		Signer:   pki.ClientAuthority(plane.Dir),
		Rights:   syncaccess.NewKubeconfigs(plane.Client),
		Clock:    clock.RealClock{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(ctx) }()
	stage.OnStop(func() { cancel(); <-done })
	go followAuthority(ctx, host, caFile)
	return &Cluster{ControlPlane: plane, Namespace: namespace, Name: name, issuer: listener.Addr().String()}, nil
}

// Report says, as controller and syncer would, that the virtual cluster is up.
func (c *Cluster) Report(ctx context.Context, clients versioned.Interface, object *v1.VirtualCluster) (*v1.VirtualCluster, error) {
	authority, err := pki.ServerAuthority(c.Dir).Bundle()
	if err != nil {
		return nil, err
	}
	object = object.DeepCopy()
	object.Status.Phase = v1.PhaseReady
	object.Status.Conditions = nil
	for _, kind := range []string{v1.ConditionReady, v1.ConditionControlPlaneReady, v1.ConditionSyncerReady} {
		object.Status.Conditions = append(object.Status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: "Test", LastTransitionTime: metav1.Now()})
	}
	object.Status.CertificateAuthorityData = authority
	object.Status.Endpoint = "https://" + c.Address
	return clients.TenancyV1().VirtualClusters(c.Namespace).UpdateStatus(ctx, object, metav1.UpdateOptions{})
}

// followAuthority writes the published authority once it is there.
func followAuthority(ctx context.Context, host *framework.ControlPlane, file string) {
	_ = wait.PollUntilContextCancel(ctx, framework.Interval, true, func(ctx context.Context) (bool, error) {
		published, err := host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		return true, os.WriteFile(file, []byte(published.Data[v1.CAConfigMapKey]), 0o600)
	})
}

// Dial knows the two ports of the Service and no others.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	name := v1.ServerName(c.Name, c.Namespace)
	targets := map[string]string{
		fmt.Sprintf("%s:%d", name, v1.PortHTTPS):  c.Address,
		fmt.Sprintf("%s:%d", name, v1.PortIssuer): c.issuer,
	}
	target, known := targets[address]
	if !known {
		return nil, fmt.Errorf("dialled %s", address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, target)
}

// grant gives those who enter the rights that a syncer gives them.
func grant(plane *framework.ControlPlane) error {
	ctx := context.Background()
	rbac := plane.Client.RbacV1()
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
