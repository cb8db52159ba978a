// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package host finds the host cluster that a command works on, and the user's
// way to it.
//
// It follows kubectl's rules for kubeconfig, with one addition: if the chosen context leads
// into a virtual cluster, the command works on the host behind it. So the commands that create,
// list and leave virtual clusters work the same before and after "use".
package host

import (
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/kubeconfig"
)

// Flags are those which choose the host cluster, the namespace and the user.
type Flags struct {
	config *genericclioptions.ConfigFlags
}

// NewFlags returns kubectl's flags as far as they say which entries of the
// kubeconfig to use. Those which replace a part of an entry are left out: what
// they say could not be written down by "use".
func NewFlags() *Flags {
	config := genericclioptions.NewConfigFlags(true)
	config.APIServer, config.TLSServerName, config.Insecure, config.CAFile, config.ProxyURL = nil, nil, nil, nil, nil
	config.CertFile, config.KeyFile, config.BearerToken = nil, nil, nil
	config.ClusterName, config.AuthInfoName = nil, nil
	config.ImpersonateUserExtra, config.DisableCompression = nil, nil
	return &Flags{config: config}
}

// AddTo registers the flags, with --space as another name of --namespace.
func (f *Flags) AddTo(flags *pflag.FlagSet) {
	f.config.AddFlags(flags)
	flags.Lookup("namespace").Usage = "namespace on the host cluster; --space means the same"
	flags.Lookup("context").Usage = "context of the host cluster, or one that leads into a virtual cluster of it"
	flags.Lookup("kubeconfig").Usage = "kubeconfig file; KUBECONFIG or ~/.kube/config otherwise"
	flags.Lookup("request-timeout").Usage = "time allowed to a single request, such as 30s; 0 means no limit"
	for _, name := range []string{"as", "as-group", "as-uid", "cache-dir", "request-timeout"} {
		flags.Lookup(name).Hidden = true
	}
}

// Normalize makes --space the flag --namespace.
func Normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if name == "space" {
		name = "namespace"
	}
	return pflag.NormalizedName(name)
}

// Cluster is the host cluster as the user reaches it.
type Cluster struct {
	// Context is the name of the host's context; empty inside a pod without kubeconfig.
	Context string
	// Namespace is the one chosen by flag or context.
	Namespace string
	// Entered is the virtual cluster that the chosen context leads into, if it does.
	Entered *kubeconfig.Link
	// Files are the user's kubeconfig files.
	Files kubeconfig.Files
	// Config is for clients of the host's API.
	Config *rest.Config
	// Impersonating is set where --as was given.
	Impersonating bool

	getter genericclioptions.RESTClientGetter
}

// Cluster resolves the flags. Nothing is asked of the host yet.
func (f *Flags) Cluster() (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = *f.config.KubeConfig
	files := kubeconfig.NewFiles(rules)
	merged, err := files.Load()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if len(merged.Clusters) == 0 && !inPod() {
		// client-go would try localhost, which helps nobody to see what is missing.
		return nil, advise(fmt.Errorf("no kubeconfig: it is not known which cluster is the host"),
			"set KUBECONFIG, or name a file with --kubeconfig")
	}
	cluster := &Cluster{Files: files, Context: *f.config.Context, getter: f.config, Impersonating: *f.config.Impersonate != ""}
	if cluster.Context == "" {
		cluster.Context = merged.CurrentContext
	}
	if link, ok := kubeconfig.LinkOf(merged.Contexts[cluster.Context]); ok {
		if merged.Contexts[link.HostContext] == nil {
			return nil, advise(fmt.Errorf("context %q leads through the host context %q, which is no longer in the kubeconfig", cluster.Context, link.HostContext),
				"name the host cluster with --context")
		}
		cluster.Context, cluster.Entered = link.HostContext, &link
	}
	// Everything below reads the flags, so the host's context must stand there.
	*f.config.Context = cluster.Context

	loader := f.config.ToRawKubeConfigLoader()
	if cluster.Namespace, _, err = loader.Namespace(); err != nil {
		return nil, advise(fmt.Errorf("reading the kubeconfig: %w", err), "kubectl config get-contexts shows which contexts there are")
	}
	if cluster.Config, err = f.config.ToRESTConfig(); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// A command makes a handful of requests; client-go's default would delay them.
	cluster.Config.QPS, cluster.Config.Burst = 50, 100
	return cluster, nil
}

// inPod says whether this runs in a pod, which reaches its cluster without kubeconfig.
func inPod() bool {
	_, err := rest.InClusterConfig()
	return err == nil
}

// Tenancy returns a client of Garret's API.
func (c *Cluster) Tenancy() (versioned.Interface, error) { return versioned.NewForConfig(c.Config) }

// Kubernetes returns a client of the host's own API.
func (c *Cluster) Kubernetes() (kubernetes.Interface, error) {
	return kubernetes.NewForConfig(c.Config)
}

// Getter is what the Helm SDK takes.
func (c *Cluster) Getter() genericclioptions.RESTClientGetter { return c.getter }

// Link is the way to a virtual cluster through this host.
func (c *Cluster) Link(namespace, name string) (kubeconfig.Link, error) {
	switch {
	case c.Context == "":
		return kubeconfig.Link{}, advise(fmt.Errorf("the host cluster is not in a kubeconfig, so no context can lead through it"),
			"ask for a stand-alone one with: garret kubeconfig "+name+" --namespace "+namespace)
	case c.Impersonating:
		return kubeconfig.Link{}, advise(fmt.Errorf("--as cannot be written into a context"),
			"name a context whose user impersonates with --context")
	}
	return kubeconfig.Link{HostContext: c.Context, Namespace: namespace, Name: name}, nil
}
