// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applydiscoveryv1 "k8s.io/client-go/applyconfigurations/discovery/v1"
	"k8s.io/klog/v2"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/metricsapi"
	"garret.dev/garret/syncer/resources"
)

const (
	apiServices = "/apis/apiregistration.k8s.io/v1/apiservices/"
	apiPort     = "https"
	// apiAgain is how soon a step is tried again that failed.
	apiAgain = 5 * time.Second
	// skipMirror keeps Endpoints from being made EndpointSlices of a second time.
	skipMirror = "endpointslice.kubernetes.io/skip-mirror"
)

// servedAPI is one that the syncer serves, and the API server inside passes on.
type servedAPI struct {
	group, version string
	// service leads to the syncer.
	service string
}

func metricsAPI() servedAPI {
	return servedAPI{metricsapi.Group, metricsapi.Version, resources.MetricsService}
}

func explainAPI() servedAPI {
	return servedAPI{explainv1alpha1.GroupName, explainv1alpha1.Version, resources.ExplainService}
}

// name is that of the APIService.
func (a servedAPI) name() string { return a.version + "." + a.group }

func (a servedAPI) path() string { return apiServices + a.name() }

// APIHosts are the names of the server of these APIs, as the API server inside verifies them.
func APIHosts() []string {
	var hosts []string
	for _, api := range []servedAPI{metricsAPI(), explainAPI()} {
		hosts = append(hosts, api.service+"."+metav1.NamespaceSystem+".svc")
	}
	return hosts
}

// wish says whether an API is to be served; nothing, while that is not known.
type wish struct {
	served  atomic.Pointer[bool]
	changed chan struct{}
}

func newWish() *wish { return &wish{changed: make(chan struct{}, 1)} }

func (w *wish) set(served bool) {
	w.served.Store(&served)
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// ServeMetrics has the metrics API served inside, or no longer.
func (b *Bootstrap) ServeMetrics(served bool) { b.metrics.set(served) }

// keepAPI puts the APIService of an API in place while it is served.
//
// A tenant may have a metrics-server instead. An APIService that leads elsewhere is
// theirs and stays. One that is gone while its Service is there was deleted by
// them, and stays away until they delete the Service, too.
func (b *Bootstrap) keepAPI(ctx context.Context, api servedAPI, wish *wish) {
	for {
		again := keepInterval
		if served := wish.served.Load(); served != nil {
			step := b.withdraw
			if *served {
				step = b.offer
			}
			if err := step(ctx, api); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Cannot keep an API registered inside", "api", api.name())
				again = apiAgain
			}
		}
		select {
		case <-wish.changed:
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

// registration is the part of an APIService that is read and written here.
type registration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              registrationSpec `json:"spec"`
}

type registrationSpec struct {
	Service              *registrationService `json:"service,omitempty"`
	Group                string               `json:"group"`
	Version              string               `json:"version"`
	CABundle             []byte               `json:"caBundle,omitempty"`
	GroupPriorityMinimum int32                `json:"groupPriorityMinimum"`
	VersionPriority      int32                `json:"versionPriority"`
}

type registrationService struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      int32  `json:"port,omitempty"`
}

// of tells whether the registration leads to the syncer.
func (a *registration) of(api servedAPI) bool {
	return a.Spec.Service != nil && a.Spec.Service.Namespace == metav1.NamespaceSystem && a.Spec.Service.Name == api.service
}

// registered reads the APIService that stands.
func (b *Bootstrap) registered(ctx context.Context, api servedAPI) (*registration, bool, error) {
	data, err := b.Virtual.Discovery().RESTClient().Get().AbsPath(api.path()).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	found := &registration{}
	if err := json.Unmarshal(data, found); err != nil {
		return nil, false, fmt.Errorf("APIService %s: %w", api.name(), err)
	}
	return found, true, nil
}

func (b *Bootstrap) offer(ctx context.Context, api servedAPI) error {
	found, exists, err := b.registered(ctx, api)
	if err != nil {
		return err
	}
	if exists && !found.of(api) {
		return nil
	}
	if !exists {
		_, err := b.Virtual.CoreV1().Services(metav1.NamespaceSystem).Get(ctx, api.service, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	authority, err := b.APIAuthority.Bundle()
	if err != nil {
		return err
	}
	// The APIService comes first: without it, the Service says that it was deleted.
	if !exists || !bytes.Equal(found.Spec.CABundle, authority) {
		if err := b.applyAPIService(ctx, api, authority); err != nil {
			return fmt.Errorf("APIService %s: %w", api.name(), err)
		}
	}
	return b.applyServiceTo(ctx, api)
}

func (b *Bootstrap) applyAPIService(ctx context.Context, api servedAPI, authority []byte) error {
	body, err := json.Marshal(registration{
		TypeMeta:   metav1.TypeMeta{Kind: "APIService", APIVersion: "apiregistration.k8s.io/v1"},
		ObjectMeta: metav1.ObjectMeta{Name: api.name()},
		Spec: registrationSpec{
			Service: &registrationService{Namespace: metav1.NamespaceSystem, Name: api.service, Port: tenancyv1.PortHTTPS},
			Group:   api.group, Version: api.version, CABundle: authority, GroupPriorityMinimum: 100, VersionPriority: 100,
		},
	})
	if err != nil {
		return err
	}
	return b.Virtual.Discovery().RESTClient().Patch(types.ApplyPatchType).AbsPath(api.path()).
		Param("fieldManager", fieldManager).Param("force", "true").Body(body).Do(ctx).Error()
}

// applyServiceTo has the Service lead to the syncer. API servers before 1.33 find it
// by Endpoints.
func (b *Bootstrap) applyServiceTo(ctx context.Context, api servedAPI) error {
	core, address := b.Virtual.CoreV1(), b.Translator.Cluster().PodIP
	name, namespace := api.service, metav1.NamespaceSystem
	service := applycorev1.Service(name, namespace).WithSpec(applycorev1.ServiceSpec().WithClusterIP(corev1.ClusterIPNone).
		WithPorts(applycorev1.ServicePort().WithName(apiPort).WithProtocol(corev1.ProtocolTCP).
			WithPort(tenancyv1.PortHTTPS).WithTargetPort(intstr.FromInt32(b.APIPort))))
	if _, err := core.Services(namespace).Apply(ctx, service, force()); err != nil {
		return fmt.Errorf("service %s: %w", name, err)
	}
	endpoints := applycorev1.Endpoints(name, namespace).WithLabels(map[string]string{skipMirror: "true"}).WithSubsets(applycorev1.EndpointSubset().
		WithAddresses(applycorev1.EndpointAddress().WithIP(address)).
		WithPorts(applycorev1.EndpointPort().WithName(apiPort).WithProtocol(corev1.ProtocolTCP).WithPort(b.APIPort)))
	if _, err := core.Endpoints(namespace).Apply(ctx, endpoints, force()); err != nil {
		return fmt.Errorf("endpoints %s: %w", name, err)
	}
	slice := applydiscoveryv1.EndpointSlice(name, namespace).
		WithLabels(map[string]string{discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: fieldManager}).
		WithAddressType(familyOf(address)).
		WithEndpoints(applydiscoveryv1.Endpoint().WithAddresses(address).WithConditions(applydiscoveryv1.EndpointConditions().WithReady(true))).
		WithPorts(applydiscoveryv1.EndpointPort().WithName(apiPort).WithProtocol(corev1.ProtocolTCP).WithPort(b.APIPort))
	if _, err := b.Virtual.DiscoveryV1().EndpointSlices(namespace).Apply(ctx, slice, force()); err != nil {
		return fmt.Errorf("endpointslice %s: %w", name, err)
	}
	return nil
}

// withdraw takes away what offer made. An API that nobody serves
// would keep namespaces from being deleted.
func (b *Bootstrap) withdraw(ctx context.Context, api servedAPI) error {
	found, exists, err := b.registered(ctx, api)
	if err != nil {
		return err
	}
	if !exists || !found.of(api) {
		return nil
	}
	core, name := b.Virtual.CoreV1(), api.service
	for _, remove := range []func(context.Context, string, metav1.DeleteOptions) error{
		b.Virtual.DiscoveryV1().EndpointSlices(metav1.NamespaceSystem).Delete,
		core.Endpoints(metav1.NamespaceSystem).Delete, core.Services(metav1.NamespaceSystem).Delete,
	} {
		if err := remove(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("service %s: %w", name, err)
		}
	}
	// It goes last: what is left of a Service alone would say that a tenant deleted it.
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found.UID}}
	body, err := json.Marshal(options)
	if err != nil {
		return err
	}
	err = b.Virtual.Discovery().RESTClient().Delete().AbsPath(api.path()).Body(body).SetHeader("Content-Type", "application/json").Do(ctx).Error()
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("APIService %s: %w", api.name(), err)
	}
	return nil
}

func familyOf(address string) discoveryv1.AddressType {
	if parsed, err := netip.ParseAddr(address); err == nil && parsed.Is6() {
		return discoveryv1.AddressTypeIPv6
	}
	return discoveryv1.AddressTypeIPv4
}
