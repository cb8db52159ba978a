// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ErrLevelUnknown says that the VirtualCluster has not been read yet.
var ErrLevelUnknown = errors.New("the syncer does not know the level of Pod Security yet")

// PodSecurity checks pods against the level of the Pod Security Standards that the
// VirtualCluster asks for.
type PodSecurity struct {
	evaluator policy.Evaluator
	versions  []api.Version

	mu       sync.RWMutex
	level    api.Level // empty while it is not known
	cluster  string
	watchers []func()
}

// NewPodSecurity returns one that knows no level yet. The host's version is that of its
// Kubernetes, such as v1.37.2. A pod has to meet the standards of that version, too:
// the latest allow more to a pod with a user namespace, and an older host takes the
// user namespace away.
func NewPodSecurity(hostVersion string) (*PodSecurity, error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, fmt.Errorf("pod security standards: %w", err)
	}
	host, err := version.ParseGeneric(hostVersion)
	if err != nil {
		return nil, fmt.Errorf("version of the host cluster: %w", err)
	}
	standards := []api.Version{api.LatestVersion(), api.MajorMinorVersion(int(host.Major()), int(host.Minor()))}
	return &PodSecurity{evaluator: evaluator, versions: standards}, nil
}

// Observe takes over the level. One that this release does not know is restricted.
func (p *PodSecurity) Observe(cluster *tenancyv1.VirtualCluster) {
	level := api.LevelBaseline
	if asked := cluster.Spec.Isolation.PodSecurity; asked != "" {
		level, _ = api.ParseLevel(string(asked))
	}
	p.mu.Lock()
	changed := p.level != level
	p.level, p.cluster = level, cluster.Namespace+"/"+cluster.Name
	watchers := slices.Clone(p.watchers)
	p.mu.Unlock()
	if changed {
		for _, watcher := range watchers {
			watcher()
		}
	}
}

// Watch has the function called when the level becomes known, and whenever it changes.
func (p *PodSecurity) Watch(changed func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers = append(p.watchers, changed)
}

// CheckInside is Check for a pod as a tenant writes it, with the fields that the
// tables refuse. What a host pod becomes decides later.
func (p *PodSecurity) CheckInside(spec *corev1.PodSpec, exceptions Exceptions) error {
	allowed, violations := PodSpec(spec, exceptions)
	if err := violations.Err(); err != nil {
		return err
	}
	return p.Check(&metav1.ObjectMeta{}, allowed)
}

// Check returns an error in words for tenants when the pod falls short of the level.
func (p *PodSecurity) Check(metadata *metav1.ObjectMeta, spec *corev1.PodSpec) error {
	p.mu.RLock()
	level, cluster := p.level, p.cluster
	p.mu.RUnlock()
	if level == "" {
		return ErrLevelUnknown
	}
	for _, standards := range p.versions {
		held := api.LevelVersion{Level: level, Version: standards}
		result := policy.AggregateCheckResults(p.evaluator.EvaluatePod(held, metadata, spec))
		if !result.Allowed {
			return fmt.Errorf("violates PodSecurity %q: %s; spec.isolation.podSecurity of VirtualCluster %s sets the level, and who may change it there can lift it",
				held, result.ForbiddenDetail(), cluster)
		}
	}
	return nil
}
