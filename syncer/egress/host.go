// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

const (
	// askTimeout bounds a question to the host, for which a connection waits.
	askTimeout = 5 * time.Second
	// serversLast is how long the addresses of the host's API servers are believed, and
	// serversRetry how long it takes to ask again after no answer came.
	serversLast  = 10 * time.Minute
	serversRetry = 30 * time.Second
)

// Host is what the virtual cluster has on the host. It looks into the syncer's caches
// first, once there are any, and asks the host of what they do not know: so a pod
// counts from its first moment, and the known ones count while the host's API is away.
type Host struct {
	client     kubernetes.Interface
	translator *translate.Translator
	// node is where the control plane's pod runs.
	node []netip.Addr

	mu     sync.Mutex
	caches Caches

	serversMu sync.Mutex
	servers   []netip.Addr
	// askAgain is when the host is asked for them the next time.
	askAgain time.Time
}

// Caches hold what the syncer has synced to the host, as far as it has. They are empty
// where the kind is not synced.
type Caches struct {
	Pods, Services cache.Store
	// Nodes are those of the host that the syncer may read; nil for none.
	Nodes cache.Store
}

// NewHost returns the virtual cluster's part of the host. Node are the addresses of the
// node that the control plane's pod runs on.
func NewHost(client kubernetes.Interface, cluster translate.Cluster, node ...netip.Addr) *Host {
	return &Host{client: client, translator: translate.New(cluster), node: node}
}

// Follow has the caches be looked into from now on.
func (h *Host) Follow(caches Caches) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.caches = caches
}

// cached are the pods and Services in the caches.
func (h *Host) cached() (pods []*corev1.Pod, services []*corev1.Service) {
	caches := h.followed()
	return listed[*corev1.Pod](caches.Pods), listed[*corev1.Service](caches.Services)
}

func (h *Host) followed() Caches {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.caches
}

func listed[T any](store cache.Store) []T {
	if store == nil {
		return nil
	}
	objects := store.List()
	all := make([]T, 0, len(objects))
	for _, object := range objects {
		all = append(all, object.(T))
	}
	return all
}

// Has says whether a pod of the virtual cluster has the address, or a Service the
// address with the port.
func (h *Host) Has(ctx context.Context, target netip.AddrPort) (bool, error) {
	pods, services := h.cached()
	if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return h.podHas(pod, target.Addr()) }) ||
		slices.ContainsFunc(services, func(service *corev1.Service) bool { return h.serviceHas(service, target) }) {
		return true, nil
	}
	return h.askFor(ctx, target)
}

// askFor is Has by the host's word.
func (h *Host) askFor(ctx context.Context, target netip.AddrPort) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	namespace, address := h.translator.Cluster().HostNamespace, target.Addr().String()
	marked := metav1.ListOptions{LabelSelector: tenancyv1.LabelCluster + "=" + h.translator.Cluster().ID}
	marked.FieldSelector = fields.OneTermEqualSelector("status.podIP", address).String()
	pods, err := h.client.CoreV1().Pods(namespace).List(ctx, marked)
	if err != nil {
		return false, fmt.Errorf("pods: %w", err)
	}
	for i := range pods.Items {
		if h.podHas(&pods.Items[i], target.Addr()) {
			return true, nil
		}
	}
	marked.FieldSelector = fields.OneTermEqualSelector("spec.clusterIP", address).String()
	services, err := h.client.CoreV1().Services(namespace).List(ctx, marked)
	if err != nil {
		return false, fmt.Errorf("services: %w", err)
	}
	for i := range services.Items {
		if h.serviceHas(&services.Items[i], target) {
			return true, nil
		}
	}
	return false, nil
}

// podHas says whether the pod is the virtual cluster's and has the address alone.
func (h *Host) podHas(pod *corev1.Pod, address netip.Addr) bool {
	return h.translator.IsOurs(pod) && slices.Contains(tenancyv1.PodEndpoints(pod), address)
}

// serviceHas says whether the Service is the virtual cluster's, leads to pods, and has
// the address with the port.
func (h *Host) serviceHas(service *corev1.Service, target netip.AddrPort) bool {
	if !h.translator.IsOurs(service) || len(service.Spec.Selector) == 0 || service.Spec.Type == corev1.ServiceTypeExternalName {
		return false
	}
	addresses := append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...)
	return slices.ContainsFunc(addresses, func(text string) bool { return same(text, target.Addr()) }) &&
		slices.ContainsFunc(service.Spec.Ports, func(port corev1.ServicePort) bool {
			return port.Port == int32(target.Port()) && (port.Protocol == "" || port.Protocol == corev1.ProtocolTCP)
		})
}

func same(text string, address netip.Addr) bool {
	parsed, ok := tenancyv1.ParseEndpointAddress(text)
	return ok && parsed == address
}

// Hosts says whether the address is one of the host's API server, of a node that runs
// the control plane or a pod of the virtual cluster, or of one that is shown inside.
func (h *Host) Hosts(ctx context.Context, address netip.Addr) bool {
	if slices.Contains(h.node, address) || slices.Contains(h.apiServers(ctx), address) {
		return true
	}
	if slices.ContainsFunc(listed[*corev1.Node](h.followed().Nodes), func(node *corev1.Node) bool {
		return slices.ContainsFunc(node.Status.Addresses, func(at corev1.NodeAddress) bool { return same(at.Address, address) })
	}) {
		return true
	}
	pods, _ := h.cached()
	return slices.ContainsFunc(pods, func(pod *corev1.Pod) bool {
		return same(pod.Status.HostIP, address) ||
			slices.ContainsFunc(pod.Status.HostIPs, func(ip corev1.HostIP) bool { return same(ip.IP, address) })
	})
}

// apiServers are the addresses that the host's API server gives of itself. Everybody may
// ask for them.
func (h *Host) apiServers(ctx context.Context) []netip.Addr {
	h.serversMu.Lock()
	defer h.serversMu.Unlock()
	if time.Now().Before(h.askAgain) {
		return h.servers
	}
	found, err := h.askForServers(ctx)
	if err != nil {
		klog.FromContext(ctx).Info("The host's API server does not publish its addresses", "err", err)
		h.askAgain = time.Now().Add(serversRetry)
		return h.servers
	}
	h.servers, h.askAgain = found, time.Now().Add(serversLast)
	return found
}

func (h *Host) askForServers(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := h.client.Discovery().RESTClient()
	raw, err := client.Get().AbsPath("/api").SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var versions metav1.APIVersions
	if err := json.Unmarshal(raw, &versions); err != nil {
		return nil, err
	}
	var found []netip.Addr
	for _, server := range versions.ServerAddressByClientCIDRs {
		if address, err := netip.ParseAddrPort(server.ServerAddress); err == nil {
			found = append(found, address.Addr().Unmap())
		}
	}
	return found, nil
}
