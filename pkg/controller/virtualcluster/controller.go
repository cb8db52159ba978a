// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/activator"
	"garret.dev/garret/pkg/controller/work"
	"garret.dev/garret/pkg/release"
)

// Names that the processes around this package use.
const (
	// Name is the controller's, in queues, events and metrics.
	Name = "virtualcluster"

	retryFirst = 100 * time.Millisecond
	retryLast  = 30 * time.Second
)

// Options say how virtual clusters are deployed.
type Options struct {
	// Namespace is where Garret itself runs.
	Namespace string
	// PodIPs are the addresses at which the host's nodes reach this process, NodeName is its node.
	PodIPs   []string
	NodeName string
	// ClusterDomain is the DNS domain of the host and of every virtual cluster.
	ClusterDomain string
	// Version is Garret's own: the chart's and the syncer image's.
	Version string
	// ImageRepository holds Garret's images, K3sImage is the one of the k3s project.
	ImageRepository, K3sImage string
	// ImagePullPolicy is Always, IfNotPresent or Never.
	ImagePullPolicy string
	// StallAfter is how long a trouble must last to be called a failure.
	StallAfter time.Duration
	// TeardownGrace is how long the pods of a virtual cluster that is deleted may take
	// to end, whatever grace period they ask for.
	TeardownGrace time.Duration
	// Workers is how many virtual clusters are worked on at a time.
	Workers int
}

// Dependencies are what the controller works with.
type Dependencies struct {
	Host     kubernetes.Interface
	Metadata metadata.Interface
	Tenancy  tenancyclient.Interface
	// Informers of Tenancy, which the controller starts: others may have theirs in it.
	Informers tenancyinformers.SharedInformerFactory
	Releases  release.Interface
	Prober    Prober
	Recorder  record.EventRecorder
	// Clock says when a pass is due, too.
	Clock   clock.WithTicker
	Metrics *Metrics
	// Spans, when set, records a span for every pass.
	Spans trace.TracerProvider
}

// Controller works towards the spec of every VirtualCluster.
type Controller struct {
	Dependencies
	options Options
	watched *watched
	facts   *hostFacts
	queue   *work.Queue
	// activator wakes by connections. Without one, none do.
	activator *activator.Activator

	// takingUp is held while an id is given a second time.
	takingUp sync.Mutex

	mu     sync.Mutex
	memory map[cache.ObjectName]*memory
}

// memory is what a pass over an object leaves for the next one. Losing it costs
// a few requests and nothing else.
type memory struct {
	sync.Mutex
	// deployed is the digest of the values that the release was last made of.
	deployed string
	// deployedAt is when; a release is compared with the host again after a while.
	deployedAt time.Time
	release    release.Status
	// drifted says that somebody else changed an object of the release.
	drifted bool
	// cleared tells the kinds that are switched off, once the host is clear of them.
	cleared string
	// kinds are those last written to status.customKinds.
	kinds []string
	// kindsHoldingData are those last written to status.customKindsWithData.
	kindsHoldingData []string
	// said is the reason of the last event. refused, orphaned, and forced are messages
	// of events that do not follow from a trouble.
	said, refused, orphaned, forced, budget, leaving string
	// slept is until when its sleep is counted; zero while it is awake. woken is when a wake began
	// whose duration is to be counted.
	slept, woken time.Time
	// answered is when the API inside last did, unanswered how often it has not since.
	answered   time.Time
	unanswered int
	// knocked is the number of the last sleep that a connection is to end, unguarded what was
	// told last of Services whose connections do not.
	knocked   int64
	unguarded string
}

// New returns a controller; Run starts it.
func New(dependencies Dependencies, options Options) (*Controller, error) {
	c := &Controller{
		Dependencies: dependencies,
		options:      options,
		memory:       map[cache.ObjectName]*memory{},
		queue:        work.NewQueue(Name, "virtualCluster", retryFirst, retryLast, dependencies.Clock),
	}
	c.activator = c.newActivator()
	c.watched = watch(dependencies.Host, dependencies.Informers, options.Namespace)
	c.facts = &hostFacts{host: dependencies.Host, configMaps: c.watched.configMaps, namespace: options.Namespace, clock: dependencies.Clock}
	if err := c.watched.handle(c); err != nil {
		return nil, fmt.Errorf("%s controller: %w", Name, err)
	}
	return c, nil
}

// Watch fills the caches and keeps them current. A replica that stands by runs it
// too, so that it can take over at once.
func (c *Controller) Watch(ctx context.Context) error {
	if err := c.awaitAPI(ctx); err != nil {
		return err
	}
	c.watched.start(ctx)
	return c.watched.wait(ctx)
}

// Synced says whether the caches are filled.
func (c *Controller) Synced() bool { return c.watched.synced() }

// awaitAPI returns once VirtualClusters are served. A watch that is refused backs
// off for long, and when Garret is installed its API comes up beside us.
func (c *Controller) awaitAPI(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	said := false
	return wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := c.Tenancy.TenancyV1().VirtualClusters("").List(ctx, listOne)
		if err != nil && !said {
			said = true
			logger.Info("Waiting for garret-apiserver to serve virtualclusters", "err", err)
		}
		return err == nil, nil
	})
}

// Run works on virtual clusters until ctx ends. Only one process may.
func (c *Controller) Run(ctx context.Context) error {
	if !c.watched.waitSynced(ctx) {
		return fmt.Errorf("%s controller: stopped before its caches were filled", Name)
	}
	klog.FromContext(ctx).Info("Working on virtual clusters", "workers", c.options.Workers)
	defer c.activator.Stop(ctx)
	c.queue.Run(ctx, c.options.Workers, c.measured)
	return nil
}

// measured is a pass that the metrics know of.
func (c *Controller) measured(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	start := c.Clock.Now()
	again, err := c.pass(ctx, name)
	c.Metrics.observe(c.Clock.Since(start), err)
	c.countPhases()
	return again, err
}

// countPhases tells the metrics how many virtual clusters are in which phase.
func (c *Controller) countPhases() {
	all, err := c.watched.clusters.List(labels.Everything())
	if err != nil {
		return // a cache does not fail
	}
	counts := map[tenancyv1.Phase]int{}
	for _, each := range all {
		counts[each.Status.Phase]++
	}
	c.Metrics.phases(counts)
}

func (c *Controller) remember(name cache.ObjectName) *memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memory[name] == nil {
		c.memory[name] = &memory{}
	}
	return c.memory[name]
}

func (c *Controller) forget(name cache.ObjectName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.memory, name)
	c.activator.Forget(types.NamespacedName{Namespace: name.Namespace, Name: name.Name})
}
