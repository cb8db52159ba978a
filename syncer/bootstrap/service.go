// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const apiService = "kubernetes"

// kubernetesService gives the Service default/kubernetes the address of the
// host's Service in front of this virtual cluster.
//
// The control plane makes it with the first address of the range. That range is
// the host's, on which the first address is the host's own API server: pods would turn to that one,
// with tokens of this one. An address cannot be changed, so the Service is made again. The control
// plane may make its own in between; then the next try deletes that.
func (b *Bootstrap) kubernetesService(ctx context.Context) error {
	address := b.Translator.Cluster().ServiceIP
	services := b.Virtual.CoreV1().Services(metav1.NamespaceDefault)
	found, err := services.Get(ctx, apiService, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	wanted := apiServerService(address)
	if err == nil {
		if found.Spec.ClusterIP == address {
			return nil
		}
		// The control plane would put its own ports back.
		wanted.Spec.Ports = found.Spec.Ports
		err := services.Delete(ctx, apiService, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found.UID}})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete: %w", err)
		}
	}
	if _, err := services.Create(ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("create with address %s: %w", address, err)
	}
	klog.FromContext(ctx).V(1).Info("Gave the API server's Service its address", "address", address)
	return nil
}

func apiServerService(address string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, Name: apiService,
			Labels: map[string]string{"provider": "kubernetes", "component": "apiserver"},
		},
		Spec: corev1.ServiceSpec{
			Type:            corev1.ServiceTypeClusterIP,
			ClusterIP:       address,
			ClusterIPs:      []string{address},
			SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{
				Name: "https", Protocol: corev1.ProtocolTCP, Port: tenancyv1.PortHTTPS, TargetPort: intstr.FromInt32(tenancyv1.PortControlPlane),
			}},
		},
	}
}
