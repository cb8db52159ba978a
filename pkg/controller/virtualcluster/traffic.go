// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/activator"
	"garret.dev/garret/pkg/dormancy"
)

// toldServices is how many Services an Event names whose connections do not wake.
const toldServices = 5

func (c *Controller) newActivator() *activator.Activator {
	var addresses []netip.Addr
	for _, text := range c.options.PodIPs {
		if address, ok := tenancyv1.ParseEndpointAddress(text); ok {
			addresses = append(addresses, address)
		}
	}
	return activator.New(activator.Options{Host: c.Host, Addresses: addresses, Node: c.options.NodeName, Knock: c.knock})
}

// knock notes that a connection is to end this sleep. The next pass decides. A note that is lost
// with this process is lost with the connection.
func (c *Controller) knock(name types.NamespacedName, sleep int64) {
	key := cache.NewObjectName(name.Namespace, name.Name)
	m := c.remember(key)
	m.Lock()
	m.knocked = sleep
	m.Unlock()
	c.queue.Add(key)
}

// decide is what the object and the clock ask for, or else a connection.
func (c *Controller) decide(vc *tenancyv1.VirtualCluster, m *memory) dormancy.Decision {
	decision := dormancy.Decide(vc, c.Clock.Now())
	m.Lock()
	defer m.Unlock()
	if decision.Do == dormancy.Stay && c.wakesOnTraffic(vc) && m.knocked == vc.Status.Sleep.Number {
		return dormancy.Decision{Do: dormancy.Wake, Cause: tenancyv1.WakeCauseTraffic}
	}
	return decision
}

// wakesOnTraffic says whether a connection wakes the virtual cluster, as its spec and its host cluster have it.
func (c *Controller) wakesOnTraffic(vc *tenancyv1.VirtualCluster) bool {
	return vc.WakesOnTraffic() && !c.trafficDenied(vc)
}

// trafficDenied says whether the administrator of the host forbids that connections wake it. Nobody
// has allowed it where the host cluster is not known.
func (c *Controller) trafficDenied(vc *tenancyv1.VirtualCluster) bool {
	host, err := c.watched.hosts.Get(vc.Spec.HostClusterRef.Name)
	return err != nil || host.Spec.Sleep.DenyWakeOnTraffic
}

// guard has connections wake a virtual cluster that sleeps, if its spec asks for that, and tells
// of Services whose connections do not.
func (c *Controller) guard(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) error {
	if !vc.WakesOnTraffic() {
		c.sayOnce(vc, m, &m.unguarded, "", "", "")
		return c.activator.Close(ctx, vc)
	}
	if c.trafficDenied(vc) {
		c.sayOnce(vc, m, &m.unguarded, corev1.EventTypeWarning, reasonUnguarded, "connections do not wake the virtual cluster: spec.sleep.denyWakeOnTraffic of the HostCluster "+
			vc.Spec.HostClusterRef.Name+" forbids it, and its administrator can lift that")
		return c.activator.Close(ctx, vc)
	}
	message := ""
	if c.activator == nil {
		message = "garret-controller does not know its own address, so no connection wakes the virtual cluster: set its --pod-ips"
	}
	left, err := c.activator.Guard(ctx, vc)
	if err != nil {
		message = "connections do not wake the virtual cluster: " + err.Error()
	}
	if len(left) > 0 {
		var told []string
		for _, name := range slices.Sorted(maps.Keys(left)) {
			told = append(told, name+": "+left[name])
		}
		more := ""
		if len(told) > toldServices {
			more = fmt.Sprintf("; and %d more", len(told)-toldServices)
		}
		message = "connections to these Services do not wake the virtual cluster: " + strings.Join(told[:min(len(told), toldServices)], "; ") + more
	}
	c.sayOnce(vc, m, &m.unguarded, corev1.EventTypeWarning, reasonUnguarded, message)
	return err
}
