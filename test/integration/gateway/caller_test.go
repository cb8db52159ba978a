// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/test/integration/framework"
)

// caller is somebody with credentials of the host.
type caller struct {
	clientcmdapi.AuthInfo
	// user is their name on the host.
	user string
}

// account is a ServiceAccount of the host with a token.
func account(t *testing.T, name string) caller {
	t.Helper()
	accounts := shared.host.Client.CoreV1().ServiceAccounts(elsewhere)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accounts.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return caller{clientcmdapi.AuthInfo{Token: token.Status.Token}, "system:serviceaccount:" + elsewhere + ":" + name}
}

// certified is a user with a client certificate that the host accepts.
func certified(t *testing.T, user string, groups ...string) caller {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := pki.ClientAuthority(shared.host.Dir).Sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: user, Organization: groups}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return caller{clientcmdapi.AuthInfo{
		ClientCertificateData: pki.EncodeCertificate(der),
		ClientKeyData:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}, user}
}

// may gives the caller rights on the host, in a namespace or everywhere.
func (c caller) may(t *testing.T, in string, rules ...rbacv1.PolicyRule) caller {
	t.Helper()
	rbac := shared.host.Client.RbacV1()
	meta := metav1.ObjectMeta{GenerateName: "test-"}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: c.user}}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName}
	var err error
	if in == "" {
		role, roleErr := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		if roleErr != nil {
			t.Fatal(roleErr)
		}
		reference.Kind, reference.Name = "ClusterRole", role.Name
		_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: reference}, metav1.CreateOptions{})
	} else {
		role, roleErr := rbac.Roles(in).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		if roleErr != nil {
			t.Fatal(roleErr)
		}
		reference.Kind, reference.Name = "Role", role.Name
		_, err = rbac.RoleBindings(in).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: reference}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	// Not before the host knows: garret-apiserver remembers a refusal for a while.
	for _, rule := range rules {
		resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
		attributes := &authorizationv1.ResourceAttributes{Group: v1.GroupName, Namespace: in, Verb: rule.Verbs[0], Resource: resource, Subresource: subresource}
		if len(rule.ResourceNames) > 0 {
			attributes.Name = rule.ResourceNames[0]
		}
		allowed(t, shared.host, c.user, nil, attributes)
	}
	return c
}

// allowed waits until a user may do something.
func allowed(t *testing.T, where *framework.ControlPlane, user string, groups []string, what *authorizationv1.ResourceAttributes) {
	t.Helper()
	framework.Eventually(t, user+" may "+what.Verb+" "+what.Resource, func(ctx context.Context) (bool, error) {
		review, err := where.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: what}}, metav1.CreateOptions{})
		return err == nil && review.Status.Allowed, err
	})
}

// edits binds the caller to the ClusterRole edit inside, as spec.access would.
func (c caller) edits(t *testing.T) caller {
	t.Helper()
	return c.bound(t, "edit", "create")
}

// looksInto gives the caller the right to get, inside, what pods can be entered by.
func (c caller) looksInto(t *testing.T) caller {
	t.Helper()
	role, err := shared.virtual.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Verbs: []string{"get"},
			Resources: []string{"pods/exec", "pods/attach", "pods/portforward", "pods/proxy"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c.bound(t, role.Name, "get")
}

// bound binds the caller to a ClusterRole inside, which gives them a verb on pods/exec.
func (c caller) bound(t *testing.T, role, verb string) caller {
	t.Helper()
	bindings := shared.virtual.Client.RbacV1().ClusterRoleBindings()
	binding, err := bindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: v1.HostUserPrefix + c.user}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bindings.Delete(context.Background(), binding.Name, metav1.DeleteOptions{}) })
	allowed(t, shared.virtual.ControlPlane, v1.HostUserPrefix+c.user, nil,
		&authorizationv1.ResourceAttributes{Namespace: metav1.NamespaceDefault, Verb: verb, Resource: "pods", Subresource: "exec"})
	return c
}

// to is a rule about virtual clusters, or those of these names alone.
func to(verbs, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1.GroupName}, Resources: []string{resource}, Verbs: strings.Split(verbs, ","), ResourceNames: names}
}

// admin may work inside as administrator.
func admin(t *testing.T) caller {
	// One of the same name as before would be taken for that one for a while.
	return account(t, "admin-"+utilrand.String(5)).may(t, namespace, to("get", "virtualclusters"), to("create", "virtualclusters/proxy"))
}

// kubectl runs kubectl on the virtual cluster through the gateway.
func (c caller) kubectl(t *testing.T, input string, arguments ...string) (string, error) {
	t.Helper()
	return framework.Kubectl(t, c.kubeconfig(t), input, arguments...)
}

// command is kubectl with these settings, to be run.
func (c caller) command(t *testing.T, env []string, arguments ...string) *exec.Cmd {
	t.Helper()
	program, err := framework.Binary("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), framework.Timeout)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, program, append([]string{"--kubeconfig=" + c.kubeconfig(t), "--cache-dir=" + t.TempDir()}, arguments...)...)
	command.Env = append(os.Environ(), env...)
	return command
}

func (c caller) kubeconfig(t *testing.T) string {
	t.Helper()
	content, err := framework.Kubeconfig("https://"+shared.garret.Address+v1.GatewayPath(name, namespace), shared.authority, c.AuthInfo)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// client speaks to the gateway by its name, with the caller's certificate if they have one.
func (c caller) client(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.authority)
	config := &tls.Config{RootCAs: roots}
	if len(c.ClientCertificateData) > 0 {
		pair, err := tls.X509KeyPair(c.ClientCertificateData, c.ClientKeyData)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{
		TLSClientConfig: config,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, shared.garret.Address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends one request, and returns the answer's code and body.
func (c caller) ask(t *testing.T, method, path, body string, header http.Header) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+address()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for key, values := range header {
		request.Header[key] = values
	}
	answer, err := c.client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if len(answer.Header.Values("Set-Cookie")) > 0 || answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s %s: answered with %v, want no cookie and no CORS", method, path, answer.Header)
	}
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

// whoami is who the caller is inside: name, and groups.
func (c caller) whoami(t *testing.T, header http.Header) (string, []string) {
	t.Helper()
	code, body := c.ask(t, http.MethodPost, v1.GatewayPath(name, namespace)+"/apis/authentication.k8s.io/v1/selfsubjectreviews",
		`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, header)
	var review authenticationv1.SelfSubjectReview
	if err := json.Unmarshal([]byte(body), &review); err != nil || code != http.StatusCreated {
		t.Fatalf("whoami: answered %d: %s", code, body)
	}
	return review.Status.UserInfo.Username, review.Status.UserInfo.Groups
}
