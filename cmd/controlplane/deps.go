package main

import (
	_ "github.com/k3s-io/kine/pkg/endpoint"
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {}
