// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package syncer tests the sync engine between two real API servers. There is
// no kubelet and no scheduler on the host's side: the tests play them.
package syncer

import (
	"context"
	"errors"
	"os"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/lineage"
	"garret.dev/garret/syncer/projected"
	"garret.dev/garret/syncer/quota"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/tokens"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

const hostNamespace = "team"

// clusters are the two sides that all tests of the package share.
type clusters struct {
	host, virtual *kubernetes.Clientset
	// plane is the host's, on which the policy for the accounts of syncers is in force.
	plane *framework.ControlPlane
	// hostObjects and virtualObjects are clients of every kind.
	hostObjects, virtualObjects *dynamic.DynamicClient
	virtualConfig               *rest.Config
}

var (
	shared clusters
	// stage is where a test starts clusters of its own.
	stage *framework.Stage
)

func TestMain(m *testing.M) {
	// Checks wait for the syncer, so that the number of processors is no measure.
	framework.SideBySide(16)
	os.Exit(framework.Run(m, "sync", setUpSides))
}

// setUpSides starts the control planes that tests share.
func setUpSides(on *framework.Stage) error {
	stage = on
	return shared.start("")
}

// start starts the control planes of both sides, with further flags.
func (c *clusters) start(prefix string, args ...string) error {
	start := func(name string, client **kubernetes.Clientset, objects **dynamic.DynamicClient, then func(*framework.ControlPlane) error) func() error {
		return func() error {
			plane, err := stage.StartControlPlane(prefix+name, append([]string{framework.WithoutNodes}, args...)...)
			if err != nil {
				return err
			}
			*client = plane.Client
			if *objects, err = dynamic.NewForConfig(plane.Config); err != nil {
				return err
			}
			return then(plane)
		}
	}
	return framework.Together(
		start("host", &c.host, &c.hostObjects, func(plane *framework.ControlPlane) error {
			c.plane = plane
			return errors.Join(aggregation.InstallPolicy(context.Background(), plane), serveWidgets(context.Background(), plane), serveSnapshots(context.Background(), plane))
		}),
		start("virtual", &c.virtual, &c.virtualObjects, func(plane *framework.ControlPlane) error {
			c.virtualConfig = plane.Config
			return nil
		}))
}

// side is one test's view: a host namespace and a virtual namespace of its own, and a syncer between.
type side struct {
	clusters
	t          *testing.T
	translator *translate.Translator
	// account is what the syncer has on the host: its ServiceAccount, with the Role of a release.
	account *kubernetes.Clientset
	// hostNamespace and namespace are the test's own.
	hostNamespace, namespace string
	// off are kinds that the next syncer does not sync; all others are on.
	off []string
	// unruled says that the next syncer has no rule for a kind.
	unruled bool
	// keepsData says that widgets of the next syncer hold data; released that they did, and have no rule any more.
	keepsData, released bool
	// snapshots has the next syncer carry volume snapshots, contents show what they are bound to.
	snapshots, contents bool
	// shown are widgets of the host that the next syncer shows inside.
	shown []tenancyv1.CustomMapping
	// storage is what the administrator allows volumes and classes of the next syncer to be; nil has
	// it carry none. Both sides are shared: a test deletes its own inside.
	storage *tenancyv1.AllowedStorage
	// level is what the VirtualCluster asks for of Pod Security, drivers what the
	// host's administrator opens, for the next syncer.
	level   tenancyv1.PodSecurityLevel
	drivers []string
	// denied are annotations that the administrator keeps inside, for the next syncer.
	denied []string
	// selectors narrow what is shown of the host, for the next syncer.
	selectors map[string]string
	// accounts has the next syncer carry ServiceAccounts. There are some in every namespace.
	accounts bool
	// all are kinds that go to the host whether something refers to them or not, mappings what is
	// shown of the host by name, for the next syncer.
	all      map[string]bool
	mappings []tenancyv1.HostMapping
	// bounds hold what policies of the tenant open, for the next syncer.
	bounds *isolation.EgressBounds
	// rules are those for all pods, for the next syncer.
	rules tenancyv1.PodRules
	// mapped are the Services that the VirtualCluster has shown inside, for the next syncer.
	mapped *resources.MappedServices
	// named are the Services that have a further name on the host, for the next syncer.
	named *resources.NamedServices
	// nodes are those of the host that the next syncer shows; none at first.
	nodes resources.ShownNodes
	// hostResources are what the host has.
	hostResources *resources.HostResources
	// security is the running syncer's.
	security *isolation.PodSecurity
	// engine is the running syncer's.
	engine *engine.Engine
	// virtualStores and hostStores are the running syncer's, metrics its measurements.
	virtualStores *resources.Virtual
	hostStores    *resources.Host
	metrics       metrics.KubeRegistry
	// ledger bounds nothing at first.
	ledger *quota.Ledger
	stop   func()
}

// setUp makes namespaces for the test and runs a syncer until its end.
func setUp(t *testing.T) *side {
	t.Helper()
	return setUpOn(t, shared)
}

// setUpOn is setUp on other clusters than those that tests share.
func setUpOn(t *testing.T, clusters clusters) *side {
	t.Helper()
	s := &side{clusters: clusters, t: t}
	ctx := t.Context()
	furnish := func(client kubernetes.Interface, prefix string) string {
		namespace, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}, metav1.CreateOptions{})
		s.must(err)
		framework.Eventually(s.t, "there is a service account in "+namespace.Name, func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().ServiceAccounts(namespace.Name).Get(ctx, "default", metav1.GetOptions{})
			return err == nil, nil
		})
		return namespace.Name
	}
	s.hostNamespace = furnish(s.host, hostNamespace+"-")
	s.namespace = furnish(s.virtual, "shop-")
	namespace, err := s.host.CoreV1().Namespaces().Get(ctx, s.hostNamespace, metav1.GetOptions{})
	s.must(err)
	own, err := s.host.CoreV1().Services(s.hostNamespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "vc-demo"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}},
	}, metav1.CreateOptions{})
	s.must(err)
	s.translator = translate.New(translate.Cluster{
		ID: s.namespace, Name: "demo", UID: types.UID(s.namespace), HostNamespace: s.hostNamespace, Domain: "cluster.local",
		ServiceIP: own.Spec.ClusterIP, PodIP: "127.0.0.1", NamespaceUID: namespace.UID,
	})
	_, err = s.virtual.CoreV1().Services(metav1.NamespaceSystem).Get(ctx, "kube-dns", metav1.GetOptions{})
	if err != nil {
		_, err = s.virtual.CoreV1().Services(metav1.NamespaceSystem).Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "kube-dns"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 53}}},
		}, metav1.CreateOptions{})
		s.must(err)
	}
	_, err = s.host.CoreV1().ServiceAccounts(s.hostNamespace).Create(ctx, &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: s.translator.Cluster().WorkloadsAccount()}}, metav1.CreateOptions{})
	s.must(err)
	s.appoint()
	s.start()
	t.Cleanup(s.tearDown)
	return s
}

// appoint gives the syncer its account, as the chart of a virtual cluster does.
func (s *side) appoint() {
	s.t.Helper()
	everything, err := resources.Select(tenancyv1.CataloguedResources(), nil)
	s.must(err)
	s.account = s.lent("vc-demo", tenancyv1.SyncerRules(everything, widgetRule(), tenancyv1.SnapshotRule()), append(tenancyv1.SyncerClusterRules(everything),
		rbacv1.PolicyRule{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"hostobjects"}, Verbs: []string{"lent"}}))
}

// lent is a client of a ServiceAccount on the host with these rights in the namespace, and everywhere.
func (s *side) lent(name string, here, everywhere []rbacv1.PolicyRule) *kubernetes.Clientset {
	s.t.Helper()
	account := framework.User{
		Name:    "system:serviceaccount:" + s.hostNamespace + ":" + name,
		Subject: rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: s.hostNamespace, Name: name},
	}
	bound := []rbacv1.PolicyRule{
		{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"hostobjects"}, Verbs: []string{"bound"}},
		{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"hostobjects"}, ResourceNames: []string{s.translator.Cluster().ID}, Verbs: []string{"own"}},
	}
	s.plane.Grant(s.t, account, s.hostNamespace, append(bound, here...)...)
	if len(everywhere) > 0 {
		s.plane.Grant(s.t, account, "", everywhere...)
		last := everywhere[len(everywhere)-1]
		s.plane.AwaitAllowed(s.t, account, authorizationv1.ResourceAttributes{Verb: last.Verbs[0], Group: last.APIGroups[0], Resource: last.Resources[0]})
	}
	s.plane.AwaitAllowed(s.t, account, authorizationv1.ResourceAttributes{Verb: "create", Resource: "configmaps", Namespace: s.hostNamespace})
	config := rest.CopyConfig(s.plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: account.Name}
	client, err := kubernetes.NewForConfig(config)
	s.must(err)
	return client
}

// accountName is the user that the syncer is on the host.
func (s *side) accountName() string { return "system:serviceaccount:" + s.hostNamespace + ":vc-demo" }

// tearDown takes the services away, whose addresses the next test's syncer would
// ask for in vain, and stops the syncer.
func (s *side) tearDown() {
	defer func() { s.stop() }()
	ctx := context.Background()
	for _, namespace := range []string{s.namespace, metav1.NamespaceSystem} {
		services, err := s.virtual.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
		s.must(err)
		for _, service := range services.Items {
			s.must(s.virtual.CoreV1().Services(namespace).Delete(ctx, service.Name, metav1.DeleteOptions{}))
		}
	}
	err := framework.Poll(ctx, func(ctx context.Context) (bool, error) {
		services, err := s.host.CoreV1().Services(s.hostNamespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelCluster})
		return len(services.Items) == 0, err
	})
	if err != nil {
		s.t.Errorf("waiting until the services are gone from the host: %v", err)
	}
}

// start runs a syncer, which stop ends.
func (s *side) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: s.virtual.CoreV1().Events("")})
	selection, err := resources.Select(tenancyv1.CataloguedResources(), nil)
	s.must(err)
	for _, name := range s.off {
		selection[name] = false
	}
	selection[tenancyv1.ResourceServiceAccounts] = selection[tenancyv1.ResourceServiceAccounts] && s.accounts
	for _, kind := range tenancyv1.Catalogue() {
		// Both sides are shared, and so are classes: a test says which ones are its own.
		selection[kind.Name()] = selection[kind.Name()] && (!kind.Everywhere() || s.selectors[kind.Name()] != "" || kind.Direction == tenancyv1.ToHost && s.storage != nil)
	}
	selection[tenancyv1.ResourceSnapshotContents] = s.contents
	selection[tenancyv1.OwnSnapshotContents] = s.contents && s.storage != nil
	selection[tenancyv1.ResourceDeviceClaims] = selection[tenancyv1.ResourceDeviceClaims] && selection[tenancyv1.ResourceDeviceClasses]
	s.virtualStores, s.hostStores = resources.NewVirtual(s.virtual), resources.NewHost(s.account, s.translator.Cluster(), s.nodes)
	s.metrics = metrics.NewKubeRegistry()
	s.ledger = quota.New(s.hostNamespace, "demo", clock.RealClock{})
	s.ledger.Set(quota.Bounds{})
	s.security, err = isolation.NewPodSecurity("v1.37.2")
	s.must(err)
	s.hold(s.level)
	e := &engine.Engine{}
	s.engine = e
	history := lineage.New(lineage.Options{Cluster: s.translator.Cluster(), Virtual: s.virtual, Host: s.account, Clock: clock.RealClock{}})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "garret-syncer"})
	source := projected.New(projected.Options{Virtual: s.virtual, Informers: s.virtualStores.Informers, Pods: s.virtualStores.Pods,
		Nodes: s.virtualStores.Nodes, Recorder: recorder, Clock: clock.RealClock{}, Served: true})
	// The virtual cluster is awake, and never slept.
	sleeps := dormancy.New(dormancy.Options{Cluster: s.translator.Cluster(), Host: s.account, Clock: clock.RealClock{},
		Pods: selection[tenancyv1.ResourcePods], Report: func(int64) {}})
	sleeps.Observe(&tenancyv1.VirtualCluster{})
	s.hostResources = resources.NewHostResources()
	s.must(resources.Register(e, resources.Config{
		Translator: s.translator,
		Virtual:    s.virtualStores,
		Host:       s.hostStores,
		Tokens: tokens.New(tokens.Options{Translator: s.translator, Virtual: s.virtual, VirtualPods: s.virtualStores.Pods,
			HostPods: s.hostStores.Pods, HostSecrets: s.hostStores.Secrets, Clock: clock.RealClock{}, Evidence: history, Source: source}),
		Recorder: recorder, Metrics: engine.NewMetrics(s.metrics), Clock: clock.RealClock{}, Evidence: history, Ledger: s.ledger, Dormancy: sleeps,
		PodSecurity: s.security, Exceptions: isolation.Exceptions{InlineVolumeDrivers: s.drivers, Devices: selection[tenancyv1.ResourceDeviceClaims], Storage: ptr.Deref(s.storage, tenancyv1.AllowedStorage{})},
		PodRules: s.rules, Selection: selection, KubeletPort: 10250, KubeletVersion: "v1.37.2",
		EndpointRanges: []string{"192.0.2.0/28"}, HostSelectors: s.selectors, All: s.all, Mappings: s.mappings, EgressBounds: s.bounds, Rules: s.kindRules(ctx), Mapped: s.mapped, Named: s.named, HostResources: s.hostResources, Metadata: isolation.Metadata{DeniedAnnotations: s.denied},
	}))
	ready, started, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	close(ready)
	go func() { _ = sleeps.Run(ctx) }()
	go func() {
		defer close(done)
		_ = e.Run(ctx, engine.Stages{Ready: ready, Started: func() { close(started) }, Settle: func(ctx context.Context) error {
			loss, err := history.Open(ctx)
			if loss != nil {
				err = loss
			}
			if err != nil {
				s.t.Error(err)
			}
			return err
		}})
	}()
	s.stop = func() {
		cancel()
		<-done
		broadcaster.Shutdown()
	}
	<-started
}

// hold has the VirtualCluster ask for a level of Pod Security.
func (s *side) hold(level tenancyv1.PodSecurityLevel) {
	s.security.Observe(&tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.hostNamespace, Name: "demo"},
		Spec: tenancyv1.VirtualClusterSpec{Isolation: tenancyv1.IsolationSpec{PodSecurity: level}}})
}

// within is the side for a subtest.
func (s *side) within(t *testing.T) *side {
	inner := *s
	inner.t = t
	return &inner
}

func (s *side) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// hostPod waits for the host pod of the virtual pod, until what it needs is there, too.
func (s *side) hostPod(name string) *corev1.Pod {
	s.t.Helper()
	var pod *corev1.Pod
	framework.Eventually(s.t, "pod "+name+" is on the host", func(ctx context.Context) (bool, error) {
		var err error
		pod, err = s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
		return err == nil && len(pod.Spec.SchedulingGates) == 0, nil
	})
	return pod
}

// schedule plays the scheduler and the kubelet of the host.
func (s *side) schedule(pod *corev1.Pod, node string) {
	s.t.Helper()
	ctx := s.t.Context()
	framework.Eventually(s.t, "pod "+pod.Name+" has what it needs", func(ctx context.Context) (bool, error) {
		now, err := s.host.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && len(now.Spec.SchedulingGates) == 0, err
	})
	plenty := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("8Gi")}
	_, err := s.host.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node},
		Status: corev1.NodeStatus{Capacity: plenty, Allocatable: plenty, DeclaredFeatures: []string{"InPlacePodLevelResourcesVerticalScaling"}}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		s.must(err)
	}
	s.must(s.host.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{}))
	running, err := s.host.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	s.must(err)
	now := metav1.Now()
	running.Status.Phase = corev1.PodRunning
	running.Status.StartTime = &now
	running.Status.PodIP, running.Status.PodIPs = "10.0.0.7", []corev1.PodIP{{IP: "10.0.0.7"}}
	running.Status.Conditions = append(running.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	for _, container := range running.Spec.Containers {
		running.Status.ContainerStatuses = append(running.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: "sha256:1", ContainerID: "containerd://1", Ready: true, Resources: container.Resources.DeepCopy(),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	_, err = s.host.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, running, metav1.UpdateOptions{})
	s.must(err)
}
