// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/load"
)

// workers is how many clients ask at a time.
const workers = 6

// underLoad begins to write and read virtual clusters through the host.
func underLoad(t *testing.T) *load.Load {
	t.Helper()
	namespace := shared.host.NewNamespace(t, "load-")
	var in []load.Client[*v1.VirtualCluster, *v1.VirtualClusterList]
	for range workers {
		in = append(in, clients(t).TenancyV1().VirtualClusters(namespace))
	}
	return load.Start(t, in, func(name string) *v1.VirtualCluster {
		return &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	})
}
