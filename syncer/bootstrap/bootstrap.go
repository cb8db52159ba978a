// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/admission"
	"garret.dev/garret/syncer/corefile"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
)

const fieldManager = "garret-syncer"

// PartBootstrap is what a Reporter calls this package's work.
const PartBootstrap = "bootstrap"

// Options are what a Bootstrap is made of.
type Options struct {
	Translator *translate.Translator
	// Virtual is a client of the virtual cluster, with all rights.
	Virtual kubernetes.Interface
	// Allocator makes the host allocate the address of the DNS.
	Allocator *admission.Allocator
	// WebhookPort is where the admission webhook is served on loopback, and
	// WebhookReached is closed once it was called.
	WebhookPort    int
	WebhookReached <-chan struct{}
	// Authority signs the webhook's certificate.
	Authority *pki.Authority
	// APIPort is where the APIs for inside are served at the pod's address, by a certificate
	// of APIAuthority.
	APIPort      int32
	APIAuthority *pki.Authority
	// Reporter takes how far things are.
	Reporter *Reporter
	// DNS configures CoreDNS.
	DNS corefile.Cluster
	// EmbeddedDNS says that the syncer answers names itself, so that no pods do inside.
	EmbeddedDNS bool
}

// Bootstrap puts in place what a virtual cluster needs inside.
type Bootstrap struct {
	Options
	ready chan struct{}
	// metrics and explain say whether these APIs are served.
	metrics, explain *wish
	// resolved are the rules of the DNS, nil while they are not known.
	resolved        atomic.Pointer[string]
	resolvedChanged chan struct{}
}

// New returns a Bootstrap.
func New(o Options) *Bootstrap {
	b := &Bootstrap{Options: o, ready: make(chan struct{}), metrics: newWish(), explain: newWish(), resolvedChanged: make(chan struct{}, 1)}
	b.explain.set(true)
	return b
}

// Ready is closed when pods may be synced.
func (b *Bootstrap) Ready() <-chan struct{} { return b.ready }

// step is one thing to put in place. It is idempotent.
type step struct {
	name string
	run  func(context.Context) error
	// pods wait for it.
	first bool
}

func (b *Bootstrap) steps() []step {
	steps := []step{
		{"the Service kubernetes", b.kubernetesService, true},
		{"the Service of the DNS", b.dnsService, true},
		{"the admission webhook", b.webhook, false},
		{"the admission webhook of Nodes", b.keepNodes, false},
		{"the ServiceAccount of the first pods", b.firstAccount, false},
	}
	return append(append(steps, b.rights()...), b.dns()...)
}

// Run puts everything in place, and keeps it there until the context ends.
func (b *Bootstrap) Run(ctx context.Context) error {
	start := time.Now()
	logger := klog.FromContext(ctx)
	b.Reporter.Pending(PartBootstrap, "Bootstrapping", "the syncer is creating what the cluster needs inside")
	var first, all sync.WaitGroup
	steps := b.steps()
	for _, s := range steps {
		if s.first {
			first.Add(1)
		}
		all.Go(func() {
			if b.insist(ctx, s) && s.first {
				first.Done()
			}
		})
	}
	go func() {
		// Left waiting, when the context ends, with nothing that anybody waits for.
		first.Wait()
		logger.V(1).Info("Pods may be synced", "after", time.Since(start))
		close(b.ready)
	}()
	all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	logger.Info("Created what the cluster needs inside", "steps", len(steps), "after", time.Since(start).Round(time.Millisecond))
	b.Reporter.Done(PartBootstrap)
	var kept sync.WaitGroup
	kept.Go(func() { b.keep(ctx) })
	kept.Go(func() { b.keepAPI(ctx, metricsAPI(), b.metrics) })
	kept.Go(func() { b.keepAPI(ctx, explainAPI(), b.explain) })
	if !b.EmbeddedDNS {
		kept.Go(func() { b.keepResolved(ctx) })
	}
	kept.Wait()
	return nil
}

const (
	// accountInterval is how often the ServiceAccount is looked for, accountPatience how
	// long before it counts as trouble.
	accountInterval = 100 * time.Millisecond
	accountPatience = 10 * time.Second
)

// firstAccount waits until the control plane has made what every pod of the namespace
// default has: before that, the API server refuses pods. k3s makes it seconds after it is
// ready.
func (b *Bootstrap) firstAccount(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, accountInterval, accountPatience, true, func(ctx context.Context) (bool, error) {
		_, last = b.Virtual.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// insist tries a step until it succeeds or the context ends.
func (b *Bootstrap) insist(ctx context.Context, s step) bool {
	backoff := wait.Backoff{Duration: 20 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Steps: 12, Cap: 3 * time.Second}
	start := time.Now()
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := s.run(ctx)
		if err == nil {
			klog.FromContext(ctx).V(2).Info("Put in place", "what", s.name, "after", time.Since(start).Round(time.Millisecond), "tries", attempt+1)
			return true
		}
		if attempt > 5 && ctx.Err() == nil {
			b.trouble(ctx, s, err)
		}
		select {
		case <-time.After(backoff.Step()):
		case <-ctx.Done():
		}
	}
	return false
}

func (b *Bootstrap) trouble(ctx context.Context, s step, err error) {
	klog.FromContext(ctx).Error(err, "Cannot create inside", "what", s.name)
	b.Reporter.Pending(PartBootstrap, "BootstrapFailing", fmt.Sprintf("%s: %v", s.name, firstLine(err)))
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
