// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package syncer is the process beside the control plane of a virtual cluster. It builds the
// engine and the servers around it, and runs them together: if one of them fails, all stop, and
// the kubelet starts the process again. That loses nothing, because the process keeps nothing.
package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/lineage"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/rights"
	"garret.dev/garret/syncer/translate"
)

// troubleInterval is how often the control plane is looked at while something is wrong with it, and
// calmInterval how often otherwise.
const (
	troubleInterval = 5 * time.Second
	calmInterval    = 10 * time.Second
)

// sides is what is known once both clusters answer.
type sides struct {
	hostConfig, virtualConfig *rest.Config
	host, virtual             *kubernetes.Clientset
	translator                *translate.Translator
	// hostVersion is the version of the host's Kubernetes.
	hostVersion string
	// doubts notes what the host refuses.
	doubts *rights.Doubts
	// kubeconfig is what the kubeconfig of the virtual cluster held.
	kubeconfig []byte
}

// Run syncs until the context ends or a part fails.
func Run(ctx context.Context, options Options) error {
	selection, err := resources.Select(options.SyncResources, options.DisableSyncResources)
	if err != nil {
		return err
	}
	registry := metrics.NewKubeRegistry()
	health := newHealth(options.BindAddress, options.HealthPort)
	doors, err := newDoors(options)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return health.run(ctx) })
	group.Go(func() error { return doors.run(ctx) })
	group.Go(func() error {
		both, err := connect(ctx, options)
		if err != nil {
			return err
		}
		return run(ctx, options, both, selection, registry, health, doors)
	})
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// connect waits for both clusters at the same time.
func connect(ctx context.Context, options Options) (*sides, error) {
	both := &sides{doubts: rights.NewDoubts()}
	var namespace, incarnation types.UID
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if both.hostConfig, err = hostConfig(options.HostKubeconfig); err != nil {
			return err
		}
		if both.host, err = newClient(both.doubts.Watched(both.hostConfig)); err != nil {
			return err
		}
		namespace, both.hostVersion, err = lookAround(ctx, both.host, options.Namespace)
		return err
	})
	group.Go(func() (err error) {
		if both.virtualConfig, err = virtualConfig(ctx, options.VirtualKubeconfig); err != nil {
			return err
		}
		if both.kubeconfig, err = os.ReadFile(options.VirtualKubeconfig); err != nil {
			return fmt.Errorf("control plane: %w", err)
		}
		if both.virtual, err = newClient(both.virtualConfig); err != nil {
			return err
		}
		system, err := both.virtual.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("control plane: %w", err)
		}
		incarnation = system.UID
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	both.translator = translate.New(translate.Cluster{
		ID: options.ClusterID, Name: options.VirtualCluster, UID: types.UID(options.UID), HostNamespace: options.Namespace,
		Domain: options.ClusterDomain, ServiceIP: options.ServiceIP, PodIP: options.PodIP, NamespaceUID: namespace, Incarnation: incarnation,
	})
	return both, nil
}

// lookAround reads the UID of the host namespace and the host's version, as soon
// as the host answers.
func lookAround(ctx context.Context, host kubernetes.Interface, name string) (types.UID, string, error) {
	var uid types.UID
	var version string
	var last error
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		namespace, err := host.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			uid = namespace.UID
			version, err = serverVersion(host)
		}
		if err != nil {
			last = err
			klog.FromContext(ctx).Info("Waiting for the host cluster", "err", err)
		}
		return err == nil, nil
	})
	if err != nil {
		return "", "", fmt.Errorf("host cluster: %w", errors.Join(err, last))
	}
	return uid, version, nil
}

func serverVersion(client kubernetes.Interface) (string, error) {
	info, err := client.Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("version of the host cluster: %w", err)
	}
	return info.GitVersion, nil
}

// run runs everything that needs both clusters.
func run(ctx context.Context, options Options, both *sides, selection resources.Selection, registry metrics.KubeRegistry, health *health, doors *doors) error {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: both.virtual.CoreV1().Events("")})

	virtual := resources.NewVirtual(both.virtual)
	shown, err := options.shownNodes()
	if err != nil {
		return err
	}
	host := resources.NewHost(both.host, both.translator.Cluster(), shown)
	history := lineage.New(lineage.Options{Cluster: both.translator.Cluster(), Virtual: both.virtual, Host: both.host, Clock: options.Clock})
	works := &engine.Engine{}
	parts, err := newParts(options, both, virtual, host, history, selection, doors, metrics.HandlerFor(registry, metrics.HandlerOpts{}), works)
	if err != nil {
		return err
	}
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "garret-syncer"})
	minter, err := newMinter(options, both, virtual, host, history, recorder)
	if err != nil {
		return err
	}
	selectors, err := options.hostSelectors()
	if err != nil {
		return err
	}
	all, err := options.all()
	if err != nil {
		return err
	}
	mappings, err := options.mappings()
	if err != nil {
		return err
	}
	kinds, keepKinds, err := ruledKinds(ctx, options, both, parts.reporter)
	if err != nil {
		return err
	}
	bounds, err := isolation.ParseEgressBounds(options.WorkloadsEgress, options.PodIP, options.ServiceIP)
	if err != nil {
		return fmt.Errorf("--workloads-egress: %w", err)
	}
	rules, err := tenancyv1.ParsePodRules(options.PodRules)
	if err != nil {
		return fmt.Errorf("--%s: %w", tenancyv1.FlagPodRules, err)
	}
	err = resources.Register(works, resources.Config{
		Translator: both.translator, Virtual: virtual, Host: host, Tokens: minter, Recorder: recorder,
		Metrics: engine.NewMetrics(registry), Clock: options.Clock,
		Evidence: history, Orphans: parts.reporter.Orphans, Ledger: parts.ledger, Dormancy: parts.dormancy,
		PodSecurity: parts.security, Exceptions: options.exceptions(), Metadata: options.Metadata, PodRules: rules,
		Hosts:     resources.HostsFile{Image: options.Image, PullPolicy: corev1.PullPolicy(options.ImagePullPolicy)},
		Selection: selection, KubeletPort: int32(options.KubeletPort), KubeletVersion: both.hostVersion,
		EndpointRanges: options.EndpointRanges, HostSelectors: selectors, All: all, Mappings: mappings, EgressBounds: bounds, Rules: kinds,
		Mapped: parts.mapped, Named: parts.named, HostResources: parts.hostResources, EmbeddedDNS: options.EmbeddedDNS,
	})
	if err != nil {
		return err
	}
	doors.follow(host)
	group, ctx := errgroup.WithContext(ctx)
	begun, entered := gate(), gate()
	settling := &settling{
		cluster: both.translator.Cluster(), lineage: history, works: works, reporter: parts.reporter,
		ephemeral: options.EphemeralData, waiting: entered.open, changed: make(chan struct{}, 1),
	}
	parts.own.Observe(settling.observe)
	group.Go(func() error {
		return works.Run(ctx, engine.Stages{Settle: settling.settle, Ready: parts.ready, Started: func() {
			parts.reporter.Done(partSync)
			begun.open()
			entered.open()
		}})
	})
	for _, part := range append(parts.run, keepKinds) {
		group.Go(func() error { return part(ctx) })
	}
	// What writes because of what is inside waits until that can be trusted.
	for _, part := range []func(context.Context) error{history.Run, settling.run} {
		group.Go(func() error { return begun.pass(ctx, part) })
	}
	// Whoever has to decide about lost data has to be able to look inside.
	group.Go(func() error {
		return entered.pass(ctx, func(ctx context.Context) error {
			return watchControlPlane(ctx, options, both, health, history, parts.reporter)
		})
	})
	return group.Wait()
}

// passage is something that happens once, and that others wait for.
type passage struct {
	opened chan struct{}
	open   func()
}

func gate() passage {
	opened := make(chan struct{})
	return passage{opened, sync.OnceFunc(func() { close(opened) })}
}

// pass calls the function once the passage is open.
func (p passage) pass(ctx context.Context, do func(context.Context) error) error {
	select {
	case <-p.opened:
		return do(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchControlPlane keeps the syncer ready while the control plane is, and
// fails when it has become another one.
func watchControlPlane(ctx context.Context, options Options, both *sides, health *health, history *lineage.Lineage, reporter *bootstrap.Reporter) error {
	for {
		if content, err := os.ReadFile(options.VirtualKubeconfig); err == nil && !bytes.Equal(content, both.kubeconfig) {
			return errors.New("the control plane has new credentials: restarting")
		}
		why, known := reporter.ControlPlane()
		if !known {
			// What it finds ends the syncer; while nothing is settled it finds nothing.
			_ = history.Confirm(ctx)
			if err := ready(ctx, both.virtual); err != nil {
				why = "the control plane is not ready: " + err.Error()
			} else if err := checkRoom(options.DataDir); err != nil {
				why = err.Error()
			}
		}
		pause := calmInterval
		if why != "" {
			pause = troubleInterval
		}
		if ctx.Err() == nil {
			if why != "" {
				klog.FromContext(ctx).Info("The control plane cannot be used", "why", why)
			}
			health.set(why)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
