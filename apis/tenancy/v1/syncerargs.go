// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FlagSelectFromHost narrows a kind that is shown inside: its value is RESOURCE:SELECTOR.
const FlagSelectFromHost = "select-from-host"

// KindChoice is what a spec says of one kind.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type KindChoice struct {
	// Field is where it stands, below spec.syncer.
	Field, Resource string
	// Enabled is nil where the kind decides.
	Enabled *bool
	// Selector is nil where all objects match.
	Selector *metav1.LabelSelector
}

// Choices are what the spec says of each kind of the catalogue.
func (s *SyncerSpec) Choices() []KindChoice {
	to, from := &s.ToHost, &s.FromHost
	class := func(field, resource string, chosen *ClassSelection) KindChoice {
		return KindChoice{"fromHost." + field, resource, chosen.Enabled, chosen.Selector}
	}
	return []KindChoice{
		{"toHost.configMaps", ResourceConfigMaps, to.ConfigMaps.Enabled, nil},
		{"toHost.endpointSlices", ResourceEndpointSlices, to.EndpointSlices.Enabled, nil},
		{"toHost.ingresses", ResourceIngresses, to.Ingresses.Enabled, nil},
		{"toHost.networkPolicies", ResourcePolicies, to.NetworkPolicies.Enabled, nil},
		{"toHost.persistentVolumeClaims", ResourceClaims, to.PersistentVolumeClaims.Enabled, nil},
		{"toHost.persistentVolumes", ResourceVolumes, to.PersistentVolumes.Enabled, nil},
		{"toHost.podDisruptionBudgets", ResourceBudgets, to.PodDisruptionBudgets.Enabled, nil},
		{"toHost.pods", ResourcePods, to.Pods.Enabled, nil},
		{"toHost.resourceClaims", ResourceDeviceClaims, to.ResourceClaims.Enabled, nil},
		{"toHost.secrets", ResourceSecrets, to.Secrets.Enabled, nil},
		{"toHost.serviceAccounts", ResourceServiceAccounts, to.ServiceAccounts.Enabled, nil},
		{"toHost.services", ResourceServices, to.Services.Enabled, nil},
		{"toHost.storageClasses", OwnStorageClasses, to.StorageClasses.Enabled, nil},
		{"toHost.volumeSnapshotContents", OwnSnapshotContents, to.VolumeSnapshotContents.Enabled, nil},
		{"fromHost.events", ResourceEvents, from.Events.Enabled, nil},
		class("csiDrivers", ResourceCSIDrivers, &from.CSIDrivers),
		class("csiNodes", ResourceCSINodes, &from.CSINodes),
		class("csiStorageCapacities", ResourceCSICapacities, &from.CSIStorageCapacities),
		class("gatewayClasses", ResourceGatewayClasses, &from.GatewayClasses),
		class("deviceClasses", ResourceDeviceClasses, &from.DeviceClasses),
		class("ingressClasses", ResourceIngressClasses, &from.IngressClasses),
		class("priorityClasses", ResourcePriorityClasses, &from.PriorityClasses),
		class("runtimeClasses", ResourceRuntimeClasses, &from.RuntimeClasses),
		class("storageClasses", ResourceStorageClasses, &from.StorageClasses),
		class("volumeAttributesClasses", ResourceAttributesClasses, &from.VolumeAttributesClasses),
		class("volumeSnapshotClasses", ResourceSnapshotClasses, &from.VolumeSnapshotClasses),
		{"fromHost.volumeSnapshotContents", ResourceSnapshotContents, from.VolumeSnapshotContents.Enabled, nil},
	}
}

// ImpliedKinds are the kinds of the host that are shown because volume snapshots go there, and that
// nothing else decides about.
func (s *SyncerSpec) ImpliedKinds() []string {
	if snapshots := s.ToHost.VolumeSnapshots.Enabled; snapshots == nil || !*snapshots {
		return nil
	}
	var implied []string
	off := namedByArgs(s.ExtraArgs, FlagDisableSyncResources)
	for _, choice := range s.Choices() {
		named := choice.Resource == ResourceSnapshotClasses || choice.Resource == ResourceSnapshotContents
		if named && choice.Enabled == nil && !slices.Contains(off, choice.Resource) {
			implied = append(implied, choice.Resource)
		}
	}
	return implied
}

// Args are the arguments of the syncer that the spec asks for: what its fields say, and
// then extraArgs.
func (s *SyncerSpec) Args() []string { return s.ArgsWithout() }

// ArgsWithout are Args where the host does not lend the right to read the kinds. What is asked for
// by name stays.
func (s *SyncerSpec) ArgsWithout(kinds ...string) []string {
	var off, args []string
	on := slices.DeleteFunc(s.ImpliedKinds(), func(name string) bool { return slices.Contains(kinds, name) })
	for _, choice := range s.Choices() {
		switch {
		case choice.Enabled != nil && *choice.Enabled:
			on = append(on, choice.Resource)
		case choice.Enabled != nil:
			off = append(off, choice.Resource)
		}
		if selects(choice.Selector) {
			args = append(args, selectArg(choice.Resource, choice.Selector))
		}
	}
	for resource, kind := range map[string]ReferencedKind{ResourceConfigMaps: s.ToHost.ConfigMaps, ResourceSecrets: s.ToHost.Secrets} {
		if kind.All != nil && *kind.All {
			args = append(args, "--"+FlagSyncAll+"="+resource)
		}
	}
	for _, mapping := range s.HostMappings() {
		args = append(args, "--"+FlagMapFromHost+"="+mapping.String())
	}
	for flag, names := range map[string][]string{FlagSyncResources: on, FlagDisableSyncResources: off} {
		if len(names) > 0 {
			args = append(args, "--"+flag+"="+strings.Join(names, ","))
		}
	}
	args = append(args, s.FromHost.Nodes.args()...)
	slices.Sort(args)
	return append(args, s.ExtraArgs...)
}
