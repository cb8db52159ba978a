package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
)

// TestKubelets is about what the API server is to kubelets, and what anybody can make of it.
func TestKubelets(t *testing.T) {
	t.Parallel()
	address := machineAddress(t)
	p := start(t, shortDir(t), freePort(t), "--tls-san=vc-demo.ns.svc", "--bind-address=0.0.0.0", "--advertise-address="+address)
	client := p.client(t)
	t.Run("a node that is the API server", func(t *testing.T) { testNodesProxy(t, p, client, address) })
	t.Run("the API server's certificate at itself", func(t *testing.T) { testAtItself(t, p) })
	t.Run("a kubelet's certificate for the API server's name", func(t *testing.T) { testServingRequest(t, p, client) })
}

// machineAddress gives the machine an address other than 127.0.0.1, which an API server
// by itself refuses to be a proxy to. It takes root, and the address ends with the test.
func machineAddress(t *testing.T) string {
	t.Helper()
	const address = "198.18.77.1"
	change := func(verb string) {
		if output, err := exec.Command("ip", "address", verb, address+"/32", "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("%s the address %s on the loopback device: %v: %s", verb, address, err, output)
		}
	}
	change("replace")
	t.Cleanup(func() { change("del") })
	return address
}

// testNodesProxy has somebody who may use nodes/proxy, and nothing else, turn to a node
// that is the API server itself.
func testNodesProxy(t *testing.T, p *process, client kubernetes.Interface, address string) {
	ctx := t.Context()
	_, err := client.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "itself"},
		Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(p.port)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const name = "prober"
	if _, err := client.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes/proxy"}, Verbs: []string{"get", "create"}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: name}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := client.CoreV1().ServiceAccounts("default").CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(p.ready(t))
	config.BearerToken = token.Status.Token
	prober, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ask := prober.CoreV1().RESTClient()
	p.until(t, "the rights of the prober", func() error {
		// The API server allows nodes/proxy once it answers 404, and no longer 403.
		var code int
		ask.Get().AbsPath("/api/v1/nodes/nowhere/proxy/healthz").Do(ctx).StatusCode(&code)
		if code != http.StatusNotFound {
			return fmt.Errorf("got %d", code)
		}
		return nil
	})
	for _, prefix := range []string{"itself", fmt.Sprintf("itself:%d", p.port), fmt.Sprintf("https:itself:%d", p.port)} {
		for _, path := range []string{"/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces", "/version"} {
			if got, err := ask.Get().AbsPath("/api/v1/nodes/" + prefix + "/proxy" + path).DoRaw(ctx); err == nil {
				t.Errorf("%s%s by nodes/proxy: got %.60s, want an error", prefix, path, got)
			}
		}
	}
	body := fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"risen"},
		"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
		"subjects":[{"kind":"ServiceAccount","namespace":"default","name":%q}]}`, name)
	_, err = ask.Post().AbsPath("/api/v1/nodes/itself/proxy/apis/rbac.authorization.k8s.io/v1/clusterrolebindings").
		SetHeader("Content-Type", "application/json").Body([]byte(body)).DoRaw(ctx)
	if err == nil {
		t.Error("a binding to cluster-admin by nodes/proxy: got none, want an error")
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Get(ctx, "risen", metav1.GetOptions{}); err == nil {
		t.Error("somebody with nodes/proxy alone has become cluster-admin")
	}
}

// testAtItself has the API server take its certificate towards kubelets for nobody's, even
// where the other end is not verified.
func testAtItself(t *testing.T, p *process) {
	tlsDir := filepath.Join(p.dir, "server", "tls")
	authority, err := os.ReadFile(filepath.Join(tlsDir, "server-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	pair, err := tls.LoadX509KeyPair(filepath.Join(tlsDir, "client-kube-apiserver.crt"), filepath.Join(tlsDir, "client-kube-apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	defer caller.CloseIdleConnections()
	response, err := caller.Get(fmt.Sprintf("https://127.0.0.1:%d/api/v1/namespaces", p.port))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	want(t, "with the certificate towards kubelets", response.StatusCode, http.StatusUnauthorized)
}

// testServingRequest approves a request for a kubelet's serving certificate that has the
// names of the API server, and verifies what comes of it as a client does.
func testServingRequest(t *testing.T, p *process, client kubernetes.Interface) {
	ctx := t.Context()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "system:node:x", Organization: []string{"system:nodes"}},
		DNSNames: []string{"vc-demo.ns.svc", "localhost"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	requests := client.CertificatesV1().CertificateSigningRequests()
	request, err := requests.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeletServingSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	request.Status.Conditions = append(request.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"})
	if _, err := requests.UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	p.until(t, "the certificate", func() error {
		if request, err = requests.Get(ctx, request.Name, metav1.GetOptions{}); err == nil && len(request.Status.Certificate) == 0 {
			err = errors.New("not signed yet")
		}
		return err
	})
	signed, err := cert.ParseCertsPEM(request.Status.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for authority, verifies := range map[string]bool{"server-ca.crt": false, "kubelet-ca.crt": true} {
		bundle, err := os.ReadFile(filepath.Join(p.dir, "server", "tls", authority))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		_, err = signed[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: "vc-demo.ns.svc"})
		if (err == nil) != verifies {
			t.Errorf("verified by %s: got %v, want %t", authority, err, verifies)
		}
	}
}
