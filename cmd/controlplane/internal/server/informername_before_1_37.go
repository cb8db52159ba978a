//go:build before_1_37

package server

import "k8s.io/kubernetes/cmd/kube-apiserver/app/options"

// nameInformers does nothing: informers have had no names yet.
func nameInformers(*options.ServerRunOptions) error { return nil }
