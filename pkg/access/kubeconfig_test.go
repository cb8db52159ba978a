// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access/accesstest"
)

type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func TestKubeconfig(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	for _, tc := range []struct {
		name       string
		spec       tenancy.KubeconfigRequestSpec
		endpoint   string
		wantLife   time.Duration
		wantServer string
		wantName   string
		wantWarn   string
		// wantUser has ID in the place of the credential's id.
		wantUser string
	}{
		{name: "an hour when nothing is asked for", wantLife: time.Hour, wantServer: "https://vc-demo.team.svc"},
		{name: "the life asked for", spec: tenancy.KubeconfigRequestSpec{ExpirationSeconds: seconds(600)}, wantLife: 10 * time.Minute, wantServer: "https://vc-demo.team.svc"},
		{
			name: "a longer one is shortened, and says so", spec: tenancy.KubeconfigRequestSpec{ExpirationSeconds: seconds(1 << 40)},
			wantLife: 12 * time.Hour, wantServer: "https://vc-demo.team.svc", wantWarn: "shortened to 43200 seconds",
		},
		{name: "the endpoint of the status", endpoint: "https://10.96.7.7:443", wantLife: time.Hour, wantServer: "https://10.96.7.7:443"},
		{name: "a forwarded port", spec: tenancy.KubeconfigRequestSpec{Server: "https://localhost:6443"}, wantLife: time.Hour, wantServer: "https://localhost:6443"},
		{
			name: "a balancer is verified under the cluster's name", spec: tenancy.KubeconfigRequestSpec{Server: "https://k8s.example.com"},
			wantLife: time.Hour, wantServer: "https://k8s.example.com", wantName: "vc-demo.team.svc",
		},
		{
			name: "one that is held to a role is not its owner", spec: tenancy.KubeconfigRequestSpec{ClusterRole: "view"},
			wantLife: time.Hour, wantServer: "https://vc-demo.team.svc", wantUser: "garret:kubeconfig:ID:alice",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
			c.VirtualCluster.Status.Endpoint = tc.endpoint
			c.ClusterRoles = []string{"view"}
			var warned warnings
			ctx := warning.WithWarningRecorder(t.Context(), &warned)
			request := &tenancy.KubeconfigRequest{Spec: tc.spec}
			asked := request.DeepCopy()
			answer, err := NewKubeconfigs(newTestIssuer(c), 12*time.Hour).Create(ctx, &user.DefaultInfo{Name: "alice", Groups: []string{"system:masters"}}, c.VirtualCluster, request, false)
			if err != nil {
				t.Fatalf("create: %v", err)
			}
			if !reflect.DeepEqual(request, asked) {
				t.Error("the caller's object was changed")
			}
			config, err := clientcmd.Load(answer.Status.Kubeconfig)
			if err != nil {
				t.Fatalf("load: %v", err)
			}
			if len(config.Contexts) != 1 || config.CurrentContext != "demo" || config.Contexts["demo"] == nil {
				t.Fatalf("contexts are %v, current %q; want demo alone", config.Contexts, config.CurrentContext)
			}
			cluster, holder := config.Clusters[config.Contexts["demo"].Cluster], config.AuthInfos[config.Contexts["demo"].AuthInfo]
			if cluster.Server != tc.wantServer || cluster.TLSServerName != tc.wantName || cluster.InsecureSkipTLSVerify || string(cluster.CertificateAuthorityData) != string(c.ServerCA.PEM()) {
				t.Errorf("cluster is %+v; want server %s, name %q and the embedded authority", cluster, tc.wantServer, tc.wantName)
			}
			pair, err := tls.X509KeyPair(holder.ClientCertificateData, holder.ClientKeyData)
			if err != nil {
				t.Fatalf("certificate and key: %v", err)
			}
			leaf, err := x509.ParseCertificate(pair.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			id := answer.Status.CredentialID
			wantUser := "host:alice"
			if tc.wantUser != "" {
				wantUser = strings.Replace(tc.wantUser, "ID", id, 1)
			}
			if leaf.Subject.CommonName != wantUser || id == "" || strings.Join(leaf.Subject.Organization, ",") != v1.KubeconfigPrefix+id {
				t.Errorf("subject is %s, id %q; want %s in the credential's own group alone", leaf.Subject, id, wantUser)
			}
			if life := time.Until(leaf.NotAfter); life > tc.wantLife || life < tc.wantLife-time.Minute {
				t.Errorf("lives %s, want %s", life, tc.wantLife)
			}
			if !answer.Status.ExpirationTimestamp.Time.Equal(leaf.NotAfter) || *answer.Spec.ExpirationSeconds != int64(tc.wantLife/time.Second) {
				t.Errorf("answer says until %s, %d s; certificate until %s", answer.Status.ExpirationTimestamp, *answer.Spec.ExpirationSeconds, leaf.NotAfter)
			}
			if got := strings.Join(warned, "\n"); (got != "") != (tc.wantWarn != "") || !strings.Contains(got, tc.wantWarn) {
				t.Errorf("warned %q, want %q", got, tc.wantWarn)
			}
		})
	}
}

func TestKubeconfigRefuses(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	spec := func(s tenancy.KubeconfigRequestSpec) func(*tenancy.VirtualCluster, *tenancy.KubeconfigRequest) {
		return func(_ *tenancy.VirtualCluster, r *tenancy.KubeconfigRequest) { r.Spec = s }
	}
	for _, tc := range []struct {
		name string
		set  func(*tenancy.VirtualCluster, *tenancy.KubeconfigRequest)
		is   func(error) bool
		want string
	}{
		{"a life under ten minutes", spec(tenancy.KubeconfigRequestSpec{ExpirationSeconds: seconds(599)}), apierrors.IsInvalid, "spec.expirationSeconds"},
		{"a negative life", spec(tenancy.KubeconfigRequestSpec{ExpirationSeconds: seconds(-1)}), apierrors.IsInvalid, "spec.expirationSeconds"},
		{"a role that is not there", spec(tenancy.KubeconfigRequestSpec{ClusterRole: "nobody"}), apierrors.IsInvalid, "spec.clusterRole"},
		{"a role that cannot be", spec(tenancy.KubeconfigRequestSpec{ClusterRole: "a/b"}), apierrors.IsInvalid, "spec.clusterRole"},
		{"a server without TLS", spec(tenancy.KubeconfigRequestSpec{Server: "http://localhost"}), apierrors.IsInvalid, "spec.server"},
		{"a server without host", spec(tenancy.KubeconfigRequestSpec{Server: "https://"}), apierrors.IsInvalid, "spec.server"},
		{"a server with a user", spec(tenancy.KubeconfigRequestSpec{Server: "https://a:b@localhost"}), apierrors.IsInvalid, "spec.server"},
		{"a server with a query", spec(tenancy.KubeconfigRequestSpec{Server: "https://localhost/?a=b"}), apierrors.IsInvalid, "spec.server"},
		{"a server that is no URL", spec(tenancy.KubeconfigRequestSpec{Server: "https://%zz"}), apierrors.IsInvalid, "spec.server"},
		{"another UID", func(_ *tenancy.VirtualCluster, r *tenancy.KubeconfigRequest) { r.UID = types.UID("other") }, apierrors.IsConflict, "UID"},
		{"another name", func(_ *tenancy.VirtualCluster, r *tenancy.KubeconfigRequest) { r.Name = "other" }, apierrors.IsBadRequest, "name"},
		{"another namespace", func(_ *tenancy.VirtualCluster, r *tenancy.KubeconfigRequest) { r.Namespace = "other" }, apierrors.IsBadRequest, "namespace"},
		{"a cluster that is not ready", func(c *tenancy.VirtualCluster, _ *tenancy.KubeconfigRequest) {
			c.Status.Conditions[0] = metav1.Condition{Type: v1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Starting", Message: "wait"}
		}, apierrors.IsServiceUnavailable, "Starting: wait"},
		{"a cluster that is being deleted", func(c *tenancy.VirtualCluster, _ *tenancy.KubeconfigRequest) {
			now := metav1.Now()
			c.DeletionTimestamp = &now
		}, apierrors.IsConflict, "deleted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
			request := &tenancy.KubeconfigRequest{}
			tc.set(c.VirtualCluster, request)
			_, err := NewKubeconfigs(newTestIssuer(c), MaxKubeconfigLife).Create(t.Context(), &user.DefaultInfo{Name: "alice"}, c.VirtualCluster, request, false)
			if !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want another error, about %q", err, tc.want)
			}
			_, dry := NewKubeconfigs(newTestIssuer(c), MaxKubeconfigLife).Create(t.Context(), &user.DefaultInfo{Name: "alice"}, c.VirtualCluster, request, true)
			if dry == nil || err == nil || dry.Error() != err.Error() {
				t.Errorf("a dry run: got %v, want the same error", dry)
			}
			if c.Issued() != 0 {
				t.Errorf("%d certificates were signed, want none", c.Issued())
			}
		})
	}
}

func TestKubeconfigDryRunMintsNothing(t *testing.T) {
	c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
	answer, err := NewKubeconfigs(newTestIssuer(c), MaxKubeconfigLife).Create(t.Context(), &user.DefaultInfo{Name: "alice"}, c.VirtualCluster, &tenancy.KubeconfigRequest{}, true)
	if err != nil || answer.Status.Kubeconfig != nil || answer.Status.ExpirationTimestamp != nil || answer.Status.CredentialID != "" || *answer.Spec.ExpirationSeconds != 3600 {
		t.Errorf("got %+v, %v; want a defaulted request without status", answer, err)
	}
	if c.Issued() != 0 {
		t.Errorf("%d certificates were signed, want none", c.Issued())
	}
}

func TestKubeconfigSaysThatTheIssuerFailed(t *testing.T) {
	c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := NewKubeconfigs(newTestIssuer(c), MaxKubeconfigLife).Create(ctx, &user.DefaultInfo{Name: "alice"}, c.VirtualCluster, &tenancy.KubeconfigRequest{}, false)
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "certificate issuer of virtual cluster team/demo") {
		t.Errorf("got %v, want 503 that names the issuer", err)
	}
}
