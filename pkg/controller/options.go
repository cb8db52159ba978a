// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/uuid"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/version"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/controller/virtualcluster"
	"garret.dev/garret/pkg/tracing"
)

// Options are the flags of garret-controller.
type Options struct {
	Kubeconfig  string
	LeaderElect bool
	Identity    string
	Serving     *genericoptions.SecureServingOptions
	Tracing     tracing.Options
	Clusters    virtualcluster.Options
}

// NewOptions returns the defaults, which are right in a pod that the install chart made.
func NewOptions() *Options {
	return &Options{
		LeaderElect: true,
		Identity:    os.Getenv("POD_NAME"),
		Serving:     newServing(),
		Clusters: virtualcluster.Options{
			PodIPs:          podIPs(os.Getenv("POD_IPS")),
			NodeName:        os.Getenv("NODE_NAME"),
			Namespace:       cmp.Or(os.Getenv("POD_NAMESPACE"), tenancyv1.SystemNamespace),
			ClusterDomain:   "cluster.local",
			Version:         version.Get().GitVersion,
			ImageRepository: "garret.dev/garret",
			K3sImage:        "docker.io/rancher/k3s",
			ImagePullPolicy: "IfNotPresent",
			StallAfter:      2 * time.Minute,
			TeardownGrace:   5 * time.Minute,
			Workers:         16,
		},
	}
}

// podIPs reads the list that the kubelet gives a pod.
func podIPs(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// AddFlags adds the flags to a set.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "Kubeconfig of the host cluster. Defaults to the pod's own credentials.")
	flags.StringVar(&o.Clusters.Namespace, "namespace", o.Clusters.Namespace, "Namespace that Garret is installed in. Defaults to POD_NAMESPACE.")
	flags.StringSliceVar(&o.Clusters.PodIPs, "pod-ips", o.Clusters.PodIPs, "Addresses at which the host's nodes reach this process, for spec.sleep.wakeOnTraffic of virtual clusters: no connection wakes one without them. Defaults to POD_IPS.")
	flags.StringVar(&o.Clusters.NodeName, "node-name", o.Clusters.NodeName, "Node that this process runs on. Defaults to NODE_NAME.")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "Reconcile only while holding the lease. Switch it off only where there is never a second replica.")
	flags.StringVar(&o.Identity, "identity", o.Identity, "Name in the lease. No two processes may have the same one. Defaults to POD_NAME.")
	o.Serving.AddFlags(flags)
	o.Tracing.AddFlags(flags)
	flags.StringVar(&o.Clusters.ClusterDomain, "cluster-domain", o.Clusters.ClusterDomain, "DNS domain of the host cluster and of every virtual cluster.")
	flags.StringVar(&o.Clusters.ImageRepository, "image-repository", o.Clusters.ImageRepository, "Repository of the images syncer and controlplane.")
	flags.StringVar(&o.Clusters.K3sImage, "k3s-image", o.Clusters.K3sImage, "Image of k3s, without the tag.")
	flags.StringVar(&o.Clusters.ImagePullPolicy, "image-pull-policy", o.Clusters.ImagePullPolicy, "Pull policy of virtual clusters' containers: Always, IfNotPresent or Never.")
	flags.DurationVar(&o.Clusters.StallAfter, "stall-after", o.Clusters.StallAfter, "How long a problem may last before the phase of a virtual cluster is Failed.")
	flags.DurationVar(&o.Clusters.TeardownGrace, "teardown-grace-period", o.Clusters.TeardownGrace, "How long the pods of a deleted virtual cluster may take to end, whatever their own grace periods. Then garret-controller deletes them by force.")
	flags.IntVar(&o.Clusters.Workers, "concurrent-reconciles", o.Clusters.Workers, "How many virtual clusters the controller reconciles at a time. Those of one namespace get a quarter of that.")
}

// Complete fills in what depends on the machine.
func (o *Options) Complete() error {
	if o.Identity != "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("identity for the lease: %w", err)
	}
	o.Identity = host + "_" + string(uuid.NewUUID())
	return nil
}

// Validate says what is wrong with the flags.
func (o *Options) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(o.Clusters.Namespace != "", "--namespace: must not be empty")
	need(o.Clusters.ClusterDomain != "", "--cluster-domain: must not be empty")
	need(o.Clusters.ImageRepository != "" && o.Clusters.K3sImage != "", "--image-repository and --k3s-image: must not be empty")
	need(slices.Contains([]string{"Always", "IfNotPresent", "Never"}, o.Clusters.ImagePullPolicy), "--image-pull-policy=%s: want Always, IfNotPresent or Never", o.Clusters.ImagePullPolicy)
	for _, text := range o.Clusters.PodIPs {
		_, ok := tenancyv1.ParseEndpointAddress(text)
		need(ok, "--pod-ips=%s: want addresses, such as 10.0.0.7", text)
	}
	need(o.Clusters.StallAfter > 0, "--stall-after=%s: must be greater than zero", o.Clusters.StallAfter)
	need(o.Clusters.TeardownGrace > 0, "--teardown-grace-period=%s: must be greater than zero", o.Clusters.TeardownGrace)
	errs = append(errs, o.Serving.Validate()...)
	need(o.Clusters.Workers > 0, "--concurrent-reconciles=%d: must be greater than zero", o.Clusters.Workers)
	return errors.Join(errs...)
}

// config is that of the host's clients. They do not slow themselves down: the
// host's own priority and fairness knows better what it can bear.
func (o *Options) config() (*rest.Config, error) {
	load := rest.InClusterConfig
	if o.Kubeconfig != "" {
		load = func() (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", o.Kubeconfig) }
	}
	config, err := load()
	if err != nil {
		return nil, fmt.Errorf("host cluster: %w", err)
	}
	config.QPS = -1
	config.UserAgent = "garret-controller/" + o.Clusters.Version
	return config, nil
}
