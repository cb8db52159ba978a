// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// podsPerNode is the kubelet's default.
const podsPerNode = 110

// machine is what the machine has that the syncer runs on. It stands in nodes that may
// not be read: the API server inside refuses to resize a pod beyond its node, so a node
// must have a capacity. Machines of one cluster are mostly alike; where they are
// not, the host's nodes can be shown as they are.
type machine struct {
	capacity corev1.ResourceList
	// kernel is the version of the kernel, which containers share.
	kernel string
}

// thisMachine looks at the machine.
func thisMachine() (machine, error) {
	memory, err := memoryOf("/proc/meminfo")
	if err != nil {
		return machine{}, fmt.Errorf("capacity of the machine: %w", err)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return machine{}, fmt.Errorf("kernel of the machine: %w", err)
	}
	// The root of a container lies in the file system that the kubelet counts.
	var disk syscall.Statfs_t
	if err := syscall.Statfs("/", &disk); err != nil {
		return machine{}, fmt.Errorf("capacity of the machine: %w", err)
	}
	return machine{
		kernel: strings.TrimSpace(string(kernel)),
		capacity: corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
			corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(disk.Blocks)*disk.Bsize, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(podsPerNode, resource.DecimalSI),
		},
	}, nil
}

// memoryOf reads the memory of a machine, in bytes.
func memoryOf(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		kibibytes, err := strconv.ParseInt(fields[1], 10, 64)
		return kibibytes << 10, err
	}
	return 0, fmt.Errorf("no MemTotal in %s", path)
}
