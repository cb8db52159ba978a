// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/resources"
)

// Options say which virtual cluster is synced, and where its parts are.
type Options struct {
	// ClusterID, VirtualCluster, UID and Namespace identify the VirtualCluster object.
	ClusterID      string
	VirtualCluster string
	UID            string
	Namespace      string

	// DataDir is where the control plane keeps its data, in the layout of k3s.
	DataDir string
	// VirtualKubeconfig and HostKubeconfig lead to the two clusters. The former
	// defaults to the administrator's below DataDir, the latter to the pod's own.
	VirtualKubeconfig string
	HostKubeconfig    string

	ClusterDomain string
	ServiceIP     string
	PodIP         string

	// IssuerClientCAFile holds the authority of garret-apiserver's client certificate.
	IssuerClientCAFile string

	SyncResources        []string
	DisableSyncResources []string
	// SelectFromHost narrows what is shown of the host: RESOURCE:SELECTOR.
	SelectFromHost []string
	// SyncAll names kinds of which all objects go to the host.
	SyncAll []string
	// MapFromHost names objects of the host that are shown inside: RESOURCE:NAME=NAMESPACE/NAME.
	MapFromHost []string
	// SyncByRule are rules for kinds of the host, each a tenancyv1.KindRule as JSON.
	SyncByRule []string
	// ShowKinds are kinds of which objects of the host are shown, each a tenancyv1.KindFromHost as JSON.
	ShowKinds []string
	// ReleaseKinds are kinds that hold data and have lost their rule, as in status.customKinds.
	ReleaseKinds []string
	// NodeRules say which nodes of the host are shown, and how. It is the value of the flag.
	NodeRules string
	// SyncNodesFromHost shows the host's nodes as they are; it needs leave to read them.
	SyncNodesFromHost bool

	// EgressDir is where the sockets are made through which the control plane connects
	// to anything. Empty for none: then nothing bounds where it may connect.
	EgressDir string
	// NodeIP is the address of the node that the pod runs on.
	NodeIP string
	// Metadata says which labels and annotations of tenants travel.
	Metadata isolation.Metadata
	// PodRules hold for all pods, as the Argument of PodRules writes them.
	PodRules string
	// AllowedStorage is what volumes and classes of the tenant may be, as its Argument writes it.
	AllowedStorage string
	// InlineVolumeDrivers are the CSI drivers that pods may name in inline volumes.
	InlineVolumeDrivers []string
	// DeviceConfigDrivers are the drivers of devices that ResourceClaims may configure.
	DeviceConfigDrivers []string
	// ExternalIPRanges are what a Service inside may name as external addresses.
	ExternalIPRanges []string
	// EndpointRanges are what an EndpointSlice inside may name, besides own pods.
	EndpointRanges []string
	// EgressRanges are what the control plane may reach, besides what is its own.
	EgressRanges []string
	// ClosedRanges are what it may not, unless EgressRanges have a part of one.
	ClosedRanges []string
	// WorkloadsEgress are the rules, in JSON, within which NetworkPolicies of the tenant open
	// what pods reach. Empty for no bounds.
	WorkloadsEgress string
	// PublicEgress lets it reach public addresses.
	PublicEgress bool

	// Image is that of the syncer itself, which init containers run that write the
	// hosts file of a pod. None are added without it.
	Image           string
	ImagePullPolicy string
	// EphemeralData says that the control plane's data end with the pod.
	EphemeralData bool

	// EmbeddedDNS has the syncer answer names itself.
	EmbeddedDNS bool
	// ResolvConf names the DNS servers that the DNS inside asks for names outside: those of the host.
	ResolvConf string

	KubeletPort, IssuerPort, WebhookPort, HealthPort, DNSPort int
	// BindAddress is where the ports other than the webhook's are served.
	BindAddress string

	// Clock is the machine's, unless a test has it jump.
	Clock clock.WithTicker
}

// NewOptions returns the options that a pod of a virtual cluster has.
func NewOptions() *Options {
	return &Options{
		Namespace:     os.Getenv("POD_NAMESPACE"),
		PodIP:         os.Getenv("POD_IP"),
		NodeIP:        os.Getenv("NODE_IP"),
		PublicEgress:  true,
		ServiceIP:     os.Getenv("SERVICE_IP"),
		DataDir:       "/data",
		ClusterDomain: "cluster.local",
		KubeletPort:   tenancyv1.PortKubelet,
		IssuerPort:    tenancyv1.PortIssuer,
		WebhookPort:   tenancyv1.PortWebhook,
		HealthPort:    tenancyv1.PortHealth,
		DNSPort:       tenancyv1.PortDNS,
		ResolvConf:    "/etc/resolv.conf",
		Clock:         clock.RealClock{},
	}
}

// AddFlags adds the options to the flags.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.ClusterID, "cluster-id", o.ClusterID, "Id of the virtual cluster, unique on the host cluster.")
	flags.StringVar(&o.VirtualCluster, "virtual-cluster", o.VirtualCluster, "Name of the VirtualCluster object.")
	flags.StringVar(&o.UID, "uid", o.UID, "UID of the VirtualCluster object.")
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "Namespace on the host of the VirtualCluster object and of all synced objects. Defaults to POD_NAMESPACE.")
	flags.StringVar(&o.DataDir, "data-dir", o.DataDir, "Data directory of the control plane.")
	flags.StringVar(&o.VirtualKubeconfig, "virtual-kubeconfig", o.VirtualKubeconfig, "Kubeconfig of the virtual cluster. Defaults to server/cred/admin.kubeconfig below the data directory.")
	flags.StringVar(&o.HostKubeconfig, "host-kubeconfig", o.HostKubeconfig, "Kubeconfig of the host cluster. Defaults to the pod's own credentials.")
	flags.StringVar(&o.ClusterDomain, "cluster-domain", o.ClusterDomain, "DNS domain of the virtual cluster.")
	flags.StringVar(&o.ServiceIP, "service-ip", o.ServiceIP, "ClusterIP of the virtual cluster's own Service on the host. Defaults to SERVICE_IP.")
	flags.StringVar(&o.PodIP, "pod-ip", o.PodIP, "Address of the syncer's pod. Defaults to POD_IP.")
	flags.StringVar(&o.IssuerClientCAFile, "issuer-client-ca-file", o.IssuerClientCAFile, "File with the certificate authority of garret-apiserver's client certificate.")
	flags.StringSliceVar(&o.SyncResources, "sync-resources", o.SyncResources, "Further kinds to sync to the host, which are not synced by default.")
	flags.StringSliceVar(&o.DisableSyncResources, "disable-sync-resources", o.DisableSyncResources, "Kinds that stay inside.")
	flags.StringArrayVar(&o.SelectFromHost, tenancyv1.FlagSelectFromHost, o.SelectFromHost, "Label selector of the host objects to show inside, such as storageclasses:tier=fast, or nodes:pool=gold. May be given for several kinds.")
	flags.StringSliceVar(&o.SyncAll, tenancyv1.FlagSyncAll, o.SyncAll, "Kinds whose objects all go to the host, and not only those that others refer to: "+strings.Join(tenancyv1.ReferencedResources(), ", ")+".")
	flags.StringArrayVar(&o.MapFromHost, tenancyv1.FlagMapFromHost, o.MapFromHost, "Object of the host to show inside, such as configmaps:proxy=default/proxy. May be given for several objects.")
	flags.StringArrayVar(&o.ReleaseKinds, tenancyv1.FlagReleaseKind, o.ReleaseKinds, "Kind that holds data and is not synced any more, as RESOURCE.VERSION.GROUP: the syncer removes its finalizer from objects inside. May be given for several kinds.")
	flags.StringArrayVar(&o.ShowKinds, tenancyv1.FlagShowKind, o.ShowKinds, "Kind whose objects on the host are shown inside by name, as JSON. May be given for several kinds.")
	flags.StringArrayVar(&o.SyncByRule, tenancyv1.FlagSyncByRule, o.SyncByRule, "Rule that syncs a kind of the host, as JSON. May be given for several kinds.")
	flags.BoolVar(&o.SyncNodesFromHost, tenancyv1.FlagNodesFromHost, o.SyncNodesFromHost, "Show the nodes of the host as they are. The syncer needs the right to list and watch them.")
	flags.StringVar(&o.NodeRules, tenancyv1.FlagNodeRules, o.NodeRules, "Which labels and taints of the host's nodes to show, as JSON: labels and taints of spec.syncer.fromHost.nodes.")
	flags.StringVar(&o.EgressDir, "egress-dir", o.EgressDir, "Directory for the sockets through which the control plane connects to pods, Services, webhooks and its kubelet. Empty for none.")
	flags.StringVar(&o.NodeIP, "node-ip", o.NodeIP, "Address of the node that the syncer's pod runs on. Defaults to NODE_IP.")
	flags.StringSliceVar(&o.InlineVolumeDrivers, "inline-volume-drivers", o.InlineVolumeDrivers, "CSI drivers that pods may name in inline volumes.")
	flags.StringSliceVar(&o.DeviceConfigDrivers, "device-config-drivers", o.DeviceConfigDrivers, "Drivers of devices that ResourceClaims may configure.")
	flags.StringSliceVar(&o.Metadata.AllowedAnnotations, "allowed-annotations", o.Metadata.AllowedAnnotations, "Keys of annotations of pods, services, ingresses and claims to copy to the host, besides the default ones. A * at the end stands for any ending.")
	flags.StringSliceVar(&o.Metadata.DeniedAnnotations, "denied-annotations", o.Metadata.DeniedAnnotations, "Keys of annotations that stay inside, even where another option allows them.")
	flags.StringSliceVar(&o.Metadata.AllowedLabels, "allowed-labels", o.Metadata.AllowedLabels, "Keys of labels of pods, services, ingresses and claims to copy to the host under the same key. Selectors of the host may match them.")
	flags.StringVar(&o.PodRules, tenancyv1.FlagPodRules, o.PodRules, "Rules for all pods on the host, in JSON: images, nodeSelector, tolerations, runtimeClassName, priorityClasses, labels and annotations.")
	flags.StringVar(&o.AllowedStorage, tenancyv1.FlagAllowedStorage, o.AllowedStorage, "What PersistentVolumes and StorageClasses of the tenant may be on the host, in JSON: csi, nfs and storageClasses.")
	flags.StringSliceVar(&o.ExternalIPRanges, "external-ip-ranges", o.ExternalIPRanges, "Address ranges that Services may name as external addresses.")
	flags.StringSliceVar(&o.EndpointRanges, "endpoint-ranges", o.EndpointRanges, "Address ranges that EndpointSlices may name, besides the addresses of own pods.")
	flags.StringSliceVar(&o.EgressRanges, "egress-ranges", o.EgressRanges, "Address ranges that the control plane may reach, besides own pods and Services.")
	flags.StringSliceVar(&o.ClosedRanges, "closed-ranges", o.ClosedRanges, "Address ranges of the host that the control plane may not reach, unless --egress-ranges has a part of one.")
	flags.StringVar(&o.WorkloadsEgress, "workloads-egress", o.WorkloadsEgress, "Egress rules of a NetworkPolicy, as JSON, that bound what the tenant's own policies open. Empty for no bounds.")
	flags.BoolVar(&o.PublicEgress, "public-egress", o.PublicEgress, "Let the control plane reach public addresses.")
	flags.StringVar(&o.Image, "image", o.Image, "The syncer's own image. Pods with a subdomain get an init container with this image, which writes their full name into /etc/hosts. Empty for none.")
	flags.StringVar(&o.ImagePullPolicy, "image-pull-policy", o.ImagePullPolicy, "Pull policy of such init containers: Always, IfNotPresent or Never.")
	flags.BoolVar(&o.EphemeralData, "ephemeral-data", o.EphemeralData, "The control plane loses its data with the pod, so the syncer does not stop when they are new.")
	flags.StringVar(&o.BindAddress, "bind-address", o.BindAddress, "Address to serve at. Empty for all.")
	flags.IntVar(&o.KubeletPort, "kubelet-port", o.KubeletPort, "Port of the kubelet's API.")
	flags.IntVar(&o.IssuerPort, "issuer-port", o.IssuerPort, "Port of the certificate issuer.")
	flags.IntVar(&o.WebhookPort, "webhook-port", o.WebhookPort, "Port of the admission webhook, on loopback.")
	flags.BoolVar(&o.EmbeddedDNS, "embedded-dns", o.EmbeddedDNS, "Answer names in this process, and have no pods of CoreDNS inside.")
	flags.IntVar(&o.DNSPort, "dns-port", o.DNSPort, "Port of the DNS, by UDP and TCP, with --embedded-dns.")
	flags.IntVar(&o.HealthPort, "health-port", o.HealthPort, "Port of health.")
}

// Complete fills in what follows from other options.
func (o *Options) Complete() {
	if o.VirtualKubeconfig == "" {
		o.VirtualKubeconfig = filepath.Join(o.DataDir, "server", "cred", "admin.kubeconfig")
	}
	if o.ClusterID == "" && o.UID != "" {
		o.ClusterID = tenancyv1.ClusterID(types.UID(o.UID))
	}
}

// hostSelectors are those of SelectFromHost, by kind.
func (o *Options) hostSelectors() (map[string]string, error) {
	selectors := map[string]string{}
	for _, each := range o.SelectFromHost {
		resource, selector, _ := strings.Cut(each, ":")
		kind, known := tenancyv1.CataloguedKind(resource)
		if (!known || !kind.Everywhere() || kind.Direction != tenancyv1.FromHost) && resource != tenancyv1.ResourceNodes {
			return nil, fmt.Errorf("--%s=%s: must begin with a kind of the host that is shown inside, and a colon", tenancyv1.FlagSelectFromHost, each)
		}
		if _, err := labels.Parse(selector); err != nil {
			return nil, fmt.Errorf("--%s=%s: %w", tenancyv1.FlagSelectFromHost, each, err)
		}
		selectors[resource] = selector
	}
	return selectors, nil
}

// shownNodes are the nodes of the host that are shown.
func (o *Options) shownNodes() (resources.ShownNodes, error) {
	selectors, err := o.hostSelectors()
	if err != nil {
		return resources.ShownNodes{}, err
	}
	rules, err := tenancyv1.ParseNodeRules(o.NodeRules)
	if err != nil {
		return resources.ShownNodes{}, fmt.Errorf("--%s: %w", tenancyv1.FlagNodeRules, err)
	}
	return resources.ShownNodes{
		Read: o.SyncNodesFromHost, Selector: selectors[tenancyv1.ResourceNodes],
		Labels: rules.Labels, HideTaints: rules.Taints == tenancyv1.NodeTaintsHidden,
	}, nil
}

// all says of which kinds all objects go to the host.
func (o *Options) all() (map[string]bool, error) {
	all := map[string]bool{}
	for _, resource := range o.SyncAll {
		if !slices.Contains(tenancyv1.ReferencedResources(), resource) {
			return nil, fmt.Errorf("--%s=%s: must be one of %s", tenancyv1.FlagSyncAll, resource, strings.Join(tenancyv1.ReferencedResources(), ", "))
		}
		all[resource] = true
	}
	return all, nil
}

// mappings are those of MapFromHost.
func (o *Options) mappings() ([]tenancyv1.HostMapping, error) {
	var all []tenancyv1.HostMapping
	for _, value := range o.MapFromHost {
		mapping, err := tenancyv1.ParseHostMapping(value)
		if err != nil {
			return nil, err
		}
		all = append(all, mapping)
	}
	return all, nil
}

// shown are those of ShowKinds.
func (o *Options) shown() ([]tenancyv1.KindFromHost, error) {
	var kinds []tenancyv1.KindFromHost
	for _, text := range o.ShowKinds {
		kind, err := tenancyv1.ParseShown(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", tenancyv1.FlagShowKind, err)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// released are those of ReleaseKinds.
func (o *Options) released() ([]schema.GroupVersionResource, error) {
	var all []schema.GroupVersionResource
	for _, name := range o.ReleaseKinds {
		kind, err := tenancyv1.ParseCustomKind(name)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", tenancyv1.FlagReleaseKind, err)
		}
		all = append(all, kind.GroupVersionResource())
	}
	return all, nil
}

// rules are those of SyncByRule.
func (o *Options) rules() ([]tenancyv1.KindRule, error) {
	var rules []tenancyv1.KindRule
	for _, text := range o.SyncByRule {
		rule, err := tenancyv1.ParseRule(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", tenancyv1.FlagSyncByRule, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// exceptions are what the host's administrator opens to pods and Services.
func (o *Options) exceptions() isolation.Exceptions {
	// Validate tells of ranges that are none.
	ranges, _ := tenancyv1.ParseAddressRanges(o.ExternalIPRanges)
	// So does the selection of names that are none.
	selection, _ := resources.Select(o.SyncResources, o.DisableSyncResources)
	storage, _ := tenancyv1.ParseAllowedStorage(o.AllowedStorage)
	return isolation.Exceptions{InlineVolumeDrivers: o.InlineVolumeDrivers, ExternalIPs: ranges,
		Devices: selection[tenancyv1.ResourceDeviceClaims], DeviceConfigDrivers: o.DeviceConfigDrivers, Storage: storage}
}

// Validate says what is missing.
func (o *Options) Validate() error {
	var errs []error
	for flag, value := range map[string]string{
		"cluster-id": o.ClusterID, "virtual-cluster": o.VirtualCluster, "namespace": o.Namespace,
		"uid": o.UID, "service-ip": o.ServiceIP, "pod-ip": o.PodIP,
	} {
		if value == "" {
			errs = append(errs, fmt.Errorf("--%s is required", flag))
		}
	}
	for flag, texts := range map[string][]string{"external-ip-ranges": o.ExternalIPRanges, "egress-ranges": o.EgressRanges, "closed-ranges": o.ClosedRanges} {
		if _, err := tenancyv1.ParseAddressRanges(texts); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	if _, err := tenancyv1.ParseAllowedStorage(o.AllowedStorage); err != nil {
		errs = append(errs, fmt.Errorf("--%s: %w", tenancyv1.FlagAllowedStorage, err))
	}
	return utilerrors.NewAggregate(errs)
}
