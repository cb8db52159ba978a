// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// need is a right on the host.
type need struct {
	// namespace is empty for the one of the virtual cluster.
	namespace                                string
	verb, group, resource, subresource, name string
	// itself says that it is about the virtual cluster, whose name is name then.
	itself bool
	// because says what the right stands for, and remedy who can lift the refusal.
	because, remedy string
}

// lent is a field of the spec that Garret acts on with rights of its own. Who writes
// such a field needs the same rights, or Garret would lend them to anybody who may
// create a VirtualCluster.
type lent struct {
	// field is the path below spec.
	field string
	// needs are the rights that it takes to bring the field from old to now. Old is
	// empty for a new virtual cluster.
	needs func(now, old *tenancy.VirtualClusterSpec) []need
}

// lentFields are all fields that lend rights. A test finds each field that names
// something, and wants it here or among those that lend nothing.
var lentFields = []lent{
	{"controlPlane.datastore.endpointSecretRef", secretOfDatastore},
	{"kubeconfigSecret", keptKubeconfig},
	{"isolation.podSecurity", levelOfPods},
	{"isolation.resourceQuota", func(now, old *tenancy.VirtualClusterSpec) []need {
		return deployed("resourcequotas", now.Isolation.ResourceQuota, old.Isolation.ResourceQuota)
	}},
	{"isolation.limitRange", func(now, old *tenancy.VirtualClusterSpec) []need {
		return deployed("limitranges", now.Isolation.LimitRange, old.Isolation.LimitRange)
	}},
	{"syncer.toHost.networkPolicies", madeOnHost("networking.k8s.io", v1.ResourcePolicies, "all NetworkPolicies of a namespace add up")},
	{"syncer.toHost.resourceClaims", madeOnHost("resource.k8s.io", v1.ResourceDeviceClaims, "the claims take devices of the host")},
	{"syncer.toHost.serviceAccounts", madeOnHost("", v1.ResourceServiceAccounts, "the host may trust the ServiceAccounts of the namespace")},
	{"syncer.fromHost.configMaps", func(now, old *tenancy.VirtualClusterSpec) []need {
		return shownInside(v1.ResourceConfigMaps, now.Syncer.FromHost.ConfigMaps, old.Syncer.FromHost.ConfigMaps)
	}},
	{"syncer.fromHost.secrets", func(now, old *tenancy.VirtualClusterSpec) []need {
		return shownInside(v1.ResourceSecrets, now.Syncer.FromHost.Secrets, old.Syncer.FromHost.Secrets)
	}},
	{"syncer.toHost.custom", kindsWithRules},
	{"syncer.toHost.backendTLSPolicies", builtInKind(v1.ResourceBackendTLSPolicies)},
	{"syncer.toHost.gateways", builtInKind(v1.ResourceGateways)},
	{"syncer.toHost.grpcRoutes", builtInKind(v1.ResourceGRPCRoutes)},
	{"syncer.toHost.httpRoutes", builtInKind(v1.ResourceHTTPRoutes)},
	{"syncer.toHost.tcpRoutes", builtInKind(v1.ResourceTCPRoutes)},
	{"syncer.toHost.tlsRoutes", builtInKind(v1.ResourceTLSRoutes)},
	{"syncer.toHost.udpRoutes", builtInKind(v1.ResourceUDPRoutes)},
	{"syncer.toHost.volumeSnapshots", builtInKind(v1.ResourceSnapshots)},
	{"syncer.fromHost.custom", customShownInside},
	{"syncer.fromHost.services.mappings", mappedServices},
	{"syncer.toHost.services.mappings", namedServices},
	{"dns.resolve", resolvedServices},
	{"sleep.deleteAfterInactivity", deletedUnused},
}

// secretOfDatastore is for the Secret that the control plane mounts. Its state is
// told in the status, too.
func secretOfDatastore(now, old *tenancy.VirtualClusterSpec) []need {
	if now.ControlPlane.Datastore == nil || now.ControlPlane.Datastore.EndpointSecretRef.Name == "" ||
		equality.Semantic.DeepEqual(now.ControlPlane.Datastore, old.ControlPlane.Datastore) {
		return nil
	}
	return []need{{
		verb: "get", resource: "secrets", name: now.ControlPlane.Datastore.EndpointSecretRef.Name,
		because: "Garret reads the Secret for the virtual cluster", remedy: "name a Secret that you may get, or have that right granted to you",
	}}
}

// keptKubeconfig is for a kubeconfig that everybody gets who may read the Secret. Taking
// it away lends nothing.
func keptKubeconfig(now, old *tenancy.VirtualClusterSpec) []need {
	if now.KubeconfigSecret == nil || equality.Semantic.DeepEqual(now.KubeconfigSecret, old.KubeconfigSecret) {
		return nil
	}
	return []need{
		{
			verb: "create", group: tenancy.GroupName, resource: "virtualclusters", subresource: "kubeconfig", itself: true,
			because: "whoever may read the Secret has such a kubeconfig", remedy: "leave the field as it is, or have that right granted to you",
		},
		{
			verb: "create", resource: v1.ResourceSecrets,
			because: "tools on the host act on Secrets of the namespace", remedy: "leave the field as it is, or have that right granted to you",
		},
	}
}

// levelOfPods is for the one level that opens the host's nodes. It makes no
// difference whether a template sets it: anybody can choose a template.
func levelOfPods(now, old *tenancy.VirtualClusterSpec) []need {
	if now.Isolation.PodSecurity != tenancy.PodSecurityPrivileged || old.Isolation.PodSecurity == tenancy.PodSecurityPrivileged {
		return nil
	}
	return []need{{
		verb: v1.VerbUse, group: tenancy.GroupName, resource: v1.ResourcePodSecurityLevels, name: string(tenancy.PodSecurityPrivileged),
		because: "privileged pods control the host's nodes",
		remedy: fmt.Sprintf("choose %s or %s, or have an administrator bind the ClusterRole %s to you",
			tenancy.PodSecurityBaseline, tenancy.PodSecurityRestricted, v1.RolePrivilegedPods),
	}}
}

// deletedUnused is for the deletion that the controller makes, and for what does not count as use then.
// Who takes it back, or puts it off, needs no right.
func deletedUnused(now, old *tenancy.VirtualClusterSpec) []need {
	after, before := now.Sleep.DeleteAfterInactivity, old.Sleep.DeleteAfterInactivity
	ignored := len(now.Sleep.Ignore) > 0 && !equality.Semantic.DeepEqual(now.Sleep.Ignore, old.Sleep.Ignore)
	if after == nil || before != nil && after.Duration >= before.Duration && !ignored {
		return nil
	}
	return []need{{
		verb: "delete", group: tenancy.GroupName, resource: "virtualclusters", itself: true,
		because: "Garret deletes the virtual cluster for you", remedy: "leave the field out, or have that right granted to you",
	}}
}

// deployed is for an object that garret-controller keeps in the namespace.
func deployed[T any](resource string, now, old *T) []need {
	verb := "update"
	switch {
	case equality.Semantic.DeepEqual(now, old):
		return nil
	case old == nil:
		verb = "create"
	case now == nil:
		verb = "delete"
	}
	return []need{{
		verb: verb, resource: resource, because: "the object holds for the whole namespace",
		remedy: "leave the field as it is, or have that right granted to you",
	}}
}

// madeOnHost is for a kind whose objects on the host mean something to others of the namespace,
// switched on by field or by flag.
func madeOnHost(group, resource, because string) func(now, old *tenancy.VirtualClusterSpec) []need {
	return func(now, old *tenancy.VirtualClusterSpec) []need {
		if !syncs(now, resource) || syncs(old, resource) {
			return nil
		}
		return []need{{
			verb: "create", group: group, resource: resource,
			because: because, remedy: "leave the kind off, or have that right granted to you",
		}}
	}
}

// shownInside is for objects of the namespace that everybody inside may read. One that is shown
// already lends nothing under another name.
func shownInside(resource string, now, old tenancy.ObjectsFromHost) []need {
	known := map[string]bool{}
	for _, mapping := range old.Mappings {
		known[mapping.From.Name] = true
	}
	var needs []need
	for _, mapping := range now.Mappings {
		if known[mapping.From.Name] {
			continue
		}
		known[mapping.From.Name] = true
		needs = append(needs, need{
			verb: "get", resource: resource, name: mapping.From.Name,
			because: "Garret shows the object inside the virtual cluster", remedy: "name an object that you may get, or have that right granted to you",
		})
	}
	return needs
}

// builtInKind is for a kind with a rule of Garret's own. Tenants then write its objects on the host.
func builtInKind(resource string) func(now, old *tenancy.VirtualClusterSpec) []need {
	return func(now, old *tenancy.VirtualClusterSpec) []need {
		built, on := switchedOn(now, resource)
		if _, before := switchedOn(old, resource); !on || before {
			return nil
		}
		kind := built.Rule.Synced()
		var needs []need
		for _, verb := range kind.Verbs {
			needs = append(needs, need{
				verb: verb, group: kind.Group, resource: kind.Resource,
				because: "tenants get that right for what goes to the host", remedy: "leave the kind off, or have that right granted to you",
			})
		}
		return needs
	}
}

// switchedOn is the kind with its rule, and whether the spec has it on.
func switchedOn(spec *tenancy.VirtualClusterSpec, resource string) (v1.BuiltInKind, bool) {
	external := &v1.SyncerSpec{}
	if err := v1.Convert_tenancy_SyncerSpec_To_v1_SyncerSpec(&spec.Syncer, external, nil); err != nil {
		return v1.BuiltInKind{}, false
	}
	for _, built := range external.BuiltIn() {
		if built.Rule.Resource == resource {
			return built, built.Enabled != nil && *built.Enabled
		}
	}
	return v1.BuiltInKind{}, false
}

// customShownInside is for objects of any namespace of the host that everybody inside may read. Who
// has one shown needs what the syncer gets.
func customShownInside(now, old *tenancy.VirtualClusterSpec) []need {
	type shown struct {
		apiVersion, resource string
		from                 tenancy.CustomSource
	}
	known := map[shown]bool{}
	each := func(spec *tenancy.VirtualClusterSpec, do func(shown)) {
		for i := range spec.Syncer.FromHost.Custom {
			kind := &spec.Syncer.FromHost.Custom[i]
			for j := range kind.Mappings {
				do(shown{kind.APIVersion, kind.Resource, kind.Mappings[j].From})
			}
		}
	}
	each(old, func(s shown) { known[s] = true })
	var needs []need
	each(now, func(s shown) {
		if known[s] {
			return
		}
		known[s] = true
		external := &v1.KindFromHost{APIVersion: s.apiVersion, Resource: s.resource}
		kind, name := external.Synced(), s.from.Name
		if name == v1.AllNames {
			name = ""
		}
		for _, verb := range kind.Verbs {
			needs = append(needs, need{
				namespace: s.from.Namespace, verb: verb, group: kind.Group, resource: kind.Resource, name: name,
				because: "Garret shows that inside the virtual cluster", remedy: "name what you may read, or have that right granted to you",
			})
		}
	})
	return needs
}

// kindsWithRules is for the kinds whose objects tenants write on the host through the
// syncer. A rule that changes may open another field, so that it takes the rights again.
func kindsWithRules(now, old *tenancy.VirtualClusterSpec) []need {
	var needs []need
	for i := range now.Syncer.ToHost.Custom {
		rule := &now.Syncer.ToHost.Custom[i]
		if slices.ContainsFunc(old.Syncer.ToHost.Custom, func(o tenancy.KindRule) bool { return equality.Semantic.DeepEqual(*rule, o) }) {
			continue
		}
		external := &v1.KindRule{APIVersion: rule.APIVersion, Resource: rule.Resource}
		kind := external.Synced()
		for _, verb := range kind.Verbs {
			needs = append(needs, need{
				verb: verb, group: kind.Group, resource: kind.Resource,
				because: "tenants get that right for what the rule lets through",
				remedy:  "leave the rule out, or have that right granted to you",
			})
		}
	}
	return needs
}

// syncs tells whether a spec has the kind synced. One that does not convert is refused elsewhere.
func syncs(spec *tenancy.VirtualClusterSpec, resource string) bool {
	external := &v1.SyncerSpec{}
	if err := v1.Convert_tenancy_SyncerSpec_To_v1_SyncerSpec(&spec.Syncer, external, nil); err != nil {
		return false
	}
	selection, err := v1.SelectByArgs(external.Args())
	return err == nil && selection[resource]
}

// rights asks the host whether who writes a spec has the rights that it lends.
type rights struct {
	authorizer authorizer.UnconditionalAuthorizer
}

// check refuses what the user of the request may not do on the host. The answer
// does not depend on whether there is what a field names. Errors are API errors.
func (r rights) check(ctx context.Context, vc *tenancy.VirtualCluster, old *tenancy.VirtualClusterSpec) error {
	for _, field := range lentFields {
		for _, need := range field.needs(&vc.Spec, old) {
			if err := r.one(ctx, vc, field.field, need); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r rights) one(ctx context.Context, vc *tenancy.VirtualCluster, field string, need need) error {
	writer, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return apierrors.NewInternalError(errors.New("the request has no user"))
	}
	if need.itself {
		need.name = vc.Name
	}
	namespace := cmp.Or(need.namespace, genericapirequest.NamespaceValue(ctx))
	decision, _, err := r.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: writer, Verb: need.verb, Namespace: namespace, APIGroup: need.group, APIVersion: "v1",
		Resource: need.resource, Subresource: need.subresource, Name: need.name, ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return nil
	}
	object := need.resource
	if need.subresource != "" {
		object += "/" + need.subresource
	}
	if need.group != "" {
		object += "." + need.group
	}
	if need.name != "" {
		object = fmt.Sprintf("%s %q", object, need.name)
	}
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("whether user %q may %s %s in the namespace %s: %w", writer.GetName(), need.verb, object, namespace, err))
	}
	path := specPath.Child(field).String()
	message := fmt.Sprintf("user %q cannot %s %s in the namespace %q, and %s: %s", writer.GetName(), need.verb, object, namespace, need.because, need.remedy)
	refused := apierrors.NewForbidden(tenancy.Resource("virtualclusters"), nameOf(vc), fmt.Errorf("%s: %s", path, message))
	refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeForbidden, Field: path, Message: message}}
	return refused
}
