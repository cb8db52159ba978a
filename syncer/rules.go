// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/definitions"
	"garret.dev/garret/syncer/resources"
)

// ruledKinds has the virtual cluster serve the kinds with a rule, and those of which something of
// the host is shown. It returns them, and what keeps their definitions current. Without such
// kinds the host is not asked anything.
func ruledKinds(ctx context.Context, options Options, both *sides, reporter *bootstrap.Reporter) (resources.Rules, func(context.Context) error, error) {
	none := func(context.Context) error { return nil }
	asked, err := options.customKinds()
	if err != nil {
		return resources.Rules{}, none, err
	}
	host, hostDefinitions, err := ruledClients(both.doubts.Watched(both.hostConfig))
	if err != nil {
		return resources.Rules{}, none, err
	}
	virtual, virtualDefinitions, err := ruledClients(both.virtualConfig)
	if err != nil {
		return resources.Rules{}, none, err
	}
	installer := &definitions.Installer{
		Host: hostDefinitions.ApiextensionsV1().CustomResourceDefinitions(), Virtual: virtualDefinitions.ApiextensionsV1().CustomResourceDefinitions(),
		ClusterID: both.translator.Cluster().ID, Shown: asked.definitionsShown(), Wide: asked.definitionsOfClasses(), Clock: options.Clock,
	}
	hidden, err := installer.Hidden(ctx)
	if err != nil {
		// What is not shown any more stays until the next start.
		klog.FromContext(ctx).Error(err, "Cannot find out which objects of the host were shown")
	}
	first := installer.Install(ctx, asked.all())
	kinds := asked.served(first)
	kinds.Virtual, kinds.Host, kinds.Hidden = virtual, host, hidden
	return kinds, func(ctx context.Context) error {
		return installer.Run(ctx, asked.all(), first, func(now definitions.Outcome) { reporter.CustomKinds(missing(now)) })
	}, nil
}

// customKinds are what the options say of kinds without a Go type.
type customKinds struct {
	rules    []tenancyv1.KindRule
	released []schema.GroupVersionResource
	shown    []tenancyv1.KindFromHost
	// classes are kinds whose objects belong to no namespace.
	classes []tenancyv1.KindRule
}

func (o *Options) customKinds() (kinds customKinds, err error) {
	if kinds.rules, err = o.rules(); err != nil {
		return kinds, err
	}
	if kinds.released, err = o.released(); err != nil {
		return kinds, err
	}
	synced, err := resources.Select(o.SyncResources, o.DisableSyncResources)
	if err != nil {
		return kinds, err
	}
	for _, kind := range tenancyv1.DefinedKinds(synced) {
		rule := tenancyv1.KindRule{APIVersion: kind.GroupVersionResource().GroupVersion().String(), Resource: kind.Resource}
		if !slices.ContainsFunc(kinds.classes, func(known tenancyv1.KindRule) bool { return known.Definition() == rule.Definition() }) {
			kinds.classes = append(kinds.classes, rule) // contents go both ways
		}
	}
	kinds.shown, err = o.shown()
	return kinds, err
}

// all are the kinds that both sides have to serve, each once.
func (k *customKinds) all() []tenancyv1.KindRule {
	all := slices.Clone(k.rules)
	for i := range k.shown {
		rule := k.shown[i].Rule()
		if !slices.ContainsFunc(all, func(r tenancyv1.KindRule) bool { return r.Definition() == rule.Definition() }) {
			all = append(all, rule)
		}
	}
	return append(all, k.classes...)
}

func (k *customKinds) definitionsOfClasses() map[string]bool {
	wide := map[string]bool{}
	for i := range k.classes {
		wide[k.classes[i].Definition()] = true
	}
	return wide
}

func (k *customKinds) definitionsShown() map[string]bool {
	shown := map[string]bool{}
	for i := range k.shown {
		rule := k.shown[i].Rule()
		shown[rule.Definition()] = true
	}
	return shown
}

// served are the kinds of which the definitions are in place.
func (k *customKinds) served(outcome definitions.Outcome) resources.Rules {
	kinds := resources.Rules{Released: k.released, Grants: outcome.Grants}
	wide := k.definitionsOfClasses()
	for _, kind := range outcome.Kinds {
		if wide[kind.Definition()] {
			kinds.Classes = append(kinds.Classes, kind)
			continue
		}
		if slices.ContainsFunc(k.rules, func(r tenancyv1.KindRule) bool { return r.Definition() == kind.Definition() }) {
			kinds.Kinds = append(kinds.Kinds, kind)
		}
		for i := range k.shown {
			if rule := k.shown[i].Rule(); rule.Definition() == kind.Definition() {
				kinds.Shown = append(kinds.Shown, resources.ShownKind{KindFromHost: k.shown[i], Kind: kind.Kind, Status: kind.HasStatus})
			}
		}
	}
	return kinds
}

// ruledClients are those of one side, for objects of any kind and for their definitions.
func ruledClients(config *rest.Config) (dynamic.Interface, *apiextensions.Clientset, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = clientQPS, clientBurst
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	return objects, client, nil
}

// missing says in the words of a condition which kinds are not synced; nothing where all are.
func missing(outcome definitions.Outcome) (reason, message string) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(outcome.Missing)) {
		parts = append(parts, name+": "+outcome.Missing[name].Error())
	}
	if len(parts) == 0 {
		return "", ""
	}
	return tenancyv1.ReasonNotServed, strings.Join(parts, "; ")
}
