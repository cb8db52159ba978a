// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/quota"
	"garret.dev/garret/syncer/translate"
)

// Workers per kind. A pass waits for API servers most of its time.
const (
	podWorkers   = 8
	otherWorkers = 3
)

// Config is what the kinds are made of.
type Config struct {
	Translator *translate.Translator
	Virtual    *Virtual
	Host       *Host
	Tokens     Tokens
	// Recorder tells Events on virtual objects.
	Recorder record.EventRecorder
	Metrics  *engine.Metrics
	Clock    clock.WithTicker
	// Evidence and Orphans are those of engine.TwinOptions.
	Evidence engine.Evidence
	Orphans  func(resource string, names []string)
	// Dormancy knows which pods were put to sleep.
	Dormancy *dormancy.Dormancy
	// Ledger holds the virtual cluster to its quota; nil where it has none.
	Ledger *quota.Ledger
	// Selection says which kinds are synced.
	Selection Selection
	// Hosts gives pods their hosts file.
	Hosts HostsFile
	// PodSecurity judges pods before the host does.
	PodSecurity *isolation.PodSecurity
	// Metadata decides which labels and annotations of tenants travel.
	Metadata isolation.Metadata
	// PodRules are those for all pods on the host.
	PodRules tenancyv1.PodRules
	// Exceptions are what the host's administrator opens to pods and Services.
	Exceptions isolation.Exceptions
	// HostSelectors narrow what is shown of the host, by the name of the kind.
	HostSelectors map[string]string
	// EgressBounds hold the policies of the tenant to what pods may reach; nil for no bounds.
	EgressBounds *isolation.EgressBounds
	// EndpointRanges are what EndpointSlices may name, besides the addresses of own pods.
	EndpointRanges []string
	// All says of which kinds all objects go to the host, and not only what others refer to.
	All map[string]bool
	// Mappings are the objects of the host that are shown inside by name.
	Mappings []tenancyv1.HostMapping
	// Rules are the kinds that go to the host by a rule.
	Rules Rules
	// Mapped are the Services that the VirtualCluster has shown inside.
	Mapped *MappedServices
	// Named are the Services that have a further name on the host.
	Named *NamedServices
	// EmbeddedDNS says that the syncer answers names itself, without pods of CoreDNS inside.
	EmbeddedDNS bool
	// HostResources are the extended resources that the host has.
	HostResources *HostResources
	// KubeletPort is where the syncer serves the kubelet's API.
	KubeletPort int32
	// KubeletVersion stands in nodes whose real version cannot be read.
	KubeletVersion string
}

// kind is one that can be switched on and off.
type kind struct {
	resource string
	// add adds what the kind is made of; off, if there is any, what is left to do without it.
	add, off func(*builder)
}

// kinds are all that can be synced. What pods need comes before them.
func kinds() []kind {
	return []kind{
		{resource: tenancyv1.ResourceStorageClasses, add: (*builder).storageClasses},
		{resource: tenancyv1.ResourceAttributesClasses, add: (*builder).attributesClasses},
		{resource: tenancyv1.ResourceCSIDrivers, add: (*builder).csiDrivers},
		{resource: tenancyv1.ResourceCSINodes, add: (*builder).csiNodes},
		{resource: tenancyv1.ResourceCSICapacities, add: (*builder).csiCapacities},
		{resource: tenancyv1.ResourceIngressClasses, add: (*builder).ingressClasses},
		{resource: tenancyv1.ResourceRuntimeClasses, add: (*builder).runtimeClasses},
		{resource: tenancyv1.ResourcePriorityClasses, add: (*builder).priorityClasses},
		{resource: tenancyv1.ResourceGatewayClasses, add: (*builder).gatewayClasses},
		{resource: tenancyv1.ResourceSnapshotClasses, add: (*builder).snapshotClasses},
		{resource: tenancyv1.ResourceSnapshotContents, add: (*builder).snapshotContents},
		{resource: tenancyv1.OwnSnapshotContents, add: (*builder).tenantContents, off: (*builder).contentsReleased},
		{resource: tenancyv1.ResourceDeviceClasses, add: (*builder).deviceClasses},
		{resource: tenancyv1.ResourceDeviceClaims, add: (*builder).deviceClaims},
		{resource: tenancyv1.ResourceConfigMaps, add: (*builder).configMaps},
		{resource: tenancyv1.ResourceSecrets, add: (*builder).secrets},
		{resource: tenancyv1.ResourceServices, add: (*builder).services},
		{resource: tenancyv1.ResourceEndpointSlices, add: (*builder).endpointSlices},
		{resource: tenancyv1.ResourceClaims, add: (*builder).claims, off: (*builder).claimsReleased},
		{resource: tenancyv1.ResourceVolumes, add: (*builder).tenantVolumes, off: (*builder).volumesReleased},
		{resource: tenancyv1.OwnStorageClasses, add: (*builder).tenantClasses},
		{resource: tenancyv1.ResourcePolicies, add: (*builder).networkPolicies},
		{resource: tenancyv1.ResourceServiceAccounts, add: (*builder).serviceAccounts},
		{resource: tenancyv1.ResourcePods, add: (*builder).pods},
		{resource: tenancyv1.ResourceIngresses, add: (*builder).ingresses},
		{resource: tenancyv1.ResourceBudgets, add: (*builder).budgets},
		{resource: tenancyv1.ResourceEvents, add: (*builder).events},
	}
}

// Register has the engine run the selected kinds, and the informers that they follow.
func Register(e *engine.Engine, c Config) error {
	b := builder{engine: e, Config: c, notices: newNotices(c.Recorder), referrals: referrals{}}
	b.rules()
	for _, kind := range kinds() {
		if c.Selection[kind.resource] {
			kind.add(&b)
			continue
		}
		b.shownCleared(kind.resource)
		if kind.off != nil {
			kind.off(&b)
		}
	}
	b.mappedConfigMaps()
	b.mappedSecrets()
	b.byRule()
	b.shownKinds()
	if c.Mapped != nil {
		b.mappedServices(c.Mapped)
	}
	e.AddInformers(c.Virtual.Followed()...)
	e.AddInformers(c.Host.Followed()...)
	return b.err
}

// builder makes the controllers of all kinds, and keeps the first error.
type builder struct {
	Config
	engine *engine.Engine
	// beforePods is what a pod needs on the host before it begins there, onNodes what
	// it needs as soon as it has a node.
	beforePods, onNodes []need
	// hostPriority tells whether pods on the host may have the priority class; nil for none.
	hostPriority func(name string) bool
	// policies are those of the tenant, which say what pods reach; nil while they stay inside.
	policies *engine.Store[*networkingv1.NetworkPolicy]
	// accounts are the ServiceAccounts of the tenant on the host; nil while they stay inside.
	accounts *engine.Store[*corev1.ServiceAccount]
	// shownDeviceClasses are the host's that are shown inside, devices the claims that may name them;
	// nil while they are off.
	shownDeviceClasses *engine.Store[*resourcev1.DeviceClass]
	devices            *devices
	// shownStorage and shownAttributes are the host's classes that are shown, shownDrivers its drivers of
	// storage; nil while they are off.
	shownStorage    *engine.Store[*storagev1.StorageClass]
	shownAttributes *engine.Store[*storagev1.VolumeAttributesClass]
	shownDrivers    *engine.Store[*storagev1.CSIDriver]
	notices         *notices
	// snapshotsOf are the host's classes of snapshots that are shown; nil where none are.
	snapshotsOf *engine.Store[*unstructured.Unstructured]
	// snapshotsInside are all classes of snapshots inside; nil where none of the host's are shown.
	snapshotsInside *engine.Store[*unstructured.Unstructured]
	// contents are those of snapshots that are shown; nil where none are.
	contents *contents
	// ownContents are the tenant's on their way to the host; nil while they stay inside.
	ownContents *ownContents
	// ownVolumes and ownClasses are the tenant's on their way to the host; nil while they stay inside.
	ownVolumes *ownVolumes
	ownClasses *ownClasses
	// ruled are the kinds with a rule, referrals what of the host they may name.
	ruled     []*ruled
	referrals referrals
	// shownNames are the names inside of what is shown of the host.
	shownNames []func(host types.NamespacedName) (types.NamespacedName, bool)
	// grants are those inside that open one namespace to another; nil where the host does not know the kind.
	grants *engine.Store[*unstructured.Unstructured]
	err    error
}

// twin adds the controller of a kind that has the same object on both sides.
func twin[T engine.Object](b *builder, workers int, kind engine.Kind[T], virtual, host *engine.Store[T]) *engine.Controller {
	reconciler := engine.NewTwin(engine.TwinOptions[T]{
		Kind: kind, Virtual: virtual, Host: host,
		Translator: b.Translator, Recorder: b.Recorder, Metrics: b.Metrics, Clock: b.Clock,
		Evidence: b.Evidence, Orphans: b.Orphans, Gate: gateOf(kind),
	})
	b.engine.AddTwins(reconciler)
	b.engine.AddLooker(twinLookedAt(host.Resource().GroupResource()), reconciler)
	guard(b, host)
	controller, err := reconciler.Controller(workers)
	b.add(controller, err)
	return controller
}

// gateOf is the gate of a kind that has one.
func gateOf(kind any) engine.Gate {
	if gated, ok := kind.(interface{ Gate() engine.Gate }); ok {
		return gated.Gate()
	}
	return nil
}

// marker writes the metadata of host objects, and tells what of it stays inside.
func (b *builder) marker() Marker {
	return Marker{Translator: b.Translator, Metadata: b.Metadata, Exceptions: b.Exceptions, EmbeddedDNS: b.EmbeddedDNS, rules: podRules{b.PodRules}, notices: b.notices}
}

// guard has what the host refuses of a kind be held back, whoever writes it.
func guard[T engine.Object](b *builder, host *engine.Store[T]) {
	if host.Guarded() {
		return
	}
	breaker := engine.NewBreaker(host.Resource().GroupResource(), b.Metrics, b.Clock)
	b.add(breaker.Controller(), host.Guard(breaker, b.Ledger))
}

// controller adds one that watches nothing yet.
func (b *builder) controller(name string, workers int, reconciler engine.Reconciler) *engine.Controller {
	controller := engine.NewController(engine.ControllerOptions{
		Name: name, Workers: workers, Reconciler: reconciler, Metrics: b.Metrics, Clock: b.Clock,
	})
	b.add(controller, nil)
	return controller
}

func (b *builder) add(controller *engine.Controller, err error) {
	if err != nil {
		b.fail(err)
		return
	}
	b.engine.AddControllers(controller)
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// watch has the controller follow another kind.
func (b *builder) watch(controller *engine.Controller, informer cache.SharedIndexInformer, keys func(any) []types.NamespacedName) {
	if b.err == nil {
		b.fail(controller.Watch(informer, keys))
	}
}

// watchEnds is watch for what comes and goes, and changes in nothing that matters.
func (b *builder) watchEnds(controller *engine.Controller, informer cache.SharedIndexInformer, keys func(any) []types.NamespacedName) {
	if b.err == nil {
		b.fail(controller.WatchEnds(informer, keys))
	}
}

// namespaces lists the virtual namespaces that the selector matches.
func (b *builder) namespaces(selector *metav1.LabelSelector) ([]string, error) {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("namespace selector: %w", err)
	}
	var names []string
	for _, namespace := range b.Virtual.Namespaces.List() {
		if matches.Matches(labels.Set(namespace.Labels)) {
			names = append(names, namespace.Name)
		}
	}
	return names, nil
}

// twinLookedAt says under which name a kind with twins is looked at. One by a rule has its
// group in the name, for its resource may be called as one of Kubernetes.
func twinLookedAt(resource schema.GroupResource) engine.LookedAt {
	kind, catalogued := tenancyv1.CataloguedKind(resource.Resource)
	if !catalogued || kind.Group != resource.Group {
		return engine.LookedAt{Name: resource.String(), Resource: resource, Namespaced: true}
	}
	return engine.LookedAt{Name: resource.Resource, Resource: resource, Namespaced: kind.Namespaced}
}
