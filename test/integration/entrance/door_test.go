// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const (
	clusters = "virtualclusters"
	proxy    = "virtualclusters/proxy"
)

// door is a way into virtual clusters.
type door struct {
	name string
	// url is the server's, by a name that its certificate has; address is where it listens.
	url, address string
	// authority verifies the server.
	authority []byte
	// path leads to a virtual cluster.
	path func(name, namespace string) string
	// resource is what the host lets those get who may enter; other is the other door's.
	resource, other string
	// methods says that the host is asked for the verb of each request. Otherwise it
	// is asked for get, and the rest is decided inside.
	methods bool
	// stranger is how somebody without a credential is refused.
	stranger int
}

// relayDoor is virtualclusters/proxy, through the host's API server.
func relayDoor() *door {
	return &door{
		name: "relay", url: shared.host.Config.Host, address: shared.host.Address, authority: shared.host.Config.CAData,
		path: proxyPath, resource: proxy, other: clusters, methods: true, stranger: http.StatusUnauthorized,
	}
}

// gatewayDoor is garret-apiserver's own address, which lets the unknown ask as system:anonymous.
func gatewayDoor() *door {
	return &door{
		name: "gateway", url: "https://" + byName(), address: shared.garret.Address, authority: shared.authority,
		path: v1.GatewayPath, resource: clusters, other: proxy, stranger: http.StatusForbidden,
	}
}

func proxyPath(name, namespace string) string { return objectPath(name, namespace) + "/proxy" }

// objectPath leads to a virtual cluster as an object.
func objectPath(name, namespace string) string {
	return "/apis/tenancy.garret.dev/v1/namespaces/" + namespace + "/virtualclusters/" + name
}

// byEachDoor runs a test once for each door, beside each other and beside other tests.
func byEachDoor(t *testing.T, test func(*testing.T, *door)) {
	t.Parallel()
	for _, d := range []*door{relayDoor(), gatewayDoor()} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, d)
		})
	}
}

// inside is the path of something in the virtual cluster.
func (d *door) inside(path string) string { return d.path(name, namespace) + path }

// kubectl is on the virtual cluster.
func (d *door) kubectl(t testing.TB, u framework.User) framework.Client {
	t.Helper()
	return u.Client(t, "https://"+d.address+d.inside(""), d.authority)
}

// config reaches the virtual cluster.
func (d *door) config(u framework.User) *rest.Config {
	return u.Config("https://"+d.address+d.inside(""), d.authority)
}

// refusal is what a user is told who lacks a right for the virtual cluster, of the
// host or inside.
func (d *door) refusal(u framework.User, verb, resource string) string {
	if d.methods && verb != "list" {
		return fmt.Sprintf("User %q cannot %s resource %q", u.Name, verb, proxy)
	}
	return fmt.Sprintf("User %q cannot %s resource %q", v1.HostUserPrefix+u.Name, verb, resource)
}

// account is a ServiceAccount of the host, under a name that was never there: one of
// the same name as before would be taken for that one for a while.
func account(t testing.TB, name string) framework.User {
	t.Helper()
	return shared.host.Account(t, elsewhere, name+"-"+utilrand.String(5))
}

// certified is a user with a client certificate of the host, under such a name.
func certified(t testing.TB, name string, groups ...string) framework.User {
	t.Helper()
	return shared.host.Certified(t, name+"-"+utilrand.String(5), groups...)
}

// chief is an administrator of the host.
func chief(t testing.TB) framework.User {
	t.Helper()
	return certified(t, "chief", "system:masters")
}

// reader may look into the virtual cluster and no more.
func (d *door) reader(t testing.TB) framework.User {
	t.Helper()
	return may(t, account(t, "reader"), namespace, to("get", d.resource, name))
}

// admin may work in the virtual cluster as its administrator.
func (d *door) admin(t testing.TB) framework.User {
	t.Helper()
	return may(t, account(t, "admin"), namespace, d.works()...)
}

// works are the rights of an administrator inside.
func (d *door) works() []rbacv1.PolicyRule {
	verbs := "create"
	if d.methods {
		verbs = "create,update,patch,delete"
	}
	return []rbacv1.PolicyRule{to("get", d.resource, name), to(verbs, proxy, name)}
}

// to is a rule about virtual clusters, or those of these names alone.
func to(verbs, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1.GroupName}, Resources: []string{resource}, Verbs: strings.Split(verbs, ","), ResourceNames: names}
}

// may gives a user rights on the host, in a namespace or everywhere.
func may(t testing.TB, u framework.User, in string, rules ...rbacv1.PolicyRule) framework.User {
	t.Helper()
	if len(rules) == 0 {
		return u
	}
	shared.host.Grant(t, u, in, rules...)
	for _, rule := range rules {
		of := ""
		if len(rule.ResourceNames) > 0 {
			of = rule.ResourceNames[0]
		}
		shared.host.AwaitAllowed(t, u, on(rule.Verbs[0], rule.Resources[0], in, of))
	}
	return u
}

// on is a verb on virtual clusters, or a subresource of them.
func on(verb, resource, namespace, name string) authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(resource, "/")
	return authorizationv1.ResourceAttributes{
		Group: v1.GroupName, Resource: resource, Subresource: subresource, Verb: verb, Namespace: namespace, Name: name,
	}
}

// insider is who a user of the host is inside.
func insider(u framework.User) framework.User {
	name := v1.HostUserPrefix + u.Name
	return framework.User{Name: name, Subject: rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}}
}

// editor binds a user to the ClusterRole edit inside, as spec.access would.
func editor(t testing.TB, u framework.User) framework.User {
	t.Helper()
	shared.virtual.BindClusterRole(t, insider(u), "", "edit")
	shared.virtual.AwaitAllowed(t, insider(u), onPods("create"))
	return u
}

// looker gives a user the right to get, inside, what pods can be entered by.
func looker(t testing.TB, u framework.User) framework.User {
	t.Helper()
	shared.virtual.Grant(t, insider(u), "", rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: []string{"get"},
		Resources: []string{"pods/exec", "pods/attach", "pods/portforward", "pods/proxy"}})
	shared.virtual.AwaitAllowed(t, insider(u), onPods("get"))
	return u
}

// onPods is a verb on pods/exec.
func onPods(verb string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Namespace: metav1.NamespaceDefault, Verb: verb, Resource: "pods", Subresource: "exec"}
}
