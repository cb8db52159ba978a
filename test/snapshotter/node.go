// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// serve answers the kubelet, which finds the driver by a socket in its folder, until the
// context ends.
func (d *driver) serve(ctx context.Context, kubelet string) (<-chan error, error) {
	socket := filepath.Join(kubelet, "plugins", d.name, "csi.sock")
	node, err := listen(socket)
	if err != nil {
		return nil, err
	}
	register, err := listen(filepath.Join(kubelet, "plugins_registry", d.name+"-reg.sock"))
	if err != nil {
		return nil, errors.Join(err, node.Close())
	}
	driver, registrar := grpc.NewServer(), grpc.NewServer()
	csi.RegisterIdentityServer(driver, identity{name: d.name})
	csi.RegisterNodeServer(driver, nodeServer{driver: d})
	registration.RegisterRegistrationServer(registrar, plugin{name: d.name, socket: socket})
	context.AfterFunc(ctx, func() {
		registrar.Stop()
		driver.Stop()
	})
	served := make(chan error, 2)
	go func() { served <- driver.Serve(node) }()
	go func() { served <- registrar.Serve(register) }()
	return served, nil
}

// listen makes the socket, in the place of one that an earlier run left.
func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(socket); err != nil {
		return nil, err
	}
	return net.Listen("unix", socket)
}

// plugin tells the kubelet where the driver is.
type plugin struct {
	registration.UnimplementedRegistrationServer
	name, socket string
}

func (r plugin) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: r.name, Endpoint: r.socket, SupportedVersions: []string{"1.0.0"}}, nil
}

func (r plugin) NotifyRegistrationStatus(_ context.Context, said *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !said.PluginRegistered {
		fmt.Fprintln(os.Stderr, "The kubelet refuses the driver:", said.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

type identity struct {
	csi.UnimplementedIdentityServer
	name string
}

func (i identity) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: i.name, VendorVersion: "1"}, nil
}

func (i identity) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

// nodeServer mounts volumes for the kubelet.
type nodeServer struct {
	csi.UnimplementedNodeServer
	*driver
}

func (n nodeServer) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.node}, nil
}

func (n nodeServer) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (n nodeServer) NodePublishVolume(_ context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	target := request.GetTargetPath()
	if err := os.MkdirAll(target, 0o750); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	var there, above unix.Stat_t
	if unix.Stat(target, &there) == nil && unix.Stat(below(n.volumes, request.GetVolumeId()), &above) == nil && there.Ino == above.Ino && there.Dev == above.Dev {
		return &csi.NodePublishVolumeResponse{}, nil // mounted already
	}
	if err := unix.Mount(below(n.volumes, request.GetVolumeId()), target, "", unix.MS_BIND, ""); err != nil {
		return nil, status.Errorf(codes.Internal, "mount %s: %v", target, err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (n nodeServer) NodeUnpublishVolume(_ context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	target := request.GetTargetPath()
	// What is not mounted is an error of its own, and no harm.
	if err := unix.Unmount(target, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return nil, status.Errorf(codes.Internal, "unmount %s: %v", target, err)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}
