// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"garret.dev/garret/pkg/cli/kubeconfig"
)

// Inside is how a virtual cluster is reached.
type Inside struct {
	Config *rest.Config
	// Namespace is the one inside that was chosen by flag or context.
	Namespace string
}

// Inside is the way into the virtual cluster of this name on the host, which may have its
// namespace and a slash before it. Without a name it is the cluster that the chosen
// context leads to, by whatever way. The flag --namespace is about namespaces inside.
func (f *Flags) Inside(name string) (*Inside, error) {
	if name == "" {
		return f.entered()
	}
	namespace := metav1.NamespaceDefault
	if *f.config.Namespace != "" {
		namespace, *f.config.Namespace = *f.config.Namespace, ""
	}
	cluster, err := f.Cluster()
	if err != nil {
		return nil, err
	}
	link := kubeconfig.Link{Namespace: cluster.Namespace, Name: name}
	if before, after, both := strings.Cut(name, "/"); both {
		link.Namespace, link.Name = before, after
	}
	config := rest.CopyConfig(cluster.Config)
	if config.Host, err = link.Server(config.Host); err != nil {
		return nil, err
	}
	return &Inside{Config: config, Namespace: namespace}, nil
}

func (f *Flags) entered() (*Inside, error) {
	config, err := f.config.ToRESTConfig()
	if err != nil {
		return nil, advise(fmt.Errorf("reading the kubeconfig: %w", err), "set KUBECONFIG, or name a file with --kubeconfig")
	}
	namespace, _, err := f.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return &Inside{Config: config, Namespace: namespace}, nil
}
