// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/chart"
)

const (
	// indexTwin finds the Services that syncers made by the virtual cluster and the name inside.
	indexTwin = "twin"
	// sourcesPatience is how long a pass waits for the Services of the host to be listed.
	sourcesPatience = 5 * time.Second
)

// sources are the Services that specs name: the host's, and those of other virtual
// clusters, which are twins on the host. None is watched before a spec names one.
type sources struct {
	factory  informers.SharedInformerFactory
	services cache.SharedIndexInformer
	// stop ends the watch.
	stop <-chan struct{}
}

func newSources(host kubernetes.Interface) *sources {
	factory := informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithTransform(trimSource))
	s := &sources{factory: factory, services: factory.Core().V1().Services().Informer()}
	// It fails for informers that run already.
	_ = s.services.AddIndexers(cache.Indexers{indexTwin: byTwin})
	return s
}

// trimSource drops what is not read of a Service.
func trimSource(object any) (any, error) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return object, nil
	}
	ports := make([]corev1.ServicePort, len(service.Spec.Ports))
	for i, port := range service.Spec.Ports {
		ports[i] = corev1.ServicePort{Name: port.Name, Protocol: port.Protocol, Port: port.Port, TargetPort: port.TargetPort, AppProtocol: port.AppProtocol}
	}
	trimmed := &corev1.Service{ObjectMeta: kept(service), Spec: corev1.ServiceSpec{
		Type: service.Spec.Type, ClusterIP: service.Spec.ClusterIP, ClusterIPs: service.Spec.ClusterIPs, Selector: service.Spec.Selector, Ports: ports,
	}}
	if namespace := service.Annotations[tenancyv1.AnnotationVirtualNamespace]; len(namespace) <= maxKept {
		trimmed.Annotations[tenancyv1.AnnotationVirtualNamespace] = namespace
	}
	return trimmed, nil
}

func byTwin(object any) ([]string, error) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return nil, nil
	}
	id := service.Labels[tenancyv1.LabelCluster]
	if !tenancyv1.IsSyncedFor(service, id, service.Namespace) || service.Annotations[tenancyv1.AnnotationVirtualKind] != "" {
		return nil, nil
	}
	return []string{twinKey(service.Namespace, id, service.Annotations[tenancyv1.AnnotationVirtualNamespace], service.Annotations[tenancyv1.AnnotationVirtualName])}, nil
}

// twinKey has the namespace on the host, too: who may write in another one can give a
// Service there any mark.
func twinKey(hostNamespace, id, namespace, name string) string {
	return strings.Join([]string{hostNamespace, id, namespace, name}, "/")
}

// begin has the Services be watched, and returns once they are known.
func (s *sources) begin(ctx context.Context) error {
	s.factory.Start(s.stop)
	ctx, cancel := context.WithTimeout(ctx, sourcesPatience)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), s.services.HasSynced) {
		return errors.New("garret-controller does not know the host's Services yet")
	}
	return nil
}

// errNoSource is why a source leads nowhere, in words for the status.
type errNoSource string

func (e errNoSource) Error() string { return string(e) }

// find returns the Service of a source in the spec of a virtual cluster.
func (c *Controller) find(vc *tenancyv1.VirtualCluster, source tenancyv1.ServiceSource) (*corev1.Service, error) {
	indexer := c.watched.sources.services.GetIndexer()
	var service *corev1.Service
	if other := source.VirtualCluster; other != nil {
		cluster, err := c.watched.clusters.VirtualClusters(other.Namespace).Get(other.Name)
		if err != nil {
			return nil, errNoSource(fmt.Sprintf("the virtual cluster %s/%s does not exist", other.Namespace, other.Name))
		}
		twins, err := indexer.ByIndex(indexTwin, twinKey(cluster.Namespace, clusterID(cluster), source.Namespace, source.Name))
		if err != nil {
			return nil, err
		}
		if len(twins) == 1 {
			service, _ = twins[0].(*corev1.Service)
		}
	} else if object, found, err := indexer.GetByKey(source.Namespace + "/" + source.Name); err != nil {
		return nil, err
	} else if found {
		service, _ = object.(*corev1.Service)
	}
	switch {
	case service == nil:
		return nil, errNoSource("the Service does not exist")
	case tenancyv1.IsSyncedFor(service, clusterID(vc), vc.Namespace), service.Namespace == vc.Namespace && service.Name == tenancyv1.ReleaseName(vc.Name):
		return nil, errNoSource("the Service belongs to this virtual cluster")
	case service.Spec.Type == corev1.ServiceTypeExternalName, service.Spec.ClusterIP == "", service.Spec.ClusterIP == corev1.ClusterIPNone:
		return nil, errNoSource("the Service has no address of its own")
	}
	return service, nil
}

// findSources are the Services that the spec names, for the status, and what has to be
// opened for pods to reach what is behind them. Known is false where nothing is named.
func (c *Controller) findSources(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]tenancyv1.FoundService, []chart.ServicePeer, error) {
	named := vc.Spec.Sources(vc.Namespace)
	if len(named) == 0 {
		return nil, nil, nil
	}
	if err := c.watched.sources.begin(ctx); err != nil {
		return nil, nil, err
	}
	var all []tenancyv1.FoundService
	var peers []chart.ServicePeer
	for _, source := range named {
		found := tenancyv1.FoundService{From: source}
		service, err := c.find(vc, source)
		switch {
		case errors.As(err, new(errNoSource)):
			found.Message = err.Error()
			all = append(all, found)
			continue
		case err != nil:
			return nil, nil, err
		}
		found.ClusterIPs = addressesOf(service)
		for _, port := range service.Spec.Ports {
			found.Ports = append(found.Ports, tenancyv1.FoundServicePort{Name: port.Name, Protocol: port.Protocol, Port: port.Port, AppProtocol: port.AppProtocol})
		}
		if len(service.Spec.Selector) == 0 {
			found.Message = "the Service has no selector, so no NetworkPolicy can name its endpoints: where pods do not reach them, add their addresses to spec.isolation.egressRanges of the HostCluster"
		} else {
			peers = append(peers, chart.ServicePeer{Namespace: service.Namespace, PodSelector: metav1.LabelSelector{MatchLabels: service.Spec.Selector}, Ports: portsOf(service)})
		}
		all = append(all, found)
	}
	return all, peers, nil
}

func addressesOf(service *corev1.Service) []string {
	if len(service.Spec.ClusterIPs) > 0 {
		return service.Spec.ClusterIPs
	}
	return []string{service.Spec.ClusterIP}
}

// portsOf are the ports of the pods behind a Service.
func portsOf(service *corev1.Service) []chart.PeerPort {
	ports := make([]chart.PeerPort, len(service.Spec.Ports))
	for i, port := range service.Spec.Ports {
		ports[i] = chart.PeerPort{Protocol: port.Protocol, Port: port.TargetPort}
		if port.TargetPort.IntVal == 0 && port.TargetPort.StrVal == "" {
			ports[i].Port.IntVal = port.Port
		}
	}
	return ports
}

// enqueueSource is for a Service that specs may name.
func (c *Controller) enqueueSource(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	service, ok := object.(*corev1.Service)
	if !ok {
		return
	}
	for _, each := range c.watched.clusterChanges.GetStore().List() {
		vc, ok := each.(*tenancyv1.VirtualCluster)
		if !ok {
			continue
		}
		for _, source := range vc.Spec.Sources(vc.Namespace) {
			if namesSource(source, service) {
				c.queue.AddObject(vc)
				break
			}
		}
	}
}

// namesSource tells whether a source may be the Service.
func namesSource(source tenancyv1.ServiceSource, service *corev1.Service) bool {
	if other := source.VirtualCluster; other != nil {
		return service.Namespace == other.Namespace && service.Annotations[tenancyv1.AnnotationVirtualNamespace] == source.Namespace &&
			service.Annotations[tenancyv1.AnnotationVirtualName] == source.Name
	}
	return service.Namespace == source.Namespace && service.Name == source.Name
}
