package test

import (
	_ "github.com/google/go-containerregistry/pkg/v1/tarball"
	_ "go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	_ "k8s.io/kubernetes/cmd/kube-proxy/app"
	_ "k8s.io/kubernetes/cmd/kube-scheduler/app"
	_ "k8s.io/kubernetes/cmd/kubelet/app"
	_ "k8s.io/kubernetes/test/images/agnhost/netexec"
	_ "k8s.io/kubectl/pkg/cmd"
	_ "sigs.k8s.io/kind/pkg/cluster"
	_ "sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)
