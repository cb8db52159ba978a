// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

// publicName leads to the ingress controller for the public authority, too. No document has it: its
// commands run beside this test, and the controller serves one of those who ask for a name.
const publicName = "shop.public.example"

// TestIngress has the host's ingress controller lead to pods inside, by HTTP and by HTTPS
// with certificates that the host's cert-manager issues, and by Gateways.
func TestIngress(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	for _, ns := range []string{"ingress-system", "cert-manager"} {
		shared.Namespace(t, ns)
	}
	// What the tenants' namespaces hold of cert-manager's goes only while it has its rights.
	t.Cleanup(func() { endEntrance(t) })
	first, second := shared.Namespace(t, "e2e-ingress"), shared.Namespace(t, "e2e-ingress-too")
	runGatewayAPI(t)
	admin.Apply(t, suite.Object(first, "demo", gatewayAPIShown))
	admin.Apply(t, suite.Object(second, "demo", gatewayAPI))
	in := runEntrance(t)
	inside := map[string]framework.Client{}
	for _, ns := range []string{first, second} {
		admin.Do(t, "wait", "--for=condition=Ready", "virtualcluster/demo", "-n", ns, "--timeout=180s")
		inside[ns] = shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
		inside[ns].Apply(t, manifest(t, "ingress/shop.yaml"))
	}
	pod := map[string]string{}
	for ns, client := range inside {
		client.Do(t, "rollout", "status", "deployment/shop", "--timeout=120s")
		pod[ns] = client.Do(t, "get", "pods", "-l", "app=shop", "-o", "jsonpath={.items[0].metadata.name}")
	}
	tenant, both := inside[first], tenants{in, [2]string{first, second}, inside, pod}
	// cert-manager makes sure for ten seconds that the proof is there.
	tenant.Apply(t, ingress(t, "public", publicName, "public"))

	t.Run("a certificate of the company", func(t *testing.T) {
		tenant.Apply(t, ingress(t, "shop", "shop.company.example", "company"))
		company := in.authority("company")
		in.reaches("http", "shop.company.example", nil, pod[first])
		certificate(t, tenant, "shop-tls", "shop.company.example", company)
		in.reaches("https", "shop.company.example", company, pod[first])
		addressed(t, tenant, "shop", in.node)
		framework.SucceedsWithin(t, 30*time.Second, "what cert-manager says is inside, in the names there", func(context.Context) error {
			out, err := tenant.Try("get", "events", "--field-selector=involvedObject.kind=Ingress,involvedObject.name=shop,reason=CreateCertificate", "-o", "jsonpath={.items[*].message}")
			if want := `Successfully created Certificate "shop-tls"`; err == nil && out != want {
				err = fmt.Errorf("got %q, want %q", out, want)
			}
			return err
		})
	})

	t.Run("two tenants with one name", func(t *testing.T) {
		inside[second].Apply(t, ingress(t, "shop", "shop.company.example", "company"))
		addressed(t, inside[second], "shop", in.node)
		certificate(t, inside[second], "shop-tls", "shop.company.example", in.authority("company"))
		// Traefik serves one of the two, another one after any change, and says nothing.
		in.reaches("https", "shop.company.example", in.authority("company"), pod[first], pod[second])
		tenant.Do(t, "delete", "ingress", "shop")
		in.reaches("https", "shop.company.example", in.authority("company"), pod[second])
	})

	t.Run("a Gateway", func(t *testing.T) { both.testGateways(t) })
	t.Run("the Gateway of another tenant", func(t *testing.T) { both.testForeignGateways(t) })

	t.Run("a name that is not the tenant's", func(t *testing.T) {
		admin.Apply(t, manifest(t, "ingress/names.yaml"))
		t.Cleanup(func() {
			admin.Do(t, "delete", "validatingadmissionpolicy/ingress-names", "validatingadmissionpolicybinding/ingress-names")
		})
		admin.Do(t, "label", "namespace", second, "example.org/domain=too.example")
		// The host's API server learns of a policy in its own time: until then it takes the name.
		framework.SucceedsWithin(t, 30*time.Second, "the host refuses the name", func(context.Context) error {
			out, err := admin.Input(ingress(t, "probe", publicName, "company")).Try("create", "--dry-run=server", "-n", second, "-f", "-")
			if err == nil {
				err = errors.New("the host takes it: " + out)
			} else if strings.Contains(err.Error(), "no others") {
				err = nil
			}
			return err
		})
		inside[second].Apply(t, ingress(t, "stolen", publicName, "company"))
		framework.SucceedsWithin(t, 30*time.Second, "an Event inside tells the refusal", func(context.Context) error {
			out, err := inside[second].Try("get", "events", "--field-selector=involvedObject.kind=Ingress,involvedObject.name=stolen", "-o", "jsonpath={.items[*].message}")
			if err == nil && !strings.Contains(out, "this namespace has the names below too.example and no others") {
				err = fmt.Errorf("got %q", out)
			}
			return err
		})
		// Without the rule, it would get there still.
		inside[second].Do(t, "delete", "ingress", "stolen")
		inside[second].Apply(t, ingress(t, "own", "shop.too.example", "company"))
		addressed(t, inside[second], "own", in.node)
	})

	t.Run("a certificate of a public authority, by HTTP", func(t *testing.T) {
		public := pool(t, []byte(admin.Do(t, "get", "--raw", "/api/v1/namespaces/cert-manager/services/https:pebble:15000/proxy/roots/0")))
		certificate(t, tenant, "public-tls", publicName, public)
		in.reaches("https", publicName, public, pod[first])
	})
}

// ingress leads a host name to the Service shop, with a certificate of an issuer.
func ingress(t *testing.T, name, host, issuer string) string {
	t.Helper()
	return strings.NewReplacer("NAME", name, "HOST", host, "ISSUER", issuer).Replace(manifest(t, "ingress/ingress.yaml"))
}

// addressed waits until an ingress inside tells the address of the host's controller.
func addressed(t *testing.T, inside framework.Client, name, address string) {
	t.Helper()
	inside.Do(t, "wait", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}="+address, "ingress/"+name, "--timeout=60s")
}

// certificate waits until a Secret inside has one for the host name by the authority.
func certificate(t *testing.T, inside framework.Client, secret, host string, by *x509.CertPool) {
	t.Helper()
	framework.SucceedsWithin(t, time.Minute, "the certificate is inside, in secret "+secret, func(context.Context) error {
		out, err := inside.Try("get", "secret", secret, "-o", `jsonpath={.data.tls\.crt}`)
		if err != nil {
			return err
		}
		chain, err := base64.StdEncoding.DecodeString(out)
		if err != nil {
			return err
		}
		return verify(chain, host, by)
	})
}

// verify checks a chain in PEM for a host name.
func verify(chain []byte, host string, by *x509.CertPool) error {
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if leaf == nil {
			leaf = parsed
		}
		between.AddCert(parsed)
	}
	if leaf == nil {
		return errors.New("there is no certificate")
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: by, Intermediates: between})
	return err
}

func pool(t *testing.T, certificates []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		t.Fatalf("no certificate in %q", certificates)
	}
	return pool
}

// entrance is the host's ingress controller, and what issues certificates for it.
type entrance struct {
	t *testing.T
	// node has the ports, by scheme; tcp is one that leads on whatever comes.
	node  string
	ports map[string]string
}

// runEntrance runs Traefik, cert-manager and pebble, as an administrator of the host does.
func runEntrance(t *testing.T) *entrance {
	admin := shared.Admin()
	root, err := framework.Root()
	if err != nil {
		t.Fatal(err)
	}
	if shared.Cluster != nil {
		archives, err := filepath.Glob(filepath.Join(root, "bin", "images", "addons", "*.tar"))
		if err == nil {
			err = shared.Cluster.LoadImages(t.Context(), archives...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	admin.Apply(t, manifest(t, "ingress/controller.yaml"))
	crds := certManagerKinds(t)
	admin.Do(t, "apply", "--server-side", "-f", crds)
	admin.Established(t, "-f", crds)
	service := func(path string) string {
		return admin.Do(t, "get", "service", "traefik", "-n", "ingress-system", "-o", "jsonpath="+path)
	}
	fill := strings.NewReplacer("INGRESS", service("{.spec.clusterIP}"), "PUBLIC", publicName)
	admin.Apply(t, fill.Replace(manifest(t, "ingress/cert-manager.yaml")))
	admin.Do(t, "wait", "--for=condition=Ready", "certificate/pebble", "-n", "cert-manager", "--timeout=120s")
	authority := strings.NewReplacer("AUTHORITY", admin.Do(t, "get", "secret", "pebble", "-n", "cert-manager", "-o", `jsonpath={.data.ca\.crt}`))
	admin.Apply(t, authority.Replace(fill.Replace(manifest(t, "ingress/pebble.yaml"))))
	admin.Do(t, "rollout", "status", "deployment/traefik", "-n", "ingress-system", "--timeout=120s")
	return &entrance{
		t: t, node: admin.Do(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`),
		ports: map[string]string{"http": service(`{.spec.ports[?(@.name=="web")].nodePort}`), "https": service(`{.spec.ports[?(@.name=="websecure")].nodePort}`),
			"tcp": service(`{.spec.ports[?(@.name=="tcp")].nodePort}`)},
	}
}

// endEntrance takes away what of theirs lies in no namespace.
func endEntrance(t *testing.T) {
	admin := shared.Admin()
	admin.Do(t, "delete", "--wait=false", "--ignore-not-found", "ingressclass/traefik", "clusterrole/traefik", "clusterrolebinding/traefik", "clusterrole/cert-manager", "clusterrolebinding/cert-manager")
	admin.Do(t, "delete", "--wait=false", "--ignore-not-found", "-f", certManagerKinds(t))
	admin.Do(t, "delete", "--wait=false", "--ignore-not-found", "clusterrole/e2e-gateways")
	admin.Do(t, "delete", "--wait=false", "--ignore-not-found", "-f", gatewayKinds(t))
}

// certManagerKinds is the file of cert-manager's own kinds.
func certManagerKinds(t *testing.T) string {
	root, err := framework.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "bin", "cert-manager-crds.yaml")
}

// authority is what a ClusterIssuer with a Secret of the same name signs by.
func (e *entrance) authority(name string) *x509.CertPool {
	e.t.Helper()
	content, err := base64.StdEncoding.DecodeString(shared.Admin().Do(e.t, "get", "secret", name, "-n", "cert-manager", "-o", `jsonpath={.data.tls\.crt}`))
	if err != nil {
		e.t.Fatal(err)
	}
	return pool(e.t, content)
}

// reaches waits until a request for the host name is answered by one of the pods.
func (e *entrance) reaches(scheme, host string, by *x509.CertPool, pods ...string) {
	e.t.Helper()
	e.answers(scheme, scheme, host, by, pods...)
}

// client connects to a port of the entrance, whatever the host is called.
func (e *entrance) client(port string, by *x509.CertPool) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: by}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(e.node, e.ports[port]))
		},
	}}
}

// answers is reaches at a port of another name than the scheme.
func (e *entrance) answers(port, scheme, host string, by *x509.CertPool, pods ...string) {
	e.t.Helper()
	client := e.client(port, by)
	framework.SucceedsWithin(e.t, 30*time.Second, fmt.Sprintf("%s://%s is answered by %v", scheme, host, pods), func(context.Context) error {
		response, err := client.Get(scheme + "://" + host + "/hostname")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != http.StatusOK || !slices.Contains(pods, string(body))) {
			err = fmt.Errorf("got %s: %q", response.Status, body)
		}
		return err
	})
}
