// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rights tests who may do what, through real kube-apiservers.
//
// On the host it is what each right on virtual clusters opens, and that it opens
// nothing else: by doing it with real credentials, and by asking whether it may be
// done. Inside it is spec.access, and kubeconfigs and their revocation, with the
// syncer's keeper in between, which has the Role that the chart gives it and no
// other. Audit logs say who it was.
package rights

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
	"garret.dev/garret/test/framework/tenant"
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

// namespace and name are of the virtual cluster that has a syncer.
const namespace, name = "team", "demo"

// insideConfigMap is what the doings inside a virtual cluster are done to.
const insideConfigMap = "things"

// auditPolicy records who did what, as one that somebody might have.
const auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"

// environment is what all tests share.
type environment struct {
	host   *framework.ControlPlane
	inside *tenant.Tenant
	garret *aggregation.Garret
	// object is the virtual cluster that has a syncer.
	object *v1.VirtualCluster
	// account is the kubeconfig of the syncer's ServiceAccount on the host.
	account string
	// gatewayAuthority is whose certificate garret-apiserver shows at its own address.
	gatewayAuthority []byte
	// hostAudit, garretAudit and insideAudit are the logs of the three servers that a request passes.
	hostAudit, garretAudit, insideAudit string
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "rights", setUp)) }

// setUp makes four virtual clusters with one control plane behind them.
func setUp(stage *framework.Stage) error {
	policy := filepath.Join(stage.Dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	log := func(name string) string { return filepath.Join(stage.Dir, name+"-audit.log") }
	shared.hostAudit, shared.garretAudit, shared.insideAudit = log("host"), log("garret"), log("inside")
	audited := func(file string) []string {
		return []string{"--kube-apiserver-arg=audit-policy-file=" + policy, "--kube-apiserver-arg=audit-log-path=" + file}
	}
	objects := []place{here, otherName, otherNamespace, {Namespace: namespace, Name: name}}
	var plane *framework.ControlPlane
	err := framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", append(audited(shared.hostAudit), aggregation.HostFlag)...)
			return err
		},
		func() (err error) {
			plane, err = stage.StartControlPlane("inside", append(audited(shared.insideAudit), tenant.Flags(objects...)...)...)
			return err
		})
	if err != nil {
		return err
	}
	if shared.inside, err = tenant.Serve(stage, shared.host, plane, objects...); err != nil {
		return err
	}
	shared.garret, err = aggregation.Serve(stage, shared.host, func(options *apiserver.Options) {
		options.Dial = access.Dialer(shared.inside.Dial)
		options.Gateway.Enabled = true
		options.Recommended.Audit.PolicyFile, options.Recommended.Audit.LogOptions.Path = policy, shared.garretAudit
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	for _, object := range objects {
		if shared.object, err = makeReady(ctx, object); err != nil {
			return err
		}
	}
	published, err := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		return err
	}
	shared.gatewayAuthority = []byte(published.Data[v1.CAConfigMapKey])
	return furnish(ctx, stage)
}

func makeReady(ctx context.Context, object place) (*v1.VirtualCluster, error) {
	_, err := shared.host.Client.CoreV1().Namespaces().Get(ctx, object.Namespace, metav1.GetOptions{})
	if err != nil {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.Namespace}}
		if _, err := shared.host.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	made, err := shared.garret.Clients.TenancyV1().VirtualClusters(object.Namespace).Create(ctx,
		&v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: object.Name}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return shared.inside.Ready(ctx, shared.garret.Clients, made)
}

// furnish makes a syncer's account with the rights that the chart gives it, and
// alice, who may do everything with its virtual cluster.
func furnish(ctx context.Context, stage *framework.Stage) error {
	rights, err := renderRights()
	if err != nil {
		return err
	}
	if _, err := shared.host.Kubectl().Input(rights).Try("apply", "-f", "-"); err != nil {
		return err
	}
	if _, err := shared.host.Client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "alice"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "alice", APIGroup: rbacv1.GroupName}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "admin", APIGroup: rbacv1.GroupName},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	shared.account = filepath.Join(stage.Dir, "syncer.kubeconfig")
	return shared.host.WriteServiceAccount(ctx, shared.account, namespace, v1.ReleaseName(name))
}

// openInside lets everybody from the host do everything inside until the test
// ends, so that what is refused was refused by the host's RBAC or by the door.
func openInside(t *testing.T) {
	t.Helper()
	const everybody = v1.HostUserPrefix + "system:authenticated"
	user := framework.User{Name: v1.HostUserPrefix + "somebody", Groups: []string{everybody},
		Subject: rbacv1.Subject{Kind: rbacv1.GroupKind, Name: everybody, APIGroup: rbacv1.GroupName}}
	shared.inside.BindClusterRole(t, user, "", "cluster-admin")
	things := shared.inside.Client.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	if _, err := things.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: insideConfigMap}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = things.Delete(context.Background(), insideConfigMap, metav1.DeleteOptions{}) })
	shared.inside.AwaitAllowed(t, user, authorizationv1.ResourceAttributes{Verb: "delete", Resource: "configmaps", Namespace: metav1.NamespaceDefault})
}
