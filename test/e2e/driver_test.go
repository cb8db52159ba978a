// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	"k8s.io/dynamic-resource-allocation/resourceslice"
)

const (
	deviceDriver = "gpu.e2e.garret.dev"
	// deviceVariable is what a container finds its device in.
	deviceVariable = "E2E_DEVICE"
)

// driver gives containers on the host's first node devices that are no more than a variable.
type driver struct {
	t *testing.T
	// cdi is where the container runtime looks for devices.
	cdi string
}

// runDriver runs the driver in this process, with these devices, until the test ends.
func runDriver(t *testing.T, names ...string) {
	t.Helper()
	if shared.Cluster == nil {
		t.Skip("the driver needs a host whose kubelet is a process of this machine")
	}
	node, kubelet, cdi, err := shared.Cluster.DeviceDirs()
	if err != nil {
		t.Skip(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(kubelet, "plugins", "e2e")
	for _, dir := range []string{data, cdi} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	// Short names: a path of a socket has an upper bound.
	helper, err := kubeletplugin.Start(ctx, &driver{t, cdi}, kubeletplugin.DriverName(deviceDriver), kubeletplugin.KubeClient(client), kubeletplugin.NodeName(node),
		kubeletplugin.RegistrarDirectoryPath(filepath.Join(kubelet, "plugins_registry")), kubeletplugin.RegistrarSocketFilename("e2e.sock"),
		kubeletplugin.PluginDataDirectoryPath(data), kubeletplugin.PluginSocket("e2e.sock"), kubeletplugin.HealthService(false))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		helper.Stop()
		if err := client.ResourceV1().ResourceSlices().DeleteCollection(context.Background(), deleteNow(), ofDriver()); err != nil {
			t.Errorf("delete the devices: %v", err)
		}
	})
	var devices []resourcev1.Device
	for _, name := range names {
		devices = append(devices, resourcev1.Device{Name: name})
	}
	if err := helper.PublishResources(ctx, resourceslice.DriverResources{Pools: map[string]resourceslice.Pool{node: {Slices: []resourceslice.Slice{{Devices: devices}}}}}); err != nil {
		t.Fatal(err)
	}
}

func (d *driver) file(claim types.UID) string { return filepath.Join(d.cdi, string(claim)+".json") }

// PrepareResourceClaims writes what the devices of each claim add to a container.
func (d *driver) PrepareResourceClaims(_ context.Context, claims []*resourcev1.ResourceClaim) (map[types.UID]kubeletplugin.PrepareResult, error) {
	results := map[types.UID]kubeletplugin.PrepareResult{}
	for _, claim := range claims {
		var result kubeletplugin.PrepareResult
		for _, allocated := range claim.Status.Allocation.Devices.Results {
			spec := fmt.Sprintf(`{"cdiVersion":"0.6.0","kind":"%s/device","devices":[{"name":%q,"containerEdits":{"env":["%s=%s"]}}]}`,
				deviceDriver, claim.UID, deviceVariable, allocated.Device)
			result.Err = os.WriteFile(d.file(claim.UID), []byte(spec), 0o600)
			result.Devices = append(result.Devices, kubeletplugin.Device{Requests: []string{allocated.Request}, PoolName: allocated.Pool, DeviceName: allocated.Device,
				CDIDeviceIDs: []string{fmt.Sprintf("%s/device=%s", deviceDriver, claim.UID)}})
		}
		results[claim.UID] = result
	}
	return results, nil
}

// UnprepareResourceClaims takes it away.
func (d *driver) UnprepareResourceClaims(_ context.Context, claims []kubeletplugin.NamespacedObject) (map[types.UID]error, error) {
	results := map[types.UID]error{}
	for _, claim := range claims {
		err := os.Remove(d.file(claim.UID))
		if os.IsNotExist(err) {
			err = nil
		}
		results[claim.UID] = err
	}
	return results, nil
}

// HandleError logs what failed in the background. The helper retries that.
func (d *driver) HandleError(ctx context.Context, err error, msg string) {
	if ctx.Err() == nil {
		d.t.Logf("driver: %s: %v", msg, err)
	}
}

// WatchHealthStatus says nothing of the devices' health.
func (d *driver) WatchHealthStatus(context.Context, chan<- kubeletplugin.DeviceHealthReport) error {
	return kubeletplugin.ErrHealthNotSupported
}
