// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
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

func kubectl() int {
	// Verbosity has to stand before the command is built, since building it
	// already looks for plugins and reads preferences.
	logs.GlogSetter(kubectlcmd.GetLogVerbosity(os.Args)) //nolint:errcheck // a bad level is reported by flag parsing
	if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}
