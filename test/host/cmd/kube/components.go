// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
)

// etcd returns only when etcd has been stopped; failures exit the process.
func etcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func kubeAPIServer() int         { return cli.Run(apiserver.NewAPIServerCommand()) }
func kubeControllerManager() int { return cli.Run(controllermanager.NewControllerManagerCommand()) }
func kubeScheduler() int         { return cli.Run(scheduler.NewSchedulerCommand()) }
func kubelet() int               { return cli.Run(kubeletapp.NewKubeletCommand(context.Background())) }
func kubeProxy() int             { return cli.Run(proxy.NewProxyCommand()) }
