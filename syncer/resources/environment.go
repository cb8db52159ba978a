// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// purposeEnvironment is in the name of a host ConfigMap with a namespace's environment.
	purposeEnvironment = "env"
)

// environments keeps, for each virtual namespace with pods, a host ConfigMap
// with the environment variables that announce its services. Pods take it in
// before anything else. So a container sees the services that there are when it
// starts, and what it sets itself takes precedence, both as it is with a kubelet's own.
type environments struct {
	translator *translate.Translator
	virtual    *Virtual
	host       *Host
	evidence   engine.Evidence
}

// environments adds their controller. It comes before the pods of its namespace.
func (b *builder) environments() {
	e := &environments{b.Translator, b.Virtual, b.Host, b.Evidence}
	controller := b.controller("environments", 1, e)
	b.watch(controller, b.Virtual.Services.Informer(), namespaceOf)
	b.watch(controller, b.Virtual.Pods.Informer(), namespaceOf)
	b.watch(controller, b.Host.ConfigMaps.Informer(), e.ownKey)
	b.beforePods = append(b.beforePods, need{controller: controller, keys: namespaceOf, must: true})
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

// Reconcile brings the ConfigMap of one virtual namespace up to date.
func (e *environments) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	cluster := e.translator.Cluster()
	name := e.translator.DerivedName(purposeEnvironment, "", key.Name)
	current, found := e.host.ConfigMaps.Get(cluster.HostNamespace, name)
	writer := e.host.ConfigMaps.Writer(cluster.HostNamespace)

	fill := func(wanted *corev1.ConfigMap) error {
		wanted.Name = name
		e.translator.Mark(wanted, translate.Identity{NamespacedName: key, Kind: tenancyv1.VirtualKindNamespace}, nil, nil)
		// It is selected with the rest of its namespace.
		wanted.Labels[tenancyv1.LabelVirtualNamespace] = key.Name
		wanted.Data = e.data(key.Name)
		return nil
	}
	var err error
	switch {
	case len(e.virtual.Pods.ByIndex(cache.NamespaceIndex, key.Name)) == 0:
		if !found {
			return 0, nil
		}
		if err = e.evidence.Confirm(ctx); err != nil {
			return 0, fmt.Errorf("environment of namespace %s: %w", key.Name, err)
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
		return 0, fmt.Errorf("environment of namespace %s: %w", key.Name, err)
	}
	return 0, nil
}

// data is the environment of one virtual namespace.
func (e *environments) data(namespace string) map[string]string {
	data := map[string]string{}
	for _, service := range e.virtual.Services.ByIndex(cache.NamespaceIndex, namespace) {
		for _, variable := range serviceEnvironment(service) {
			data[variable.Name] = variable.Value
		}
	}
	for _, variable := range kubernetesEnvironment(e.translator.Cluster().ServiceIP) {
		data[variable.Name] = variable.Value
	}
	return data
}

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
