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
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/definitions"
	"garret.dev/garret/syncer/resources"
)

// ruledKinds has the virtual cluster serve the kinds with a rule. It returns them, and what
// keeps their definitions current. Without rules neither side is asked anything.
func ruledKinds(ctx context.Context, options Options, both *sides, reporter *bootstrap.Reporter) (resources.Rules, func(context.Context) error, error) {
	rules, err := options.rules()
	if err != nil {
		return resources.Rules{}, nil, err
	}
	released, err := options.released()
	if err != nil || len(rules)+len(released) == 0 {
		return resources.Rules{}, func(context.Context) error { return nil }, err
	}
	host, hostDefinitions, err := ruledClients(both.doubts.Watched(both.hostConfig))
	if err != nil {
		return resources.Rules{}, nil, err
	}
	virtual, virtualDefinitions, err := ruledClients(both.virtualConfig)
	if err != nil {
		return resources.Rules{}, nil, err
	}
	installer := &definitions.Installer{
		Host: hostDefinitions.ApiextensionsV1().CustomResourceDefinitions(), Virtual: virtualDefinitions.ApiextensionsV1().CustomResourceDefinitions(),
		ClusterID: both.translator.Cluster().ID, Clock: options.Clock,
	}
	first := installer.Install(ctx, rules)
	return resources.Rules{Virtual: virtual, Host: host, Kinds: first.Kinds, Released: released}, func(ctx context.Context) error {
		return installer.Run(ctx, rules, first, func(now definitions.Outcome) { reporter.CustomKinds(missing(now)) })
	}, nil
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
