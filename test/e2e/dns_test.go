// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

const namedServices = `apiVersion: v1
kind: Service
metadata: {name: named}
spec: {selector: {app: db}, ports: [{name: web, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: members}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: web, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: named.default.svc.cluster.local}
`

// names asks the DNS inside for every form of name that a cluster has. The StatefulSet db
// runs already. The DNS is asked over TCP, which kubectl forwards.
func names(t *testing.T, inside framework.Client) {
	inside.Apply(t, namedServices)
	resolver := dnsInside(t, inside)
	field := func(path string, what ...string) string {
		t.Helper()
		return inside.Do(t, append(append([]string{"get"}, what...), "-o", "jsonpath="+path)...)
	}
	service, first, second := field("{.spec.clusterIP}", "service", "named"), field("{.status.podIP}", "pod", "db-0"), field("{.status.podIP}", "pod", "db-1")
	both := []string{first, second}
	slices.Sort(both)
	const zone = ".default.svc.cluster.local."
	var members []string
	for _, address := range both {
		members = append(members, strings.ReplaceAll(address, ".", "-")+".members"+zone+":8080")
	}
	slices.Sort(members)
	hosts := func(name string) func(context.Context) ([]string, error) {
		return func(ctx context.Context) ([]string, error) { return resolver.LookupHost(ctx, name) }
	}
	reverse := func(address string) func(context.Context) ([]string, error) {
		return func(ctx context.Context) ([]string, error) { return resolver.LookupAddr(ctx, address) }
	}
	ports := func(name string) func(context.Context) ([]string, error) {
		return func(ctx context.Context) ([]string, error) {
			_, records, err := resolver.LookupSRV(ctx, "web", "tcp", name)
			var all []string
			for _, record := range records {
				all = append(all, fmt.Sprintf("%s:%d", record.Target, record.Port))
			}
			return all, err
		}
	}
	for name, test := range map[string]struct {
		ask  func(context.Context) ([]string, error)
		want []string
	}{
		"service":                 {hosts("named" + zone), []string{service}},
		"API server":              {hosts("kubernetes" + zone), []string{field("{.spec.clusterIP}", "service", "kubernetes")}},
		"headless service":        {hosts("db" + zone), both},
		"stateful pod":            {hosts("db-1.db" + zone), []string{second}},
		"pod by its address":      {hosts(strings.ReplaceAll(first, ".", "-") + ".default.pod.cluster.local."), []string{first}},
		"external name":           {hosts("alias" + zone), []string{service}},
		"port of a service":       {ports("named" + zone), []string{"named" + zone + ":80"}},
		"ports of a headless one": {ports("members" + zone), members},
		"address of a service":    {reverse(service), []string{"named" + zone}},
		"another kind of record": {func(ctx context.Context) ([]string, error) {
			return resolver.LookupTXT(ctx, "dns-version.cluster.local.")
		}, []string{"1.1.0"}},
		"name that does not exist": {hosts("nobody" + zone), nil},
		"external name, its alias": {func(ctx context.Context) ([]string, error) {
			alias, err := resolver.LookupCNAME(ctx, "alias"+zone)
			return []string{alias}, err
		}, []string{"named" + zone}},
	} {
		framework.SucceedsWithin(t, 20*time.Second, "the DNS answers for "+name, func(ctx context.Context) error {
			got, err := test.ask(ctx)
			var dns *net.DNSError
			if errors.As(err, &dns) && dns.IsNotFound && test.want == nil {
				return nil
			}
			if slices.Sort(got); err != nil || !slices.Equal(got, test.want) {
				return fmt.Errorf("got %q, %v, want %q", got, err, test.want)
			}
			return nil
		})
	}
	for i, address := range []string{first, second} {
		found, err := resolver.LookupAddr(t.Context(), address)
		if want := fmt.Sprintf("db-%d.db%s", i, zone); err != nil || !slices.Contains(found, want) {
			t.Errorf("names of %s: got %q, %v, want %s among them", address, found, err, want)
		}
	}

	// A name that was asked for too early, and one that leads elsewhere now.
	for range 2 {
		inside.Do(t, "create", "service", "clusterip", "nobody", "--tcp=80:8080")
		address := field("{.spec.clusterIP}", "service", "nobody")
		framework.SucceedsWithin(t, 5*time.Second, "the DNS knows a Service soon after it was made", func(ctx context.Context) error {
			got, err := resolver.LookupHost(ctx, "nobody"+zone)
			if err == nil && !slices.Equal(got, []string{address}) {
				err = fmt.Errorf("got %q, want %s", got, address)
			}
			return err
		})
		inside.Do(t, "delete", "service", "nobody")
		framework.SucceedsWithin(t, 5*time.Second, "the DNS forgets a Service soon after it was deleted", func(ctx context.Context) error {
			got, err := resolver.LookupHost(ctx, "nobody"+zone)
			if err == nil {
				return fmt.Errorf("got %q", got)
			}
			return nil
		})
	}
}

// namesByRule has the VirtualCluster say what names lead to: addresses, names inside, and the host's
// API server. The Service named runs already.
func namesByRule(t *testing.T, o tenantOf) {
	host, system := shared.Admin(), o.inside.In("kube-system")
	host.Do(t, "patch", "vc", "demo", "-n", o.ns, "--type=merge", "-p", `{"spec":{"dns":{"resolve":[
		{"name":"*.example.org","alias":"named.default.svc.cluster.local"},
		{"name":"db.example.org","addresses":["192.0.2.7","192.0.2.8"]},
		{"name":"host-api","service":{"namespace":"default","name":"kubernetes"}}]}}}`)
	framework.SucceedsWithin(t, 30*time.Second, "the DNS is to have the rules", func(context.Context) error {
		out, err := system.Try("get", "deployment", "coredns", "-o", `jsonpath={.spec.template.metadata.annotations}`)
		if err == nil && !strings.Contains(out, "garret.dev/dns-resolve") {
			err = errors.New(out)
		}
		return err
	})
	system.Do(t, "rollout", "status", "deployment/coredns", "--timeout=90s")
	named := o.inside.Do(t, "get", "service", "named", "-o", "jsonpath={.spec.clusterIP}")
	api := host.Do(t, "get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}")
	for name, want := range map[string][]string{
		"db.example.org.": {"192.0.2.7", "192.0.2.8"}, "web.example.org.": {named}, "host-api.": {api}, "named.default.svc.cluster.local.": {named},
	} {
		framework.SucceedsWithin(t, 60*time.Second, "the DNS answers for "+name, func(ctx context.Context) error {
			got, err := o.inside.Try("exec", "db-0", "--", "nslookup", name)
			if err != nil {
				return err
			}
			for _, address := range want {
				if !strings.Contains(got, address) {
					return fmt.Errorf("got %s, want %s", got, want)
				}
			}
			return nil
		})
	}
}

// embeddedDNS has the syncer answer instead of pods, for pods that run already, and back.
func embeddedDNS(t *testing.T, o tenantOf) {
	host, system := shared.Admin(), o.inside.In("kube-system")
	named := o.inside.Do(t, "get", "service", "named", "-o", "jsonpath={.spec.clusterIP}")
	resolves := func(name, want string) {
		t.Helper()
		framework.SucceedsWithin(t, 60*time.Second, "the DNS answers for "+name, func(context.Context) error {
			got, err := o.inside.Try("exec", "db-0", "--", "nslookup", name)
			if err == nil && !strings.Contains(got, want) {
				err = fmt.Errorf("got %s, want %s", got, want)
			}
			return err
		})
	}
	// pods is the Deployment of the DNS inside, and how many of its pods the host has.
	pods := func(want string) {
		t.Helper()
		framework.SucceedsWithin(t, 60*time.Second, "pods of the DNS: "+want, func(context.Context) error {
			deployment, err := system.Try("get", "deployment", "coredns", "--ignore-not-found", "-o", "name")
			if err != nil {
				return err
			}
			onHost, err := host.Try("get", "pods", "-n", o.ns, "-l", "garret.dev/cluster", "-o", `jsonpath={.items[?(@.metadata.annotations.garret\.dev/virtual-namespace=="kube-system")].metadata.annotations.garret\.dev/virtual-name}`)
			if got := fmt.Sprintf("%q %t", strings.TrimSpace(deployment), strings.Contains(onHost, "coredns-")); err == nil && got != want {
				err = errors.New(got)
			}
			return err
		})
	}
	host.Do(t, "patch", "vc", "demo", "-n", o.ns, "--type=merge", "-p", `{"spec":{"dns":{"embedded":true}}}`)
	pods(`"" false`)
	host.Do(t, "wait", "vc", "demo", "-n", o.ns, "--for=condition=Ready", "--timeout=60s")
	resolves("named.default.svc.cluster.local.", named)
	resolves("db.example.org.", "192.0.2.7")
	resolves("kubernetes.default.svc.cluster.local.", o.inside.Do(t, "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"))
	plane := host.Do(t, "get", "pods", "-n", o.ns, "-l", "app.kubernetes.io/instance=vc-demo", "-o", "jsonpath={.items[*].status.podIP}")
	framework.SucceedsWithin(t, 30*time.Second, "the Service of the DNS inside has the syncer as its endpoint", func(context.Context) error {
		addresses, err := system.Try("get", "endpointslices", "-l", "kubernetes.io/service-name=kube-dns", "-o", "jsonpath={.items[*].endpoints[*].addresses[*]}")
		if err == nil && addresses != plane {
			err = fmt.Errorf("got %q, want %s", addresses, plane)
		}
		return err
	})
	// The tenant has it lead to the kubelet of the same pod, and asks that through the DNS.
	address := system.Do(t, "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}")
	system.Do(t, "patch", "service", "kube-dns", "-p", `{"spec":{"ports":[{"name":"kubelet","port":10250,"targetPort":10250,"protocol":"TCP"}]}}`)
	if out, err := o.inside.Try("exec", "db-0", "--", "curl", "-ks", "--max-time", "2", "https://"+address+":10250/healthz"); err == nil {
		t.Errorf("the kubelet answers at the address of the DNS: %s", out)
	}
	resolves("named.default.svc.cluster.local.", named)

	host.Do(t, "patch", "vc", "demo", "-n", o.ns, "--type=merge", "-p", `{"spec":{"dns":{"embedded":false}}}`)
	pods(`"deployment.apps/coredns" true`)
	system.Do(t, "rollout", "status", "deployment/coredns", "--timeout=90s")
	resolves("named.default.svc.cluster.local.", named)
}

// dnsInside returns a resolver that asks the DNS of the virtual cluster.
func dnsInside(t *testing.T, inside framework.Client) *net.Resolver {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	command := inside.In("kube-system").Command(ctx, "kubectl", "port-forward", "service/kube-dns", ":53")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = command.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := forwarding.FindStringSubmatch(lines.Text()); match != nil {
			return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, "tcp", match[1])
			}}
		}
	}
	t.Fatal("port-forward to the DNS ended without an address")
	return nil
}
