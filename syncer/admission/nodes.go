// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/syncer/egress"
)

// defaultKubeletPort is where an API server looks for a kubelet of a Node that names none.
const defaultKubeletPort = 10250

// Nodes judges what Nodes inside say of where their kubelets are. The API server
// connects there for whoever may use nodes/proxy. The doors of package egress stand in
// its way whatever is written; what is refused here tells why at once.
type Nodes struct {
	// Kubelet is where the syncer is the kubelet of its own Nodes.
	Kubelet netip.AddrPort
	// Bounds are those of the doors.
	Bounds egress.Bounds
}

// admit returns why the Node may not be written. What was written before is not judged.
func (n *Nodes) admit(ctx context.Context, node, old *corev1.Node) error {
	if old != nil && reflect.DeepEqual(old.Status.Addresses, node.Status.Addresses) && old.Status.DaemonEndpoints == node.Status.DaemonEndpoints {
		return nil
	}
	path := field.NewPath("status", "addresses")
	var errs field.ErrorList
	for i, address := range node.Status.Addresses {
		if reason := n.judge(ctx, node, address); reason != "" {
			errs = append(errs, field.Forbidden(path.Index(i), reason))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Node").GroupKind(), node.Name, errs)
}

// judge returns why the Node may not have the address; nothing, if it may.
func (n *Nodes) judge(ctx context.Context, node *corev1.Node, at corev1.NodeAddress) string {
	address, err := netip.ParseAddr(at.Address)
	if err != nil {
		return n.judgeName(node, at)
	}
	address = address.Unmap()
	if address == n.Kubelet.Addr() {
		if kubeletPort(node) != n.Kubelet.Port() {
			return "it is the syncer's address, whose kubelet has port " + strconv.Itoa(int(n.Kubelet.Port())) + ": set status.daemonEndpoints.kubeletEndpoint.port to that; no setting changes this"
		}
		return ""
	}
	if n.isSyncers(node) && at.Type == corev1.NodeInternalIP && n.Bounds.Own.Hosts(ctx, address) {
		return "" // where node ports answer; the kubelet is at the InternalDNS
	}
	if at.Type == corev1.NodeInternalDNS {
		return "the API server looks for the kubelet at the InternalDNS first, and it must be the syncer's, " + n.Kubelet.Addr().String() + ": leave it out; no setting changes this"
	}
	if err := n.Bounds.Shut(ctx, address); err != nil {
		return err.Error()
	}
	return ""
}

// judgeName judges what is no address. No name is connected to, so all that there can be is
// the Node's own.
func (n *Nodes) judgeName(node *corev1.Node, at corev1.NodeAddress) string {
	const lift = "; no setting changes this"
	switch at.Type {
	case corev1.NodeHostName:
		if at.Address != node.Name {
			return "the API server connects to addresses only: a Hostname must be the name of the Node" + lift
		}
		if name := strings.TrimSuffix(strings.ToLower(at.Address), "."); name == "localhost" || strings.HasSuffix(name, ".localhost") || egress.Numeric(name) {
			return "the Hostname stands for an address, which may be the control plane's own" + lift
		}
		return ""
	case corev1.NodeInternalIP, corev1.NodeExternalIP:
		return "it must be an IP address in its usual form"
	default:
		return "the API server connects to addresses only: leave it out" + lift
	}
}

// isSyncers says whether the API server finds the syncer when it looks for the Node's kubelet.
func (n *Nodes) isSyncers(node *corev1.Node) bool {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalDNS {
			return address.Address == n.Kubelet.Addr().String() && kubeletPort(node) == n.Kubelet.Port()
		}
	}
	return false
}

func kubeletPort(node *corev1.Node) uint16 {
	if port := node.Status.DaemonEndpoints.KubeletEndpoint.Port; port > 0 {
		return uint16(port)
	}
	return defaultKubeletPort
}
