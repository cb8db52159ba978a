// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Files are the kubeconfig files that are in force, by flag, KUBECONFIG or default.
type Files struct {
	rules clientcmd.ClientConfigLoader
}

// NewFiles returns the files that these rules name.
func NewFiles(rules clientcmd.ClientConfigLoader) Files { return Files{rules: rules} }

// Load merges the files; relative paths in them are made absolute.
func (f Files) Load() (*clientcmdapi.Config, error) { return f.rules.Load() }

// Paths are the files in the order in which they count.
func (f Files) Paths() []string { return f.rules.GetLoadingPrecedence() }

// Derive returns a configuration that holds only what leads to the virtual
// cluster. Its context names the host's user entry, which is not in it.
func (f Files) Derive(link Link) (*clientcmdapi.Config, error) {
	merged, err := f.Load()
	if err != nil {
		return nil, err
	}
	cluster, context, err := derive(merged, link)
	if err != nil {
		return nil, err
	}
	name := link.ContextName()
	derived := clientcmdapi.NewConfig()
	derived.Clusters[name], derived.Contexts[name], derived.CurrentContext = cluster, context, name
	return derived, nil
}

// Connect writes the context that leads to the virtual cluster into the file
// that holds the host's context, and makes it the current one.
func (f Files) Connect(ctx context.Context, link Link) error {
	merged, err := f.Load()
	if err != nil {
		return err
	}
	cluster, entry, err := derive(merged, link)
	if err != nil {
		return err
	}
	name := link.ContextName()
	file := merged.Contexts[link.HostContext].LocationOfOrigin
	if existing := merged.Contexts[name]; existing != nil {
		// The entry of an earlier file would hide one in a later file.
		file = existing.LocationOfOrigin
	}
	err = Edit(ctx, file, func(config *clientcmdapi.Config) error {
		config.Clusters[name], config.Contexts[name] = cluster, entry
		return nil
	})
	if err != nil {
		return err
	}
	return f.SetCurrent(ctx, name)
}

// SetCurrent makes an existing context the current one.
func (f Files) SetCurrent(ctx context.Context, name string) error {
	merged, err := f.Load()
	if err != nil {
		return err
	}
	entry := merged.Contexts[name]
	if entry == nil {
		return fmt.Errorf("no context %q in the kubeconfig", name)
	}
	file, err := f.currentFile(entry.LocationOfOrigin)
	if err != nil {
		return err
	}
	return Edit(ctx, file, func(config *clientcmdapi.Config) error {
		config.CurrentContext = name
		return nil
	})
}

// Remove takes out every context that leads to the virtual cluster, from
// whatever host context, with its cluster entry. Where one was the current
// context, its host's becomes that. It returns how many there were.
func (f Files) Remove(ctx context.Context, leads func(Link) bool) (int, error) {
	merged, err := f.Load()
	if err != nil {
		return 0, err
	}
	removed := 0
	for name, entry := range merged.Contexts {
		link, ok := LinkOf(entry)
		if !ok || !leads(link) {
			continue
		}
		if merged.CurrentContext == name && merged.Contexts[link.HostContext] != nil {
			if err := f.SetCurrent(ctx, link.HostContext); err != nil {
				return removed, err
			}
		}
		err := Edit(ctx, entry.LocationOfOrigin, func(config *clientcmdapi.Config) error {
			delete(config.Contexts, name)
			delete(config.Clusters, entry.Cluster)
			if config.CurrentContext == name {
				config.CurrentContext = ""
			}
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// derive finds the host's entries and makes the virtual cluster's from them.
func derive(merged *clientcmdapi.Config, link Link) (*clientcmdapi.Cluster, *clientcmdapi.Context, error) {
	hostContext := merged.Contexts[link.HostContext]
	if hostContext == nil {
		return nil, nil, fmt.Errorf("no context %q of the host cluster in the kubeconfig", link.HostContext)
	}
	hostCluster := merged.Clusters[hostContext.Cluster]
	if hostCluster == nil {
		return nil, nil, fmt.Errorf("context %q names the cluster %q, which is not in the kubeconfig", link.HostContext, hostContext.Cluster)
	}
	return link.entries(hostContext, hostCluster)
}

// currentFile is the file whose current-context is in force: the first that has
// one. Without any it is the file given.
func (f Files) currentFile(otherwise string) (string, error) {
	for _, file := range f.rules.GetLoadingPrecedence() {
		config, err := clientcmd.LoadFromFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("kubeconfig %s: %w", file, err)
		}
		if config.CurrentContext != "" {
			return file, nil
		}
	}
	return otherwise, nil
}
