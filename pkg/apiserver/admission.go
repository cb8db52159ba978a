// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	quotageneric "k8s.io/apiserver/pkg/quota/v1/generic"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/quota"
)

// addQuota has the server enforce the quotas that the host counts. It comes
// last, as on the host: only what everybody else admitted is counted.
func addQuota(options *genericoptions.AdmissionOptions) {
	resourcequota.Register(options.Plugins)
	options.RecommendedPluginOrder = append(options.RecommendedPluginOrder, resourcequota.PluginName)
}

// quotaInitializer tells the quota plugin what it may count.
type quotaInitializer struct{ configuration quotav1.Configuration }

func (q quotaInitializer) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(initializer.WantsQuotaConfiguration); ok {
		wants.SetQuotaConfiguration(q.configuration)
	}
}

// newQuotaInitializer counts virtual clusters, and what they ask for.
func newQuotaInitializer(loopback *rest.Config) (admission.PluginInitializer, error) {
	client, err := versioned.NewForConfig(loopback)
	if err != nil {
		return nil, fmt.Errorf("client of this server itself: %w", err)
	}
	list := func(namespace string) ([]runtime.Object, error) {
		clusters, err := client.TenancyV1().VirtualClusters(namespace).List(context.Background(), metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("count virtual clusters in %s: %w", namespace, err)
		}
		objects := make([]runtime.Object, 0, len(clusters.Items))
		for i := range clusters.Items {
			objects = append(objects, &clusters.Items[i])
		}
		return objects, nil
	}
	return quotaInitializer{quotageneric.NewConfiguration([]quotav1.Evaluator{quota.NewEvaluator(list)}, nil)}, nil
}

// switchOffUnserved disables the plugins for kinds that the host does not
// serve, being older: a plugin that waits for them would stall every write. It
// waits until the host answers.
func switchOffUnserved(ctx context.Context, host discovery.DiscoveryInterface, options *genericoptions.AdmissionOptions) error {
	logger := klog.FromContext(ctx)
	var served []string
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
		resources, err := host.ServerResourcesForGroupVersion(admissionregistrationv1.SchemeGroupVersion.String())
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			logger.Error(err, "The host does not answer yet")
			return false, nil
		}
		for _, resource := range resources.APIResources {
			served = append(served, resource.Name)
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("ask the host which admission policies it serves: %w", err)
	}
	for resource, plugin := range map[string]string{
		"mutatingadmissionpolicies":   mutatingpolicy.PluginName,
		"validatingadmissionpolicies": validatingpolicy.PluginName,
	} {
		if !slices.Contains(served, resource) && !slices.Contains(options.DisablePlugins, plugin) {
			logger.Info("The host does not serve a kind of policy: its plugin is off", "resource", resource, "plugin", plugin)
			options.DisablePlugins = append(options.DisablePlugins, plugin)
		}
	}
	return nil
}
