// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/issuer"
	"garret.dev/garret/syncer/kubelet"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/tokens"
)

// parts are what runs beside the engine.
type parts struct {
	tokens *tokens.Minter
	// ready is closed when what pods depend on is in place inside.
	ready chan struct{}
	run   []func(context.Context) error
}

func newParts(options Options, both *sides, virtual *resources.Virtual, host *resources.Host) (*parts, error) {
	p := &parts{ready: make(chan struct{})}
	var err error
	p.tokens, err = tokens.New(tokens.Options{
		Translator: both.translator, Virtual: both.virtual, Host: both.host,
		VirtualPods: virtual.PodLister(), HostPods: host.PodLister(),
		HostPodInformer: host.Pods.Informer(), HostSecretInformer: host.Secrets.Informer(),
		Clock: clock.RealClock{},
	})
	if err != nil {
		return nil, err
	}
	issuer, err := newIssuer(options, both)
	if err != nil {
		return nil, err
	}
	kubelet, err := newKubelet(options, both, virtual, host)
	if err != nil {
		return nil, err
	}
	p.run = append(p.run, p.tokens.Run, issuer.Run, kubelet.Run)
	close(p.ready)
	return p, nil
}

// newKubelet returns the kubelet of all nodes inside, which the API server there
// reaches at the pod's address.
func newKubelet(options Options, both *sides, virtual *resources.Virtual, host *resources.Host) (*kubelet.Server, error) {
	listener, err := listen(options.BindAddress, options.KubeletPort)
	if err != nil {
		return nil, fmt.Errorf("kubelet: %w", err)
	}
	name := "system:node:" + both.translator.Cluster().ReleaseName()
	return kubelet.New(kubelet.Options{
		Listener:   listener,
		Serving:    pki.NewServing(pki.ServerAuthority(options.DataDir), name, []string{options.PodIP}, clock.RealClock{}),
		Callers:    pki.NewPool(pki.ClientAuthority(options.DataDir).CertificateFile()),
		Translator: both.translator, Virtual: both.virtual, Host: both.host,
		VirtualPods: virtual.PodLister(), HostPods: host.PodLister(), HostConfig: both.hostConfig,
	})
}

func newIssuer(options Options, both *sides) (*issuer.Issuer, error) {
	cluster := both.translator.Cluster()
	listener, err := listen(options.BindAddress, options.IssuerPort)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	name := tenancyv1.ServerName(cluster.Name, cluster.HostNamespace)
	hosts := []string{cluster.ReleaseName(), cluster.ReleaseName() + "." + cluster.HostNamespace, name,
		name + "." + cluster.Domain, cluster.ServiceIP, cluster.PodIP}
	return &issuer.Issuer{
		Listener: listener,
		Serving:  pki.NewServing(pki.ServerAuthority(options.DataDir), name, hosts, clock.RealClock{}),
		Callers:  pki.NewPool(options.IssuerClientCAFile),
		Signer:   pki.ClientAuthority(options.DataDir),
		Clock:    clock.RealClock{},
	}, nil
}

func listen(address string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
}
