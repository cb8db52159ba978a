// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kinds that a syncer carries between a virtual cluster and its host, by the
// names that its flags use.
const (
	ResourceBudgets        = "poddisruptionbudgets"
	ResourceConfigMaps     = "configmaps"
	ResourceEndpointSlices = "endpointslices"
	ResourceEvents         = "events"
	ResourceIngresses      = "ingresses"
	ResourceClaims         = "persistentvolumeclaims"
	ResourceVolumes        = "persistentvolumes"
	ResourcePolicies       = "networkpolicies"
	ResourcePods           = "pods"
	ResourceSecrets        = "secrets"
	ResourceServices       = "services"

	ResourceServiceAccounts = "serviceaccounts"

	ResourceGatewayClasses = "gatewayclasses"
	// ResourceDeviceClaims are claims of devices; those of volumes are ResourceClaims.
	ResourceDeviceClaims  = "resourceclaims"
	ResourceDeviceClasses = "deviceclasses"

	ResourceIngressClasses  = "ingressclasses"
	ResourcePriorityClasses = "priorityclasses"
	ResourceRuntimeClasses  = "runtimeclasses"
	ResourceStorageClasses  = "storageclasses"
	ResourceSnapshotClasses = "volumesnapshotclasses"

	// ResourceAttributesClasses are classes of attributes that volumes may change.
	ResourceAttributesClasses = "volumeattributesclasses"
	ResourceCSIDrivers        = "csidrivers"
	ResourceCSINodes          = "csinodes"
	ResourceCSICapacities     = "csistoragecapacities"

	// ResourceSnapshotContents are those of the host that are shown inside.
	ResourceSnapshotContents = "volumesnapshotcontents"

	// OwnStorageClasses are those of the tenant, which go to the host; ResourceStorageClasses
	// are the host's.
	OwnStorageClasses = "ownstorageclasses"
	// OwnSnapshotContents are those of the tenant; ResourceSnapshotContents are the host's.
	OwnSnapshotContents = "ownvolumesnapshotcontents"
)

// Flags of the syncer that choose among the kinds of the catalogue. Each takes
// names with commas between them, and may be given several times.
const (
	FlagSyncResources        = "sync-resources"
	FlagDisableSyncResources = "disable-sync-resources"
)

// Kinds of the objects inside that a Companion stands for: the values of AnnotationVirtualKind.
const (
	VirtualKindPod       = "Pod"
	VirtualKindNamespace = "Namespace"
	// VirtualKindMapping is a Service that the VirtualCluster gives a further name on the host.
	VirtualKindMapping = "ServiceMapping"
)

// Direction says which side of a synced kind is written.
type Direction string

const (
	// ToHost kinds have a twin on the host for each object inside.
	ToHost Direction = "to the host"
	// FromHost kinds are read on the host and shown inside.
	FromHost Direction = "from the host"
)

// SyncedKind is a row of the catalogue. The flags of the syncer and what they may
// say, its Role on the host, what the controller clears away, and docs/sync.md follow from it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SyncedKind struct {
	// Group, Version and Resource name the kind on the host.
	Group, Version, Resource string
	// As is the name of the row where another has that of the resource.
	As        string
	Direction Direction
	// Default says that the kind is synced unless it is switched off.
	Default bool
	// Namespaced is false for a kind whose objects belong to no namespace.
	Namespaced bool
	// Defined says that a CustomResourceDefinition makes the kind, which a host may be without.
	// The syncer has the virtual cluster serve it.
	Defined bool
	// Since is the first minor of Kubernetes that serves the kind in this version. It is empty for
	// what every host serves. Without the kind, a host has it off unless somebody asks for it by name.
	Since string
	// HoldsData says that what is lost with a host object cannot be made again. Such
	// an object is deleted only together with the one inside, or with the virtual cluster.
	HoldsData bool
	// Verbs are the syncer's on the host.
	Verbs []string
	// Role names the ClusterRole that has them, for a kind that syncers have in the whole host
	// cluster. garret-controller lends those of ClusterRoles, by bindings of the same names, and
	// an administrator of the host RoleHostNodes.
	Role string
	// Subresources are those that the syncer uses on the host.
	Subresources []Subresource
	// Companions are objects of other kinds that come with this one.
	Companions []Companion
	// Reports are what other APIs of the host tell of its objects.
	Reports []Report
	// Needs are the kinds without which this one is not synced. They stand before it.
	Needs []string
	// Words say in docs/sync.md which objects are synced.
	Words string
}

// Subresource is what the syncer may do with some subresources of a kind.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Subresource struct {
	Names, Verbs []string
}

// Companion is a host object that the syncer makes for an object inside of another
// kind, whether or not the kind of the host object is synced.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Companion struct {
	// Resource is its kind on the host, one of the catalogue.
	Resource string
	// VirtualKind is the kind inside that it stands for, as in AnnotationVirtualKind.
	VirtualKind string
	// Verbs are the syncer's on the host.
	Verbs []string
}

// Report is a resource of another API that tells something of the objects of a kind,
// under the same names. A host may be without that API.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Report struct {
	Group, Resource string
	// Verbs are the syncer's on the host.
	Verbs []string
}

// Everywhere says that the syncer has its rights on the kind in the whole host cluster.
func (k SyncedKind) Everywhere() bool { return k.Role != "" }

// OfNodes says that the kind tells of the host's nodes. It is shown where they are.
func (k SyncedKind) OfNodes() bool { return k.Role == RoleHostNodes }

// GroupVersionResource names the kind on the host.
func (k SyncedKind) GroupVersionResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
}

// Name is what flags and selections call the row.
func (k SyncedKind) Name() string {
	if k.As != "" {
		return k.As
	}
	return k.Resource
}

func reading() []string { return []string{"get", "list", "watch"} }

func writing() []string {
	return []string{"get", "list", "watch", "create", "update", "patch", "delete"}
}

// Catalogue lists every kind that can be synced. A kind comes after those that it
// needs, which is the order in which host objects go: somebody on the host may
// make the slices of a Service again while there is the Service.
func Catalogue() []SyncedKind {
	return []SyncedKind{
		{
			Version: "v1", Resource: ResourcePods, Direction: ToHost, Default: true, Namespaced: true, Verbs: writing(),
			Subresources: []Subresource{
				// What the virtual kubelet serves. A WebSocket is opened by GET, and the host
				// asks for create besides.
				{[]string{"exec", "attach", "portforward"}, []string{"get", "create"}},
				{[]string{"log"}, []string{"get"}},
				{[]string{"ephemeralcontainers", "resize"}, []string{"get", "update", "patch"}},
				// Readiness gates of the workloads inside are set on the host's pod.
				{[]string{"status"}, []string{"get", "patch"}},
			},
			Companions: []Companion{
				// The tokens of its ServiceAccount, and the variables that announce Services.
				{ResourceSecrets, VirtualKindPod, writing()},
				{ResourceConfigMaps, VirtualKindNamespace, writing()},
			},
			// What its containers use of CPU and memory.
			Reports: []Report{{"metrics.k8s.io", ResourcePods, []string{"list"}}},
			Words:   "all, with their logs, `exec`, `attach` and `port-forward`",
		},
		{
			Version: "v1", Resource: ResourceServices, Direction: ToHost, Default: true, Namespaced: true, Verbs: writing(),
			Companions: []Companion{{ResourceServices, VirtualKindMapping, writing()}},
			Words:      "all but those of type ExternalName; the host allocates their addresses",
		},
		{
			Group: "discovery.k8s.io", Version: "v1", Resource: ResourceEndpointSlices, Direction: ToHost, Default: true, Namespaced: true,
			Verbs: writing(), Needs: []string{ResourceServices},
			Words: "those of Services without a selector, with the addresses of own pods and of ranges that the HostCluster names; the host makes the others itself",
		},
		{
			Version: "v1", Resource: ResourceClaims, Direction: ToHost, Default: true, Namespaced: true, HoldsData: true, Verbs: writing(),
			Words: "all; see [volumes.md](volumes.md)",
		},
		{
			Version: "v1", Resource: ResourceVolumes, Direction: ToHost, HoldsData: true, Verbs: writing(), Role: RoleHostVolumes,
			Needs: []string{ResourceClaims},
			Words: "the tenant's, once a claim inside is bound to one, as the HostCluster allows; see [volumes of the tenant](volumes.md#volumes-of-the-tenant)",
		},
		{
			Group: "storage.k8s.io", Version: "v1", Resource: ResourceStorageClasses, As: OwnStorageClasses, Direction: ToHost, Verbs: writing(), Role: RoleHostStorageClasses,
			Needs: []string{ResourceClaims},
			Words: "the tenant's, as the HostCluster allows; see [classes of the tenant](volumes.md#classes-of-the-tenant)",
		},
		{
			Group: SnapshotGroup, Version: "v1", Resource: ResourceSnapshotContents, As: OwnSnapshotContents, Direction: ToHost, Defined: true, HoldsData: true,
			Verbs: writing(), Role: RoleHostOwnContents,
			Words: "the tenant's, once a volume snapshot inside names one, as the HostCluster allows; see [contents of the tenant](volumes.md#contents-of-the-tenant)",
		},
		{
			Version: "v1", Resource: ResourceSecrets, Direction: ToHost, Default: true, Namespaced: true, Verbs: writing(),
			Words: "those that a pod or an ingress refers to, or all with `secrets.all`",
		},
		{
			Version: "v1", Resource: ResourceConfigMaps, Direction: ToHost, Default: true, Namespaced: true, Verbs: writing(),
			Words: "those that a pod refers to, or all with `configMaps.all`",
		},
		{
			Group: "networking.k8s.io", Version: "v1", Resource: ResourceIngresses, Direction: ToHost, Default: true, Namespaced: true,
			Verbs: writing(), Needs: []string{ResourceServices},
			Words: "all, with the secrets of their certificates",
		},
		{
			Version: "v1", Resource: ResourceEvents, Direction: FromHost, Default: true, Namespaced: true, Verbs: reading(),
			Needs: []string{ResourcePods},
			Words: "those about pods, services, claims and ingresses that were synced",
		},
		{
			Group: "policy", Version: "v1", Resource: ResourceBudgets, Direction: ToHost, Namespaced: true, Verbs: writing(),
			Needs: []string{ResourcePods},
			Words: "all, so that drains of the host's nodes respect them",
		},
		{
			Group: "networking.k8s.io", Version: "v1", Resource: ResourcePolicies, Direction: ToHost, Namespaced: true, Verbs: writing(),
			Needs: []string{ResourcePods},
			Words: "all, within what Garret's own policies open; see [network.md](network.md)",
		},
		{
			Version: "v1", Resource: ResourceServiceAccounts, Direction: ToHost, Namespaced: true, Verbs: writing(),
			Needs: []string{ResourcePods},
			Words: "all, without tokens, pull secrets and rights; new pods on the host have them",
		},
		{
			Group: "storage.k8s.io", Version: "v1", Resource: ResourceStorageClasses, Direction: FromHost, Default: true, Verbs: reading(), Role: RoleHostClasses,
			Words: "all, or those that `spec.syncer.fromHost.storageClasses.selector` matches, without their parameters",
		},
		{
			Group: "storage.k8s.io", Version: "v1", Resource: ResourceAttributesClasses, Direction: FromHost, Default: true, Verbs: reading(), Role: RoleHostClasses, Since: "1.34",
			Words: "the same, by `volumeAttributesClasses.selector`, without their parameters; claims name no others",
		},
		{
			Group: "storage.k8s.io", Version: "v1", Resource: ResourceCSIDrivers, Direction: FromHost, Verbs: reading(), Role: RoleHostClasses,
			Words: "the same, by `csiDrivers.selector`, without the tokens that they request",
		},
		{
			Group: "storage.k8s.io", Version: "v1", Resource: ResourceCSINodes, Direction: FromHost, Verbs: reading(), Role: RoleHostNodes,
			Needs: []string{ResourceCSIDrivers},
			Words: "those of the [nodes that are shown](#nodes-of-the-host-as-they-are), with the drivers that are",
		},
		{
			Group: "storage.k8s.io", Version: "v1", Resource: ResourceCSICapacities, Direction: FromHost, Namespaced: true, Verbs: reading(), Role: RoleHostNodes,
			Needs: []string{ResourceStorageClasses},
			Words: "those of storage classes and nodes that are shown, from all namespaces of the host",
		},
		{
			Group: "networking.k8s.io", Version: "v1", Resource: ResourceIngressClasses, Direction: FromHost, Default: true, Verbs: reading(), Role: RoleHostClasses,
			Words: "the same, by `ingressClasses.selector`",
		},
		{
			Group: "node.k8s.io", Version: "v1", Resource: ResourceRuntimeClasses, Direction: FromHost, Default: true, Verbs: reading(), Role: RoleHostClasses,
			Words: "the same, by `runtimeClasses.selector`, without what they say of nodes",
		},
		{
			Group: "scheduling.k8s.io", Version: "v1", Resource: ResourcePriorityClasses, Direction: FromHost, Verbs: reading(), Role: RoleHostClasses,
			Words: "the same, by `priorityClasses.selector`, but those that Kubernetes defines; pods on the host have them",
		},
		{
			Group: GroupGatewayAPI, Version: "v1", Resource: ResourceGatewayClasses, Direction: FromHost, Verbs: reading(), Role: RoleHostClasses, Defined: true,
			Words: "the same, by `gatewayClasses.selector`, without their parameters; the host has to know the kind",
		},
		{
			Group: SnapshotGroup, Version: "v1", Resource: ResourceSnapshotClasses, Direction: FromHost, Defined: true, Verbs: reading(), Role: RoleHostClasses,
			Words: "the same, by `volumeSnapshotClasses.selector`, without their parameters; on with [volume snapshots](volumes.md#snapshots)",
		},
		{
			// One is read by the name that a snapshot of this virtual cluster has: a list would have everybody's.
			Group: SnapshotGroup, Version: "v1", Resource: ResourceSnapshotContents, Direction: FromHost, Defined: true, Verbs: []string{"get"}, Role: RoleHostContents,
			Words: "those of the tenant's [volume snapshots](volumes.md#contents), without their annotations; on with those",
		},
		{
			Group: "resource.k8s.io", Version: "v1", Resource: ResourceDeviceClasses, Direction: FromHost, Verbs: reading(), Role: RoleHostClasses, Since: "1.34",
			Words: "the same, by `deviceClasses.selector`, without what they say of devices; claims of devices name no others",
		},
		{
			Group: "resource.k8s.io", Version: "v1", Resource: ResourceDeviceClaims, Direction: ToHost, Namespaced: true, Verbs: writing(), Since: "1.34",
			Needs: []string{ResourcePods, ResourceDeviceClasses},
			Words: "those that a pod refers to, by name or by a template; see [devices.md](devices.md)",
		},
	}
}
