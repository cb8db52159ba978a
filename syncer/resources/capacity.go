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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// podsPerNode is the kubelet's default.
const podsPerNode = 110

// machineCapacity is what the machine has that the syncer runs on. It stands in
// nodes whose real capacity may not be read: the API server inside refuses to
// resize a pod beyond its node, so a node must have one. Machines of one cluster
// are mostly alike; where they are not, the host's nodes can be shown as they are.
func machineCapacity() (corev1.ResourceList, error) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return nil, fmt.Errorf("capacity of the machine: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		kibibytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("capacity of the machine: %w", err)
		}
		return corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(kibibytes<<10, resource.BinarySI),
			corev1.ResourcePods:   *resource.NewQuantity(podsPerNode, resource.DecimalSI),
		}, nil
	}
	return nil, fmt.Errorf("capacity of the machine: no MemTotal in /proc/meminfo")
}
