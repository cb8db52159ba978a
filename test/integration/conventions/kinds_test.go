// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"fmt"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// fields is a part of an object.
type fields = map[string]any

// kind is one of ours, with what the checks need to know about it.
type kind struct {
	kind, resource, singular, short string
	namespaced                      bool
	// status says whether there is a subresource status.
	status bool
	// doors says whether there are the subresources kubeconfig and proxy.
	doors bool
	// only is the name of the one object that there can be.
	only string

	// spec is a valid one, as small as it gets.
	spec fields
	// variant is a part of a spec that another number makes differ. Path leads to its one field.
	variant func(int) any
	path    []string
	// defaulted is a path that is filled in where it is left out, with its value.
	defaulted map[string]any
	// invalid is a part of a spec that is refused, by the field that is named.
	invalid map[string]fields
	// unresolved is the same where the refusal stands alone, since it keeps the rest from being judged.
	unresolved map[string]fields
	// immutable is a part of a spec that cannot be changed to, by the field that is named.
	immutable map[string]fields
	// merged are two lists, of which a strategic merge patch with the second
	// keeps the elements of the first, and the path of the list.
	merged     [2]fields
	mergedPath []string
	// free are two parts of a spec with another inside of a field that is free in its form,
	// and the path of that field, or of the list that it is in.
	free     [2]fields
	freePath []string
	// warned is a part of a spec that is answered with the warning.
	warned map[string]fields
	// selectable are the fields that select, with the value that an object with the spec above has.
	selectable map[string]string
	// longest is the length of the longest name.
	longest int
	// columns of a table; those of the second show with -o wide alone.
	columns, wide []string
	// condition is what the status's conditions are tried with.
	condition string
}

// kinds are all that the group serves. The one whose checks take turns, which is long, begins.
func kinds() []*kind { return []*kind{hostCluster(), virtualCluster(), virtualClusterTemplate()} }

// parameterised is a template with the parameters one and two.
const parameterised = "conventions"

func virtualCluster() *kind {
	parameter := func(name string) fields {
		return fields{"templateRef": fields{"name": parameterised, "parameters": []any{fields{"name": name, "value": "x"}}}}
	}
	return &kind{
		kind: "VirtualCluster", resource: "virtualclusters", singular: "virtualcluster", short: "vc",
		namespaced: true, status: true, doors: true,
		spec:    fields{},
		variant: func(i int) any { return []any{fmt.Sprintf("--v=%d", i)} },
		path:    []string{"spec", "syncer", "extraArgs"},
		defaulted: map[string]any{
			"spec.kubernetes.distro":               "k3s",
			"spec.kubernetes.version":              v1.DefaultKubernetesVersion,
			"spec.controlPlane.storage.persistent": true,
			"spec.controlPlane.storage.size":       v1.DefaultStorageSize,
			"spec.hostClusterRef.name":             v1.LocalHostCluster,
		},
		invalid: map[string]fields{
			"spec.kubernetes.version":                            {"kubernetes": fields{"version": "v1.99.0"}},
			"spec.kubernetes.distro":                             {"kubernetes": fields{"distro": "k0s"}},
			"spec.kubernetes.extraArgs[0]":                       {"kubernetes": fields{"extraArgs": []any{"--data-dir=/x"}}},
			"spec.syncer.extraArgs[1]":                           {"syncer": fields{"extraArgs": []any{"--v=2", "--uid=x"}}},
			"spec.controlPlane.resources.limits[memory]":         {"controlPlane": fields{"resources": fields{"limits": fields{"memory": "-1Gi"}}}},
			"spec.controlPlane.storage.whenDeleted":              {"controlPlane": fields{"storage": fields{"whenDeleted": "Keep"}}},
			"spec.controlPlane.datastore.endpointSecretRef.name": {"controlPlane": fields{"datastore": fields{"endpointSecretRef": fields{}}}},
			"spec.hostClusterRef.name":                           {"hostClusterRef": fields{"name": "elsewhere"}},
			"spec.access[0].clusterRole":                         {"access": []any{fields{"users": []any{"alice"}}}},
			"spec.kubeconfigSecret.name":                         {"kubeconfigSecret": fields{"name": "web", "format": "ClusterAPI", "clusterRole": "view"}},
			"spec.helm.values.serviceAccountName":                {"helm": fields{"values": fields{"serviceAccountName": "admin"}}},
			"spec.helm.values.networkPolicy.enabled":             {"helm": fields{"values": fields{"networkPolicy": fields{"enabled": "yes"}}}},
		},
		unresolved: map[string]fields{
			"spec.templateRef.version":            {"templateRef": fields{"name": parameterised, "version": "2.0.0"}},
			"spec.templateRef.name":               {"templateRef": fields{"name": "missing"}},
			"spec.templateRef.parameters[0].name": {"templateRef": fields{"name": parameterised, "parameters": []any{fields{"name": "three", "value": ""}}}},
		},
		merged:     [2]fields{parameter("one"), parameter("two")},
		mergedPath: []string{"spec", "templateRef", "parameters"},
		free: [2]fields{
			{"helm": fields{"values": fields{"syncer": fields{"resources": fields{"limits": fields{"memory": "64Mi"}}}}}},
			{"helm": fields{"values": fields{"syncer": fields{"resources": fields{"requests": fields{"memory": "16Mi"}}}}}},
		},
		freePath: []string{"spec", "helm", "values"},
		warned: map[string]fields{
			"spec.controlPlane.resources.limits[memory]: a control plane is killed": {"controlPlane": fields{"resources": fields{"limits": fields{"memory": "64Mi"}}}},
			"spec.access[0].users[0]: is the name inside":                           {"access": []any{fields{"users": []any{"host:alice"}, "clusterRole": "view"}}},
		},
		immutable: map[string]fields{
			"spec.kubernetes.distro":                     {"kubernetes": fields{"distro": "k8s"}},
			"spec.controlPlane.storage.persistent":       {"controlPlane": fields{"storage": fields{"persistent": false}}},
			"spec.controlPlane.storage.storageClassName": {"controlPlane": fields{"storage": fields{"storageClassName": "fast"}}},
			"spec.controlPlane.storage.size":             {"controlPlane": fields{"storage": fields{"size": "6Gi"}}},
			"spec.controlPlane.datastore":                {"controlPlane": fields{"datastore": fields{"endpointSecretRef": fields{"name": "db"}}}},
			"spec.kubernetes.version":                    {"kubernetes": fields{"version": "v1.36.3"}},
		},
		selectable: map[string]string{
			"status.phase":             "Pending",
			"spec.kubernetes.version":  v1.DefaultKubernetesVersion,
			"spec.hostClusterRef.name": v1.LocalHostCluster,
			"spec.templateRef.name":    "",
		},
		longest:   v1.MaxNameLength,
		columns:   []string{"Name", "Phase", "Version", "Age", "Note"},
		wide:      []string{"Distro", "Endpoint", "Cluster-ID", "Reason", "Message"},
		condition: v1.ConditionReady,
	}
}

func virtualClusterTemplate() *kind {
	version := func(name string) fields { return fields{"versions": []any{fields{"version": name}}} }
	return &kind{
		kind: "VirtualClusterTemplate", resource: "virtualclustertemplates", singular: "virtualclustertemplate", short: "vct",
		spec:    version("1.0.0"),
		variant: func(i int) any { return fmt.Sprintf("variant %d", i) },
		path:    []string{"spec", "description"},
		invalid: map[string]fields{
			"spec.versions":            {"versions": []any{}},
			"spec.versions[0].version": version("v1.0.0"),
			"spec.versions[1].version": {"versions": []any{fields{"version": "1.0.0"}, fields{"version": "one"}}},
		},
		merged:     [2]fields{version("1.0.0"), version("2.0.0")},
		mergedPath: []string{"spec", "versions"},
		free: [2]fields{
			{"versions": []any{fields{"version": "1.0.0", "defaults": fields{"controlPlane": fields{"storage": fields{"size": "1Gi"}}}}}},
			{"versions": []any{fields{"version": "1.0.0", "defaults": fields{"controlPlane": fields{"storage": fields{"whenDeleted": "Retain"}}}}}},
		},
		freePath: []string{"spec", "versions"},
		longest:  253,
		columns:  []string{"Name", "Versions", "Default", "Age"},
		wide:     []string{"Description"},
	}
}

func hostCluster() *kind {
	return &kind{
		kind: "HostCluster", resource: "hostclusters", singular: "hostcluster", short: "hc",
		status: true, only: v1.LocalHostCluster,
		spec:    fields{},
		variant: func(i int) any { return int64(1000 + i) },
		path:    []string{"spec", "maxVirtualClusters"},
		invalid: map[string]fields{
			"spec.maxVirtualClusters":         {"maxVirtualClusters": int64(-1)},
			"spec.defaultTemplateRef.name":    {"defaultTemplateRef": fields{"name": "a/b"}},
			"spec.defaultTemplateRef.version": {"defaultTemplateRef": fields{"name": "a", "version": "one"}},
		},
		warned: map[string]fields{
			"spec.defaultTemplateRef.name: there is no VirtualClusterTemplate missing": {"defaultTemplateRef": fields{"name": "missing"}},
		},
		longest:   len(v1.LocalHostCluster),
		columns:   []string{"Name", "Ready", "Version", "Virtual-Clusters", "Limit", "Age"},
		wide:      []string{"Default-Template", "Message"},
		condition: v1.ConditionReady,
	}
}
