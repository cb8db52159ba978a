// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// purposeEnvironment is in the name of a host ConfigMap with the variables of all
	// services of a namespace, purposeAPIServer in that of one with those of the API server.
	purposeEnvironment = "env"
	purposeAPIServer   = "env-api"

	// maxEnvironment is how many bytes the variables of a namespace may have together.
	// A ConfigMap holds 1 MiB, and a process starts with 2 MiB at most.
	maxEnvironment = 900 << 10
	// variableOverhead is what each takes beside its name and value.
	variableOverhead = 8

	// reasonEnvironment is the reason of Events about variables that are left out.
	reasonEnvironment = "ServiceLinksTruncated"
)

// environments keeps, for each virtual namespace with pods on the host that ask for
// them, host ConfigMaps with the environment variables that announce its services. Pods
// take one in before anything else. So a container sees the services that there are when it
// starts, and what it sets itself takes precedence, both as it is with a kubelet's own.
type environments struct {
	translator *translate.Translator
	virtual    *Virtual
	host       *Host
	evidence   engine.Evidence
}

// environmentNames are the host ConfigMaps with the variables of services: of all
// in the namespace, and of the API server alone.
type environmentNames struct{ services, apiServer string }

func environmentNamesOf(t *translate.Translator, namespace string) environmentNames {
	return environmentNames{t.DerivedName(purposeEnvironment, "", namespace), t.DerivedName(purposeAPIServer, "", namespace)}
}

// of is the ConfigMap that a container of the pod takes in; empty for one that needs none.
// Without variables from elsewhere, the few of the API server stand in the container itself.
func (n environmentNames) of(virtual *corev1.PodSpec, container *corev1.Container) string {
	switch {
	case linksServices(virtual):
		return n.services
	case len(container.EnvFrom) > 0:
		return n.apiServer
	}
	return ""
}

// environments adds their controller. One comes before the pods of its namespace begin.
func (b *builder) environments() *environments {
	guard(b, b.Host.ConfigMaps)
	e := &environments{b.Translator, b.Virtual, b.Host, b.Evidence}
	controller := b.controller("environments", 1, e)
	b.watch(controller, b.Virtual.Services.Informer(), namespaceOf)
	b.watchEnds(controller, b.Host.Pods.Informer(), e.podKey)
	b.watch(controller, b.Host.Pods.Informer(), e.debuggedKey)
	b.watch(controller, b.Host.ConfigMaps.Informer(), e.ownKey)
	b.beforePods = append(b.beforePods, need{controller: controller, must: true, keys: func(pod any) []types.NamespacedName {
		virtual, taken := pod.(*corev1.Pod), false
		names := environmentNamesOf(b.Translator, virtual.Namespace)
		forEachLasting(&virtual.Spec, func(container *corev1.Container) { taken = taken || names.of(&virtual.Spec, container) != "" })
		if !taken {
			return nil
		}
		return namespaceOf(pod)
	}})
	return e
}

// linksServices tells whether the pod asks for the variables of its namespace's services.
func linksServices(virtual *corev1.PodSpec) bool { return ptr.Deref(virtual.EnableServiceLinks, true) }

// debuggedKey names the virtual namespace of a host pod that has debug containers, one
// of which may be the first to take a ConfigMap in.
func (e *environments) debuggedKey(object any) []types.NamespacedName {
	if len(object.(*corev1.Pod).Spec.EphemeralContainers) == 0 {
		return nil
	}
	return e.podKey(object)
}

// podKey names the virtual namespace of a host pod.
func (e *environments) podKey(object any) []types.NamespacedName {
	identity, ours := e.translator.IdentityOf(object.(metav1.Object))
	if !ours {
		return nil
	}
	return []types.NamespacedName{{Name: identity.Namespace}}
}

// isUsed tells whether a pod on the host takes in the ConfigMap.
func (e *environments) isUsed(namespace, name string) bool {
	return slices.ContainsFunc(e.host.Pods.ByIndex(indexVirtualNamespace, namespace), func(host *corev1.Pod) bool {
		used := false
		forEachContainer(&host.Spec, func(container *corev1.Container) {
			used = used || slices.ContainsFunc(container.EnvFrom, func(from corev1.EnvFromSource) bool {
				return from.ConfigMapRef != nil && from.ConfigMapRef.Name == name
			})
		})
		return used
	})
}

func namespaceOf(object any) []types.NamespacedName {
	return []types.NamespacedName{{Name: object.(metav1.Object).GetNamespace()}}
}

func (e *environments) ownKey(object any) []types.NamespacedName {
	identity, ours := e.translator.IdentityOf(object.(metav1.Object))
	if !ours || identity.Kind != tenancyv1.VirtualKindNamespace {
		return nil
	}
	return []types.NamespacedName{identity.NamespacedName}
}

// Reconcile brings the ConfigMaps of one virtual namespace up to date.
func (e *environments) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	names := environmentNamesOf(e.translator, key.Name)
	return 0, errors.Join(
		e.bring(ctx, key, names.services, func() map[string]string {
			data, _ := e.data(key.Name)
			return data
		}),
		e.bring(ctx, key, names.apiServer, func() map[string]string {
			data := map[string]string{}
			for _, variable := range kubernetesEnvironment(e.translator.Cluster().ServiceIP) {
				data[variable.Name] = variable.Value
			}
			return data
		}))
}

// bring makes or updates one ConfigMap of the virtual namespace, or deletes it where no
// pod on the host takes it in.
func (e *environments) bring(ctx context.Context, key types.NamespacedName, name string, data func() map[string]string) error {
	cluster := e.translator.Cluster()
	current, found := e.host.ConfigMaps.Get(cluster.HostNamespace, name)
	writer := e.host.ConfigMaps.Writer(cluster.HostNamespace)

	fill := func(wanted *corev1.ConfigMap) error {
		wanted.Name = name
		e.translator.Mark(wanted, translate.Identity{NamespacedName: key, Kind: tenancyv1.VirtualKindNamespace}, nil, nil)
		// It is selected with the rest of its namespace.
		wanted.Labels[tenancyv1.LabelVirtualNamespace] = key.Name
		wanted.Data = data()
		return nil
	}
	var err error
	switch {
	case !e.isUsed(key.Name, name):
		if !found {
			return nil
		}
		if err = e.evidence.Confirm(ctx); err != nil {
			return fmt.Errorf("environment of namespace %s: %w", key.Name, err)
		}
		err = writer.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &current.UID}})
	case !found:
		if err = engine.Create(ctx, writer, &corev1.ConfigMap{}, fill); apierrors.IsAlreadyExists(err) {
			// Made a moment ago by another worker, with the same content or soon.
			err = nil
		}
	default:
		_, err = engine.Carry(ctx, writer, current, fill, func(wanted *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			return writer.Update(ctx, wanted, metav1.UpdateOptions{})
		})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return engine.OnHost("environment of namespace "+key.Name, err)
	}
	return nil
}

// data is the environment of one virtual namespace, and how many variables are left out
// of it because they are too much. Those of the oldest services come first.
func (e *environments) data(namespace string) (data map[string]string, leftOut int) {
	services := e.virtual.Services.ByIndex(cache.NamespaceIndex, namespace)
	slices.SortFunc(services, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	variables := kubernetesEnvironment(e.translator.Cluster().ServiceIP)
	var ports []corev1.EnvVar
	for _, service := range services {
		own := serviceEnvironment(service)
		at := min(addressVariables, len(own))
		variables, ports = append(variables, own[:at]...), append(ports, own[at:]...)
	}
	data, size := map[string]string{}, 0
	for _, variable := range append(variables, ports...) {
		if _, given := data[variable.Name]; given {
			continue
		}
		size += len(variable.Name) + len(variable.Value) + variableOverhead
		if size > maxEnvironment {
			leftOut++
			continue
		}
		data[variable.Name] = variable.Value
	}
	return data, leftOut
}

// tellLeftOut reports variables that the pod does not get.
func (p *pods) tellLeftOut(virtual *corev1.Pod) {
	if !linksServices(&virtual.Spec) {
		return
	}
	if _, leftOut := p.environments.data(virtual.Namespace); leftOut > 0 {
		p.recorder.Eventf(virtual, corev1.EventTypeWarning, reasonEnvironment,
			"The syncer left out %d environment variables that announce services of the namespace: a container cannot start with all of them. "+
				"Find services by their DNS names, and set spec.enableServiceLinks to false.", leftOut)
	}
}

// addressVariables is how many variables come before those of a service's ports.
const addressVariables = 3

// kubernetesEnvironment announces the API server inside.
func kubernetesEnvironment(address string) []corev1.EnvVar {
	return serviceEnvironment(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"},
		Spec: corev1.ServiceSpec{ClusterIP: address, Ports: []corev1.ServicePort{
			{Name: "https", Port: tenancyv1.PortHTTPS, Protocol: corev1.ProtocolTCP},
		}},
	})
}

// serviceEnvironment are the variables by which a service is announced, as the
// Kubernetes documentation of services and of Docker links describes them.
func serviceEnvironment(service *corev1.Service) []corev1.EnvVar {
	address := service.Spec.ClusterIP
	if address == "" || address == corev1.ClusterIPNone || len(service.Spec.Ports) == 0 {
		return nil
	}
	prefix := variableName(service.Name)
	first := service.Spec.Ports[0]
	variables := []corev1.EnvVar{
		{Name: prefix + "_SERVICE_HOST", Value: address},
		{Name: prefix + "_SERVICE_PORT", Value: strconv.Itoa(int(first.Port))},
		{Name: prefix + "_PORT", Value: portURL(address, first)},
	}
	for _, port := range service.Spec.Ports {
		number := strconv.Itoa(int(port.Port))
		if port.Name != "" {
			variables = append(variables, corev1.EnvVar{Name: prefix + "_SERVICE_PORT_" + variableName(port.Name), Value: number})
		}
		protocol := protocolOf(port)
		link := prefix + "_PORT_" + number + "_" + protocol
		variables = append(variables,
			corev1.EnvVar{Name: link, Value: portURL(address, port)},
			corev1.EnvVar{Name: link + "_PROTO", Value: strings.ToLower(protocol)},
			corev1.EnvVar{Name: link + "_PORT", Value: number},
			corev1.EnvVar{Name: link + "_ADDR", Value: address})
	}
	return variables
}

func variableName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func protocolOf(port corev1.ServicePort) string {
	if port.Protocol == "" {
		return string(corev1.ProtocolTCP)
	}
	return string(port.Protocol)
}

func portURL(address string, port corev1.ServicePort) string {
	return strings.ToLower(protocolOf(port)) + "://" + net.JoinHostPort(address, strconv.Itoa(int(port.Port)))
}
