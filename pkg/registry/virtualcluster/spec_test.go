// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
)

type specChange = func(*tenancy.VirtualClusterSpec)

func specOf(changes ...specChange) tenancy.VirtualClusterSpec {
	var spec tenancy.VirtualClusterSpec
	for _, change := range changes {
		change(&spec)
	}
	return spec
}

func datastoreIn(secret string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.ControlPlane.Datastore = &tenancy.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: secret}}
	}
}

func level(level tenancy.PodSecurityLevel) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Isolation.PodSecurity = level }
}

func quotaOfPods(pods string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Isolation.ResourceQuota = &corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}}
	}
}

func policies(on bool) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Syncer.ToHost.NetworkPolicies.Enabled = &on }
}

func ruled(path string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Syncer.ToHost.Custom = []tenancy.KindRule{{APIVersion: "example.org/v1", Resource: "widgets", Fields: []tenancy.FieldRule{{Path: path}}}}
	}
}

// widgetsOf has widgets of namespaces of the host shown: NAMESPACE/NAME, or /NAME of its own.
func widgetsOf(sources ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		kind := tenancy.KindFromHost{APIVersion: "example.org/v1", Resource: "widgets"}
		for _, source := range sources {
			namespace, name, _ := strings.Cut(source, "/")
			kind.Mappings = append(kind.Mappings, tenancy.CustomMapping{From: tenancy.CustomSource{Namespace: namespace, Name: name}, To: tenancy.CustomTarget{Namespace: "shop"}})
		}
		spec.Syncer.FromHost.Custom = append(spec.Syncer.FromHost.Custom, kind)
	}
}

func routes(on bool) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Syncer.ToHost.HTTPRoutes.Enabled = &on }
}

func flag(arg string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Syncer.ExtraArgs = []string{arg} }
}

func shown(names ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		for _, name := range names {
			mapping := tenancy.ObjectMapping{From: tenancy.HostObjectName{Name: name}, To: tenancy.InsideObjectName{Namespace: "default", Name: "here"}}
			spec.Syncer.FromHost.ConfigMaps.Mappings = append(spec.Syncer.FromHost.ConfigMaps.Mappings, mapping)
			spec.Syncer.FromHost.Secrets.Mappings = append(spec.Syncer.FromHost.Secrets.Mappings, mapping)
		}
	}
}

// shows has the spec show Services: NAMESPACE/NAME of the host, with @NAMESPACE/NAME of a virtual cluster behind.
func shows(sources ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		for _, text := range sources {
			service, cluster, inOther := strings.Cut(text, "@")
			var source tenancy.ServiceSource
			source.Namespace, source.Name, _ = strings.Cut(service, "/")
			if inOther {
				source.VirtualCluster = &tenancy.VirtualClusterName{}
				source.VirtualCluster.Namespace, source.VirtualCluster.Name, _ = strings.Cut(cluster, "/")
			}
			spec.Syncer.FromHost.Services.Mappings = append(spec.Syncer.FromHost.Services.Mappings, tenancy.ServiceMapping{From: source})
		}
	}
}

// leads has a name inside lead to a Service of the host.
func leads(namespace, name string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.DNS.Resolve = append(spec.DNS.Resolve, tenancy.ResolveRule{Name: "db.example.org", Service: &tenancy.ServiceSource{Namespace: namespace, Name: name}},
			tenancy.ResolveRule{Name: "web.example.org", Alias: "example.org"})
	}
}

// calls gives a Service inside a name on the host.
func calls(from, to string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Syncer.ToHost.Services.Mappings = []tenancy.HostServiceMapping{{From: tenancy.ServiceName{Namespace: "default", Name: from}, To: to}}
	}
}

// keeps has a Secret of the namespace hold a kubeconfig.
func keeps(secret, role string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.KubeconfigSecret = &tenancy.KubeconfigSecret{Name: secret, ClusterRole: role}
	}
}

func ranges(kind corev1.LimitType) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Isolation.LimitRange = &corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: kind}}}
	}
}

// gone deletes the virtual cluster after hours without use.
func gone(hours int, ignored ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Sleep.DeleteAfterInactivity = &metav1.Duration{Duration: time.Duration(hours) * time.Hour}
		for _, user := range ignored {
			spec.Sleep.Ignore = append(spec.Sleep.Ignore, tenancy.IgnoredRequests{Users: []string{user}})
		}
	}
}
