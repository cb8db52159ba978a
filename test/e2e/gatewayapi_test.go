// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"k8s.io/client-go/util/cert"

	"garret.dev/garret/test/framework"
)

// gatewayAPI switches the kinds on.
const gatewayAPI = `{syncer: {toHost: {gateways: {enabled: true}, httpRoutes: {enabled: true}}}}`

// gatewayAPIShown has classes and a Gateway of the host shown inside, too.
const gatewayAPIShown = `{syncer: {toHost: {gateways: {enabled: true}, grpcRoutes: {enabled: true}, httpRoutes: {enabled: true}, tcpRoutes: {enabled: true}, tlsRoutes: {enabled: true}, udpRoutes: {enabled: true}, backendTLSPolicies: {enabled: true}},
	fromHost: {gatewayClasses: {enabled: true}, custom: [{apiVersion: gateway.networking.k8s.io/v1, resource: gateways, mappings: [{from: {namespace: ingress-system, name: public}, to: {namespace: edge, name: public}}]}]}}}`

// tenants are two virtual clusters behind one entrance.
type tenants struct {
	in *entrance
	// spaces are their namespaces on the host; the others are by those.
	spaces [2]string
	inside map[string]framework.Client
	pod    map[string]string
}

// gatewayKinds is the file of the Gateway API's own kinds.
func gatewayKinds(t *testing.T) string {
	root, err := framework.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "bin", "gateway-api-crds.yaml")
}

// runGatewayAPI has the host serve the kinds, before anybody asks for them.
func runGatewayAPI(t *testing.T) {
	admin := shared.Admin()
	admin.Do(t, "apply", "--server-side", "-f", gatewayKinds(t))
	admin.Established(t, "-f", gatewayKinds(t))
	admin.Apply(t, manifest(t, "ingress/gateway-host.yaml"))
}

// testGateways has a Gateway of a tenant, and one of the host that it is shown, lead to its pods.
func (e tenants) testGateways(t *testing.T) {
	const host = "gateway.company.example"
	admin, space, tenant := shared.Admin(), e.spaces[0], e.inside[e.spaces[0]]
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, []string{"tls." + host})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tenant.Do(t, "create", "secret", "tls", "web", "--cert="+filepath.Join(dir, "tls.crt"), "--key="+filepath.Join(dir, "tls.key"))
	tenant.Do(t, "create", "configmap", "authority", "--from-file=ca.crt="+filepath.Join(dir, "tls.crt"))
	tenant.Do(t, "wait", "--for=condition=Accepted", "gatewayclass/traefik", "--timeout=60s")
	tenant.Apply(t, strings.ReplaceAll(manifest(t, "ingress/gateway-secure.yaml"), "HOST", host))
	tenant.Apply(t, strings.ReplaceAll(manifest(t, "ingress/gateway.yaml"), "HOST", host))
	tenant.Apply(t, strings.ReplaceAll(manifest(t, "ingress/gateway-grpc.yaml"), "HOST", "grpc."+host))
	e.in.reaches("http", host, nil, e.pod[space])
	e.in.reaches("https", host, pool(t, certificate), e.pod[space])
	e.in.reaches("https", "tls."+host, pool(t, certificate), e.pod[space])
	e.in.answers("tcp", "http", "of.no.route", nil, e.pod[space])
	tenant.Do(t, "rollout", "status", "deployment/secure", "--timeout=60s")
	e.in.reaches("http", "secure.company.example", nil, tenant.Do(t, "get", "pods", "-l", "app=secure", "-o", "jsonpath={.items[0].metadata.name}"))
	tenant.Do(t, "rollout", "status", "deployment/health", "--timeout=60s")
	e.in.serves(t, "grpc."+host)
	e.leadsDatagrams(t)
	tenant.Do(t, "wait", `--for=jsonpath={.status.ancestors[0].conditions[?(@.type=="Accepted")].status}=True`, "backendtlspolicy/secure", "--timeout=60s")
	tenant.Do(t, "wait", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True`, "tcproute/shop", "--timeout=60s")

	tenant.Do(t, "wait", "--for=condition=Accepted", "gateway/web", "--timeout=60s")
	tenant.Do(t, "wait", "--for=condition=Programmed", "gateway/web", "--timeout=60s")
	tenant.Do(t, "wait", "--for=jsonpath={.status.addresses[0].value}="+e.in.node, "gateway/web", "--timeout=60s")
	tenant.Do(t, "wait", `--for=jsonpath={.status.listeners[?(@.name=="https")].attachedRoutes}=1`, "gateway/web", "--timeout=60s")
	tenant.Do(t, "wait", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True`, "httproute/shop", "--timeout=60s")
	for _, kind := range []string{"gateways", "grpcroutes", "httproutes", "tcproutes", "tlsroutes", "backendtlspolicies"} {
		name := admin.Do(t, "get", kind, "-n", space, "-o", "jsonpath={.items[0].metadata.name}")
		if status := tenant.Do(t, "get", kind, "-o", "jsonpath={.items[*].status}"); strings.Contains(status, name) || strings.Contains(status, space) {
			t.Errorf("the status of %s inside has names of the host: %s", kind, status)
		}
	}
	if got := tenant.Do(t, "get", "httproute/shop", "-o", "jsonpath={.status.parents[*].parentRef.name}"); got != "web" {
		t.Errorf("parent in the status: got %q, want web", got)
	}

	// A change that does not travel is one that the controller has seen.
	tenant.Do(t, "patch", "gateway/web", "--type=json", "-p", `[{"op":"replace","path":"/spec/listeners/0/allowedRoutes/namespaces/from","value":"Same"}]`)
	tenant.Do(t, "wait", `--for=jsonpath={.status.conditions[?(@.type=="Programmed")].observedGeneration}=2`, "gateway/web", "--timeout=60s")
	tenant.Do(t, "patch", "gateway/web", "--type=json", "-p", `[{"op":"replace","path":"/spec/listeners/0/allowedRoutes/namespaces/from","value":"All"}]`)

	tenant.Do(t, "create", "namespace", "edge")
	tenant.Apply(t, route("edge", "edge.company.example", "{name: public, namespace: edge}", "{name: shop, port: 80}"))
	e.in.reaches("http", "edge.company.example", nil, e.pod[space])
	tenant.Do(t, "wait", "--for=jsonpath={.status.parents[0].parentRef.namespace}=edge", "httproute/edge", "--timeout=60s")
	tenant.Do(t, "wait", "gateway/public", "-n", "edge", "--for=condition=Programmed", "--timeout=60s")

	tenant.Apply(t, manifest(t, "ingress/gateway-crossing.yaml"))
	e.in.reaches("http", "crossing.company.example", nil, e.pod[space])
	tenant.Do(t, "wait", "httproute/crossing", "-n", "edge", "--for=jsonpath={.status.parents[0].parentRef.namespace}=default", "--timeout=60s")
	tenant.Do(t, "delete", "referencegrant/crossing")
	tenant.Do(t, "wait", "httproute/crossing", "-n", "edge", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="ResolvedRefs")].reason}=RefNotPermitted`, "--timeout=60s")
	e.in.fails("crossing.company.example")
}

// fails waits until the controller itself answers for the host name that nothing is behind it.
func (e *entrance) fails(host string) {
	e.t.Helper()
	client := e.client("http", nil)
	framework.SucceedsWithin(e.t, 30*time.Second, host+" leads nowhere", func(context.Context) error {
		response, err := client.Get("http://" + host + "/hostname")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusInternalServerError {
			err = fmt.Errorf("got %s", response.Status)
		}
		return err
	})
}

// serves asks by gRPC for the health of what a host name leads to.
func (e *entrance) serves(t *testing.T, host string) {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(e.node, e.ports["http"]), grpc.WithAuthority(host), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	framework.SucceedsWithin(t, 30*time.Second, "by gRPC, "+host+" says that it serves", func(ctx context.Context) error {
		answer, err := healthv1.NewHealthClient(connection).Check(ctx, &healthv1.HealthCheckRequest{})
		if err == nil && answer.Status != healthv1.HealthCheckResponse_SERVING {
			err = fmt.Errorf("got %s", answer.Status)
		}
		return err
	})
}

// leadsDatagrams has a route of UDP on the host name what the tenant's Gateway and Service are called
// there. No controller of this host serves it, so one plays its part, and its verdict comes inside.
func (e tenants) leadsDatagrams(t *testing.T) {
	t.Helper()
	admin, space, tenant := shared.Admin(), e.spaces[0], e.inside[e.spaces[0]]
	var route string
	framework.Succeeds(t, "the host has the route of UDP", func(context.Context) (err error) {
		route, err = admin.Try("get", "udproutes", "-n", space, "-o", "jsonpath={.items[*].metadata.name}")
		if err == nil && route == "" {
			err = errors.New("there is none")
		}
		return err
	})
	of := func(kind, inside string) string {
		return admin.Do(t, "get", kind, "-n", space, "-o", `jsonpath={.items[?(@.metadata.annotations.garret\.dev/virtual-name=="`+inside+`")].metadata.name}`)
	}
	gateway, service := of("gateways", "web"), of("services", "shop")
	if got, want := admin.Do(t, "get", "udproute", route, "-n", space, "-o", "jsonpath={.spec.parentRefs[*].name} {.spec.rules[*].backendRefs[*].name}"), gateway+" "+service; got != want || gateway == "" || service == "" {
		t.Errorf("on the host, the route leads from %q, want %q", got, want)
	}
	admin.Do(t, "patch", "udproute", route, "-n", space, "--subresource=status", "--type=merge", "-p", `{"status":{"parents":[{"controllerName":"example.org/datagrams","parentRef":{"name":"`+gateway+`","sectionName":"udp"},
		"conditions":[{"type":"Accepted","status":"False","reason":"NotAllowedByListeners","message":"no listener of UDP","lastTransitionTime":"2026-01-01T00:00:00Z"}]}]}}`)
	tenant.Do(t, "wait", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].reason}=NotAllowedByListeners`, "udproute/shop", "--timeout=60s")
	if got := tenant.Do(t, "get", "udproute/shop", "-o", "jsonpath={.status.parents[*].parentRef.name}"); got != "web" {
		t.Errorf("parent of the route of UDP in the status: got %q, want web", got)
	}
	tenant.Do(t, "delete", "udproute/shop")
	admin.Do(t, "wait", "--for=delete", "udproute/"+route, "-n", space, "--timeout=60s")
}

// testForeignGateways has one tenant try to get at what the other one has behind its Gateway.
func (e tenants) testForeignGateways(t *testing.T) {
	admin, attacker := shared.Admin(), e.inside[e.spaces[1]]
	of := func(what, path string) string {
		return admin.Do(t, "get", what, "-n", e.spaces[0], "-o", "jsonpath={.items[0]."+path+"}")
	}
	gateway, service, secret := of("gateways", "metadata.name"), of("httproutes", "spec.rules[0].backendRefs[0].name"), of("gateways", "spec.listeners[1].tls.certificateRefs[0].name")

	in := ", namespace: " + e.spaces[0]
	for name, attack := range map[string]struct{ manifest, told string }{
		"gateway": {route("gateway", "stolen.example", "{name: "+gateway+in+"}", "{name: shop, port: 80}"), "spec.parentRefs[0].namespace"},
		"service": {route("service", "stolen.example", "{name: own}", "{name: "+service+", port: 80"+in+"}"), "backendRefs[0].namespace"},
		"shown":   {route("shown", "stolen.example", "{name: public, namespace: ingress-system}", "{name: shop, port: 80}"), "spec.parentRefs[0].namespace"},
		"secret":  {listening("secret", "{name: "+secret+in+"}"), "certificateRefs[0].namespace"},
	} {
		attacker.Apply(t, attack.manifest)
		framework.SucceedsWithin(t, time.Minute, "an Event inside tells that "+name+" is refused", func(context.Context) error {
			out, err := attacker.Try("get", "events", "--field-selector=involvedObject.name="+name, "-o", "jsonpath={.items[*].message}")
			if err == nil && !strings.Contains(out, attack.told) {
				err = fmt.Errorf("got %q, want %s in it", out, attack.told)
			}
			return err
		})
	}
	// Names of the host lead to nothing, where they stand for names inside.
	attacker.Apply(t, listening("own", "{name: "+secret+"}"))
	attacker.Apply(t, route("guessed", "guessed.example", "{name: own}, {name: "+gateway+"}", "{name: "+service+", port: 80}"))
	attacker.Do(t, "wait", `--for=jsonpath={.status.listeners[0].conditions[?(@.type=="ResolvedRefs")].reason}=InvalidCertificateRef`, "gateway/own", "--timeout=60s")
	attacker.Do(t, "wait", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="ResolvedRefs")].status}=False`, "httproute/guessed", "--timeout=60s")
	attacker.Do(t, "wait", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="ResolvedRefs")].reason}=RefNotPermitted`, "httproute/service", "--timeout=60s")
	attacker.Do(t, "wait", `--for=jsonpath={.status.listeners[0].conditions[?(@.type=="ResolvedRefs")].reason}=RefNotPermitted`, "gateway/secret", "--timeout=60s")
	e.in.fails("stolen.example")
	var names string
	framework.Succeeds(t, "the host has all of them", func(context.Context) (err error) {
		names, err = admin.Try("get", "gateways,httproutes", "-n", e.spaces[1], "-o", "jsonpath={.items[*].spec}")
		if err == nil && (!strings.Contains(names, "guessed.example") || strings.Count(names, "stolen.example") != 3) {
			err = fmt.Errorf("got %s", names)
		}
		return err
	})
	for _, foreign := range []string{gateway, service, secret, e.spaces[0], "ingress-system"} {
		if strings.Contains(names, `"`+foreign+`"`) {
			t.Errorf("on the host, the attacker's names %q: %s", foreign, names)
		}
	}

	// A route of another namespace of the host, by whomever: the listener says that it takes everybody's.
	admin.Apply(t, strings.Replace(route("stranger", "stranger.example", "{name: "+gateway+in+"}", "{name: shop, port: 80}"), "{name: stranger}", "{name: stranger, namespace: "+e.spaces[1]+"}", 1))
	admin.Do(t, "wait", `--for=jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].reason}=NotAllowedByListeners`, "httproute/stranger", "-n", e.spaces[1], "--timeout=60s")
}

// route leads a host name by parents to a backend.
func route(name, host, parents, backend string) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  hostnames: [%s]
  parentRefs: [%s]
  rules: [{backendRefs: [%s]}]
`, name, host, parents, backend)
}

// listening is a Gateway that serves a certificate, and HTTP without.
func listening(name, certificate string) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s}
spec:
  gatewayClassName: traefik
  listeners:
  - {name: https, port: 8443, protocol: HTTPS, tls: {certificateRefs: [%s]}}
  - {name: http, port: 8000, protocol: HTTP}
`, name, certificate)
}
