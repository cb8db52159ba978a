// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rights tests, through a real kube-apiserver, what each right on
// virtual clusters opens and that it opens nothing else: by doing it with real
// credentials, and by asking whether it may be done.
//
// Inside the virtual clusters everybody may do everything here, so that what
// is refused was refused by the host's RBAC or by the door.
package rights

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/aggregation"
	"garret.dev/garret/test/integration/framework/tenant"
)

// place is where something is done. Without a name it is done to a whole
// namespace, without a namespace to the whole cluster.
type place = types.NamespacedName

// Rights are granted in red, and where by name, on one.
var (
	here             = place{Namespace: "red", Name: "one"}
	otherName        = place{Namespace: "red", Name: "two"}
	otherNamespace   = place{Namespace: "blue", Name: "one"}
	wholeNamespace   = place{Namespace: "red"}
	anotherNamespace = place{Namespace: "blue"}
	everywhere       = place{}
)

// insideConfigMap is what the doings inside a virtual cluster are done to.
const insideConfigMap = "things"

type environment struct {
	host   *framework.ControlPlane
	tenant *tenant.Tenant
	garret *aggregation.Garret
	// gatewayAuthority is whose certificate garret-apiserver shows at its own address.
	gatewayAuthority []byte
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "rights", setUp)) }

// setUp makes three virtual clusters with one control plane behind them.
func setUp(stage *framework.Stage) error {
	objects := []place{here, otherName, otherNamespace}
	var virtual *framework.ControlPlane
	err := framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag)
			return err
		},
		func() (err error) {
			virtual, err = stage.StartControlPlane("virtual", tenant.Flags(objects...)...)
			return err
		})
	if err != nil {
		return err
	}
	if shared.tenant, err = tenant.Serve(stage, shared.host, virtual, objects...); err != nil {
		return err
	}
	shared.garret, err = aggregation.Serve(stage, shared.host, func(options *apiserver.Options) {
		options.Dial = access.Dialer(shared.tenant.Dial)
		options.Gateway.Enabled = true
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := openInside(ctx, virtual); err != nil {
		return err
	}
	for _, object := range objects {
		if err := makeReady(ctx, object); err != nil {
			return err
		}
	}
	published, err := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		return err
	}
	shared.gatewayAuthority = []byte(published.Data[v1.CAConfigMapKey])
	return nil
}

func makeReady(ctx context.Context, object place) error {
	_, err := shared.host.Client.CoreV1().Namespaces().Get(ctx, object.Namespace, metav1.GetOptions{})
	if err != nil {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.Namespace}}
		if _, err := shared.host.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	made, err := shared.garret.Clients.TenancyV1().VirtualClusters(object.Namespace).Create(ctx,
		&v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: object.Name}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = shared.tenant.Ready(ctx, shared.garret.Clients, made)
	return err
}

// openInside lets everybody from the host do everything inside.
func openInside(ctx context.Context, virtual *framework.ControlPlane) error {
	_, err := virtual.Client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "test:everybody"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.GroupKind, Name: v1.HostUserPrefix + "system:authenticated", APIGroup: rbacv1.GroupName}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin", APIGroup: rbacv1.GroupName},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = virtual.Client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: insideConfigMap}}, metav1.CreateOptions{})
	return err
}
