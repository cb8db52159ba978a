// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/activity"
	"garret.dev/garret/syncer/admission"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/dns"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/explain"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/issuer"
	"garret.dev/garret/syncer/kubeconfig"
	"garret.dev/garret/syncer/kubelet"
	"garret.dev/garret/syncer/lineage"
	"garret.dev/garret/syncer/metricsapi"
	"garret.dev/garret/syncer/own"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/projected"
	"garret.dev/garret/syncer/quota"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/rights"
	"garret.dev/garret/syncer/tokens"
	"garret.dev/garret/syncer/usage"
)

// What the reporter calls the engine's work, and what comes before it.
const (
	partSync = "sync"
	partData = "comparing the data inside with the host's record"
	// partRights comes first: without rights nothing else works.
	partRights = "checking what the host allows"
)

// parts are what runs beside the engine.
type parts struct {
	reporter *bootstrap.Reporter
	own      *own.Cluster
	ledger   *quota.Ledger
	security *isolation.PodSecurity
	dormancy *dormancy.Dormancy
	mapped   *resources.MappedServices
	named    *resources.NamedServices
	// hostResources are those that the VirtualCluster names.
	hostResources *resources.HostResources
	// ready is closed when what pods depend on is in place inside.
	ready <-chan struct{}
	run   []func(context.Context) error
}

func newParts(options Options, both *sides, virtual *resources.Virtual, host *resources.Host, history *lineage.Lineage, selection resources.Selection, doors *doors, measured http.Handler, works *engine.Engine) (*parts, error) {
	cluster := both.translator.Cluster()
	issuer, err := newIssuer(options, both, measured)
	if err != nil {
		return nil, err
	}
	figures, err := usage.New(usage.Options{
		Translator: both.translator, HostConfig: both.hostConfig, VirtualPods: virtual.PodLister(), HostPods: host.PodLister(), Clock: options.Clock,
	})
	if err != nil {
		return nil, err
	}
	trust, authority := kubelet.TrustIn(options.DataDir), pki.ServerAuthority(options.DataDir)
	allocator := &admission.Allocator{Marker: resources.Marker{Translator: both.translator, Metadata: options.Metadata, Exceptions: options.exceptions(), EmbeddedDNS: options.EmbeddedDNS}, Virtual: both.virtual, Host: both.host, Evidence: history, Inside: !selection[tenancyv1.ResourceServices], Charge: host.Services.ChargeSoon}
	if !allocator.Inside {
		if err := allocator.Follow(host.Services.Informer()); err != nil {
			return nil, fmt.Errorf("services of the host: %w", err)
		}
	}
	webhook, err := newWebhook(options, authority, allocator, doors.nodes(options))
	if err != nil {
		return nil, err
	}
	security, err := isolation.NewPodSecurity(both.hostVersion)
	if err != nil {
		return nil, err
	}
	if selection[tenancyv1.ResourcePods] {
		webhook.Check = func(spec *corev1.PodSpec) error { return security.CheckInside(spec, options.exceptions()) }
	}
	tenancy, err := tenancyclientv1.NewForConfig(both.hostConfig)
	if err != nil {
		return nil, fmt.Errorf("client of the host's virtual clusters: %w", err)
	}
	reporter := bootstrap.NewReporter(cluster, tenancy, both.virtual, authority, options.Clock, options.parts()...)
	reporter.Room = func() error { return checkRoom(options.DataDir) }
	// What it finds ends the syncer; while nothing is settled it finds nothing.
	reporter.Confirm = history.Confirm
	used := activity.New(options.Clock, reporter.Used)
	used.Age = activity.AgeOf(both.virtual.Discovery().RESTClient())
	webhook.Activity, reporter.Stopped = used.Handler(trust.IsAPIServer), used.Stopped
	inside := bootstrap.New(bootstrap.Options{
		Translator: both.translator, Virtual: both.virtual, Allocator: allocator,
		WebhookPort: options.WebhookPort, WebhookReached: webhook.Reached(),
		Authority: authority, Reporter: reporter,
		APIPort: int32(options.KubeletPort), APIAuthority: trust.Authority,
		DNS: options.dns(), EmbeddedDNS: options.EmbeddedDNS,
	})
	itself := own.New(tenancy.RESTClient(), cluster)
	ledger := quota.New(cluster.HostNamespace, cluster.Name, options.Clock)
	// It comes before the ledger: as long as that knows no bounds, nothing is carried.
	sleeps := dormancy.New(dormancy.Options{Cluster: cluster, Host: both.host, Clock: options.Clock, Pods: selection[tenancyv1.ResourcePods], Report: reporter.Resting})
	itself.Observe(sleeps.Observe)
	kubelet, err := newKubelet(options, both, virtual, host, trust, figures, works, sleeps.Wakes)
	if err != nil {
		return nil, err
	}
	itself.Observe(func(cluster *tenancyv1.VirtualCluster) { ledger.Set(boundsOf(cluster)) })
	itself.Observe(security.Observe)
	itself.Observe(used.Observe)
	mapped := resources.NewMappedServices()
	itself.Observe(mapped.Observe)
	named := resources.NewNamedServices()
	itself.Observe(named.Observe)
	hostResources := resources.NewHostResources()
	itself.Observe(hostResources.Observe)
	names := func(context.Context) error { return nil }
	if options.EmbeddedDNS {
		names = newDNS(options, both, itself, reporter).Run
	} else {
		itself.Observe(inside.Resolve)
	}
	kept := kubeconfig.New(kubeconfig.Options{
		Cluster: cluster, Host: both.host, Rights: access.NewKubeconfigs(both.virtual), Clock: options.Clock,
		Clients: pki.ClientAuthority(options.DataDir), Servers: authority,
		Report: func(o kubeconfig.Outcome) { reporter.KubeconfigSecret(o.Generation, o.Reason, o.Message) },
	})
	itself.Observe(kept.Observe)
	keeper, err := access.NewKeeper(access.Options{
		Own: itself, Virtual: both.virtual, Clock: options.Clock, Credentials: kept.Look,
		Standing: inside.RestoreRights,
		Report:   func(o access.Outcome) { reporter.Access(o.Generation, o.Reason, o.Message) },
	})
	if err != nil {
		return nil, err
	}
	mappings, err := options.mappings()
	if err != nil {
		return nil, err
	}
	custom, err := options.customKinds()
	if err != nil {
		return nil, err
	}
	watched := rights.New(rights.Options{
		Host: both.host.AuthorizationV1(), Namespace: cluster.HostNamespace, Doubts: both.doubts, Clock: options.Clock,
		Needs: rights.NeedsOf(cluster.Name, selection, options.SyncNodesFromHost, mappings, custom.rules, rights.Shown{Namespace: cluster.HostNamespace, Kinds: custom.shown}),
		Report: func(missing []rights.Need) {
			if len(missing) == 0 {
				reporter.Done(partRights)
				return
			}
			reporter.Pending(partRights, tenancyv1.ReasonMissingRights, rights.Describe(missing, cluster.HostNamespace, cluster.ReleaseName()))
		},
	})
	measure := func(context.Context) error { return nil }
	if selection[tenancyv1.ResourcePods] {
		measure = func(ctx context.Context) error { return figures.Watch(ctx, metricsTold(inside, reporter)) }
	}
	return &parts{
		reporter: reporter, own: itself, security: security, dormancy: sleeps, mapped: mapped, named: named, hostResources: hostResources, ledger: ledger, ready: inside.Ready(),
		run: []func(context.Context) error{itself.Run, issuer.Run, kubelet.Run, webhook.Run, inside.Run, reporter.Run, keeper.Run, kept.Run, watched.Run, sleeps.Run, used.Run, names,
			func(ctx context.Context) error { return reportQuota(ctx, ledger, reporter, options.Clock) }, measure},
	}, nil
}

// metricsTold says on both sides whether the host tells what pods use. Where it fails for a
// while, the API inside stays, and says so to who asks.
func metricsTold(inside *bootstrap.Bootstrap, reporter *bootstrap.Reporter) func(*usage.Unavailable) {
	return func(unavailable *usage.Unavailable) {
		switch {
		case unavailable == nil:
			reporter.Metrics("", "")
			inside.ServeMetrics(true)
		case unavailable.Absent():
			reporter.Metrics("NoMetricsAPI", unavailable.Message+"; without it, kubectl top and autoscalers by CPU and memory do not work inside")
			inside.ServeMetrics(false)
		default:
			reporter.Metrics("MetricsAPIFailing", unavailable.Message)
		}
	}
}

// boundsOf are those that the host's object sets: nobody inside can change them.
func boundsOf(cluster *tenancyv1.VirtualCluster) quota.Bounds {
	bounds := quota.Bounds{Hard: cluster.Spec.Isolation.Quota.Hard}
	if limits := cluster.Spec.Isolation.LimitRange; limits != nil {
		bounds.Limits = limits.Limits
	}
	return bounds
}

// quotaInterval is how often the status tells at most what is used.
const quotaInterval = 3 * time.Second

// reportQuota has the status tell what is used of the quota, until the context ends.
func reportQuota(ctx context.Context, ledger *quota.Ledger, reporter *bootstrap.Reporter, clock clock.Clock) error {
	for {
		select {
		case <-ledger.Changed():
		case <-ctx.Done():
			return nil
		}
		if hard, used, known := ledger.Status(); known {
			reporter.Quota(hard, used)
		}
		select {
		case <-clock.After(quotaInterval):
		case <-ctx.Done():
			return nil
		}
	}
}

// partDNS is what the reporter calls the DNS of this process.
const partDNS = "the DNS"

// newDNS returns the DNS of this process. The virtual cluster is not ready while it does not answer.
func newDNS(options Options, both *sides, itself *own.Cluster, reporter *bootstrap.Reporter) *dns.Server {
	server := dns.New(dns.Options{
		Config: both.virtualConfig, Cluster: options.dns(), Address: options.BindAddress, Port: options.DNSPort, Clock: options.Clock,
		Report: func(err error) {
			if err == nil {
				reporter.Done(partDNS)
				return
			}
			reporter.Pending(partDNS, "DNSFailing", err.Error())
		},
	})
	itself.Observe(server.Observe)
	return server
}

// newWebhook returns the admission webhook, which only the control plane beside
// the syncer reaches.
func newWebhook(options Options, authority *pki.Authority, allocator *admission.Allocator, nodes *admission.Nodes) (*admission.Server, error) {
	listener, err := listen("127.0.0.1", options.WebhookPort)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	server := admission.NewServer(listener, pki.NewServing(authority, "garret-admission", admission.Hosts(), options.Clock), allocator)
	server.Nodes = nodes
	return server, nil
}

// newKubelet returns the kubelet of all nodes inside, which the API server there
// reaches at the pod's address.
func newKubelet(options Options, both *sides, virtual *resources.Virtual, host *resources.Host, trust kubelet.Trust, figures *usage.Source, works *engine.Engine, wakes func(types.UID) bool) (*kubelet.Server, error) {
	listener, err := listen(options.BindAddress, options.KubeletPort)
	if err != nil {
		return nil, fmt.Errorf("kubelet: %w", err)
	}
	name := "system:node:" + both.translator.Cluster().ReleaseName()
	apis := http.NewServeMux()
	apis.Handle("/", metricsapi.New(metricsapi.Options{Usage: figures, Nodes: virtual.NodeLister()}))
	explained := explain.New(explain.Options{Source: works, Virtual: both.virtual})
	apis.Handle(explainv1alpha1.Path, explained)
	apis.Handle(explainv1alpha1.Path+"/", explained)
	hosts := append(bootstrap.APIHosts(), options.PodIP)
	return kubelet.New(kubelet.Options{
		Listener:   listener,
		Serving:    pki.NewServing(trust.Authority, name, hosts, options.Clock),
		Trust:      trust,
		Translator: both.translator, Virtual: both.virtual, Host: both.host,
		VirtualPods: virtual.PodLister(), HostPods: host.PodLister(), HostConfig: both.hostConfig,
		Wakes: wakes, Clock: options.Clock, Usage: figures, API: apis, APIHosts: bootstrap.APIHosts(),
		Domain: options.ClusterDomain,
	})
}

func newIssuer(options Options, both *sides, measured http.Handler) (*issuer.Issuer, error) {
	cluster := both.translator.Cluster()
	listener, err := listen(options.BindAddress, options.IssuerPort)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	name := tenancyv1.ServerName(cluster.Name, cluster.HostNamespace)
	hosts := []string{cluster.ReleaseName(), cluster.ReleaseName() + "." + cluster.HostNamespace, name,
		name + "." + cluster.Domain, cluster.ServiceIP, cluster.PodIP}
	return &issuer.Issuer{
		Listener: listener,
		Serving:  pki.NewServing(pki.ServerAuthority(options.DataDir), name, hosts, options.Clock),
		Callers:  pki.NewPool(options.IssuerClientCAFile),
		Signer:   pki.ClientAuthority(options.DataDir),
		Rights:   access.NewKubeconfigs(both.virtual),
		Clock:    options.Clock,
		Metrics:  measured,
	}, nil
}

// newMinter makes what fills the Secrets of pods.
func newMinter(options Options, both *sides, virtual *resources.Virtual, host *resources.Host, history *lineage.Lineage, recorder record.EventRecorder) (*tokens.Minter, error) {
	served, err := projected.Served(both.virtual)
	if err != nil {
		return nil, err
	}
	return tokens.New(tokens.Options{
		Translator: both.translator, Virtual: both.virtual,
		VirtualPods: virtual.Pods, HostPods: host.Pods, HostSecrets: host.Secrets,
		Clock: options.Clock, Evidence: history,
		Source: projected.New(projected.Options{
			Virtual: both.virtual, Informers: virtual.Informers, Pods: virtual.Pods, Nodes: virtual.Nodes,
			Recorder: recorder, Clock: options.Clock, Served: served,
		}),
	}), nil
}

func listen(address string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
}
