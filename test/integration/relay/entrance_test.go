// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/access/accesstest"
	"garret.dev/garret/pkg/relay"
	syncaccess "garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/issuer"
	"garret.dev/garret/syncer/pki"
)

const prefix = "/apis/tenancy.garret.dev/v1/namespaces/" + namespace + "/virtualclusters/" + name + "/proxy"

// entrance is what stands before the virtual cluster.
type entrance struct {
	*httptest.Server
	cluster *tenancy.VirtualCluster
	issuer  *access.Issuer
}

// newEntrance serves the relay behind an API server's handler chain. On the
// host, alice may create on the proxy and bob may get; each has their name for a token.
func newEntrance(tb testing.TB) *entrance {
	tb.Helper()
	grant(tb)
	dial, client := serveIssuer(tb)
	ca, err := pki.ServerAuthority(shared.Dir).Bundle()
	if err != nil {
		tb.Fatal(err)
	}
	e := &entrance{issuer: access.NewIssuer(dial, client)}
	e.cluster = &tenancy.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "11111111-2222-4333-8444-555555555555"},
		Status: tenancy.VirtualClusterStatus{
			CertificateAuthorityData: ca,
			Endpoint:                 "https://" + shared.Address,
			Conditions: []metav1.Condition{
				{Type: v1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready"},
				{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionTrue, Reason: "Ready"},
			},
		},
	}
	r := relay.New(relay.Config{
		Gate:        access.NewGate(authorizer.AuthorizerFunc(authorize)),
		Credentials: access.NewCredentials(e.issuer, access.DefaultRelayLife), Dial: dial,
	})
	e.Server = httptest.NewUnstartedServer(chain(r.Handler(e.cluster)))
	e.EnableHTTP2 = true
	e.StartTLS()
	tb.Cleanup(e.Close)
	return e
}

// authorize is the host's RBAC in small.
func authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetSubresource() == "proxy" && (a.GetUser().GetName() == "alice" || a.GetUser().GetName() == "bob" && a.GetVerb() == "get") {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "no rule", nil
}

// chain is the handler chain of an API server, wired as garret-apiserver's.
func chain(handler http.Handler) http.Handler {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	config := genericapiserver.NewConfig(serializer.NewCodecFactory(scheme))
	config.FeatureGate = utilfeature.DefaultFeatureGate
	config.Authentication.Authenticator = bearertoken.New(authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: token, Groups: []string{"dev", user.AllAuthenticated}}}, true, nil
	}))
	config.Authorization.Authorizer = authorizer.AuthorizerFunc(authorize)
	config.RequestInfoResolver = genericapiserver.NewRequestInfoResolver(config)
	config.LongRunningFunc = relay.LongRunning(filters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString()))
	return genericapiserver.DefaultBuildHandlerChain(relay.WithInnerQuery(handler), config)
}

// serveIssuer runs the syncer's issuer. The dialer that it returns knows the
// two ports of the virtual cluster's Service.
func serveIssuer(tb testing.TB) (access.Dialer, func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) {
	tb.Helper()
	host := accesstest.NewAuthority(tb, "garret-apiserver")
	file := filepath.Join(tb.TempDir(), "ca.crt")
	if err := os.WriteFile(file, host.PEM(), 0o600); err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serving := pki.NewServing(pki.ServerAuthority(shared.Dir), "garret-syncer", []string{v1.ServerName(name, namespace)}, clock.RealClock{})
	server := &issuer.Issuer{
		Listener: listener, Serving: serving, Callers: pki.NewPool(file),
		Signer: pki.ClientAuthority(shared.Dir), Rights: syncaccess.NewKubeconfigs(shared.Client), Clock: clock.RealClock{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Run(ctx); err != nil {
			tb.Errorf("issuer: %v", err)
		}
	}()
	tb.Cleanup(func() { cancel(); <-done })

	certificate := host.Client(v1.APIServerUser)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		targets := map[string]string{
			access.Address(cluster(), v1.PortHTTPS):  shared.Address,
			access.Address(cluster(), v1.PortIssuer): listener.Addr().String(),
		}
		target, ok := targets[address]
		if !ok {
			return nil, fmt.Errorf("dialled %s", address)
		}
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, target)
	}
	return dial, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
}

func cluster() *tenancy.VirtualCluster {
	return &tenancy.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// grant gives those who enter the rights that a syncer gives them.
func grant(tb testing.TB) {
	tb.Helper()
	ctx, options := tb.Context(), metav1.ApplyOptions{FieldManager: "test", Force: true}
	rbac := shared.Client.RbacV1()
	role := applyrbacv1.ClusterRole(v1.RelayUser).WithRules(
		applyrbacv1.PolicyRule().WithAPIGroups("").WithResources("users", "groups").WithVerbs("impersonate"))
	if _, err := rbac.ClusterRoles().Apply(ctx, role, options); err != nil {
		tb.Fatal(err)
	}
	for _, b := range []struct{ subject, kind, role string }{
		{v1.RelayUser, rbacv1.UserKind, v1.RelayUser},
		{v1.GroupAdmins, rbacv1.GroupKind, "cluster-admin"},
		{v1.GroupViewers, rbacv1.GroupKind, "view"},
	} {
		binding := applyrbacv1.ClusterRoleBinding(b.subject).
			WithSubjects(applyrbacv1.Subject().WithKind(b.kind).WithName(b.subject).WithAPIGroup(rbacv1.GroupName)).
			WithRoleRef(applyrbacv1.RoleRef().WithKind("ClusterRole").WithName(b.role).WithAPIGroup(rbacv1.GroupName))
		if _, err := rbac.ClusterRoleBindings().Apply(ctx, binding, options); err != nil {
			tb.Fatal(err)
		}
	}
}

// kubeconfig is what the host user has: their own token, and the proxy's address.
func (e *entrance) kubeconfig(tb testing.TB, user string) string {
	tb.Helper()
	ca := filepath.Join(tb.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw}), 0o600); err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "kubeconfig")
	content := strings.NewReplacer("SERVER", e.URL+prefix, "CA", ca, "USER", user).Replace(
		"apiVersion: v1\nkind: Config\ncurrent-context: c\n" +
			"contexts: [{name: c, context: {cluster: c, user: u}}]\n" +
			"clusters: [{name: c, cluster: {server: 'SERVER', certificate-authority: 'CA'}}]\n" +
			"users: [{name: u, user: {token: 'USER'}}]\n")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}
