// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"garret.dev/garret/syncer/definitions"
	"garret.dev/garret/syncer/resources"
)

// ruledKinds has the virtual cluster serve the kinds with a rule. It returns them, and what
// keeps their definitions current. Without rules neither side is asked anything.
func ruledKinds(ctx context.Context, options Options, both *sides) (resources.Rules, func(context.Context) error, error) {
	rules, err := options.rules()
	if err != nil || len(rules) == 0 {
		return resources.Rules{}, func(context.Context) error { return nil }, err
	}
	made := resources.Rules{}
	installer := &definitions.Installer{ClusterID: both.translator.Cluster().ID, Clock: options.Clock}
	for _, side := range []struct {
		config  *rest.Config
		objects *dynamic.Interface
		set     func(*apiextensions.Clientset)
	}{
		{both.doubts.Watched(both.hostConfig), &made.Host, func(c *apiextensions.Clientset) {
			installer.Host = c.ApiextensionsV1().CustomResourceDefinitions()
		}},
		{both.virtualConfig, &made.Virtual, func(c *apiextensions.Clientset) {
			installer.Virtual = c.ApiextensionsV1().CustomResourceDefinitions()
		}},
	} {
		config := rest.CopyConfig(side.config)
		config.QPS, config.Burst = clientQPS, clientBurst
		objects, err := dynamic.NewForConfig(config)
		if err != nil {
			return made, nil, fmt.Errorf("client of %s: %w", config.Host, err)
		}
		*side.objects = objects
		client, err := apiextensions.NewForConfig(config)
		if err != nil {
			return made, nil, fmt.Errorf("client of %s: %w", config.Host, err)
		}
		side.set(client)
	}
	made.Kinds = installer.Install(ctx, rules)
	return made, func(ctx context.Context) error { return installer.Run(ctx, made.Kinds) }, nil
}
