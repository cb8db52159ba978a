//go:build !before_1_37

package server

import (
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// nameInformers names the API server's informers in their metrics, which
// Kubernetes wants since 1.37.
func nameInformers(o *options.ServerRunOptions) error {
	var err error
	o.InformerName, err = cache.NewInformerName("kube-apiserver")
	return err
}
