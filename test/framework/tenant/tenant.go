// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/issuer"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/test/framework"
)

// Tenant is a control plane and its issuer.
type Tenant struct {
	*framework.ControlPlane
	issuer string
	names  []string
}

// Flags are what a control plane must be started with to stand behind these objects.
func Flags(objects ...types.NamespacedName) []string {
	var flags []string
	for _, name := range serverNames(objects) {
		flags = append(flags, "--tls-san="+name)
	}
	return flags
}

func serverNames(objects []types.NamespacedName) []string {
	var names []string
	for _, object := range objects {
		names = append(names, v1.ServerName(object.Name, object.Namespace))
	}
	return names
}

// Serve runs the issuer beside a control plane, and grants inside what a syncer
// grants. The host is where garret-apiserver publishes the authority of the
// issuer's callers, now or later.
func Serve(stage *framework.Stage, host, plane *framework.ControlPlane, objects ...types.NamespacedName) (*Tenant, error) {
	if err := grant(context.Background(), plane.Client); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Tenant{ControlPlane: plane, issuer: listener.Addr().String(), names: serverNames(objects)}
	authority := filepath.Join(plane.Dir, "garret-ca.crt")
	server := &issuer.Issuer{
		Listener: listener,
		Serving:  pki.NewServing(pki.ServerAuthority(plane.Dir), "garret-syncer", t.names, clock.RealClock{}),
		Callers:  pki.NewPool(authority),
		Signer:   pki.ClientAuthority(plane.Dir),
		Rights:   access.NewKubeconfigs(plane.Client),
		Clock:    clock.RealClock{},
		Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "garret_syncer_test 1") }),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(ctx) }()
	go followAuthority(ctx, host, authority)
	stage.OnStop(func() { cancel(); <-done })
	return t, nil
}

// followAuthority writes the published authority, as a volume would have it, once it is there.
func followAuthority(ctx context.Context, host *framework.ControlPlane, file string) {
	_ = wait.PollUntilContextCancel(ctx, framework.Interval, true, func(ctx context.Context) (bool, error) {
		published, err := host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		return true, os.WriteFile(file, []byte(published.Data[v1.CAConfigMapKey]), 0o600)
	})
}

// Dial knows the two ports of the objects' Services and no others.
func (t *Tenant) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	for _, name := range t.names {
		var target string
		switch address {
		case fmt.Sprintf("%s:%d", name, v1.PortHTTPS):
			target = t.Address
		case fmt.Sprintf("%s:%d", name, v1.PortIssuer):
			target = t.issuer
		default:
			continue
		}
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, target)
	}
	return nil, fmt.Errorf("dialled %s", address)
}

// Ready says in the object's status what a controller would say of the control plane.
func (t *Tenant) Ready(ctx context.Context, clients versioned.Interface, object *v1.VirtualCluster) (*v1.VirtualCluster, error) {
	authority, err := pki.ServerAuthority(t.Dir).Bundle()
	if err != nil {
		return nil, err
	}
	object = object.DeepCopy()
	object.Status.Phase = v1.PhaseReady
	object.Status.Conditions = nil
	for _, kind := range []string{v1.ConditionReady, v1.ConditionControlPlaneReady, v1.ConditionSyncerReady} {
		object.Status.Conditions = append(object.Status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: "Test", LastTransitionTime: metav1.Now(), ObservedGeneration: object.Generation,
		})
	}
	object.Status.CertificateAuthorityData = authority
	object.Status.Endpoint = "https://" + t.Address
	return clients.TenancyV1().VirtualClusters(object.Namespace).UpdateStatus(ctx, object, metav1.UpdateOptions{})
}
