// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/corefile"
	"garret.dev/garret/syncer/resources"
)

const (
	dnsImage = "registry.k8s.io/coredns/coredns:v1.15.0"
	// dnsUser is an unprivileged user that no image assigns to anybody.
	dnsUser = 65532
)

// dnsDeployment leaves the number of replicas to the tenant; one is the default.
func dnsDeployment() *appsv1.DeploymentApplyConfiguration {
	return appsv1.Deployment(dnsName, metav1.NamespaceSystem).
		WithLabels(resources.DNSSelector()).
		WithSpec(appsv1.DeploymentSpec().
			WithStrategy(appsv1.DeploymentStrategy().WithType("RollingUpdate").
				WithRollingUpdate(appsv1.RollingUpdateDeployment().
					WithMaxUnavailable(intstr.FromInt32(0)).WithMaxSurge(intstr.FromInt32(1)))).
			WithSelector(applymetav1.LabelSelector().WithMatchLabels(resources.DNSSelector())).
			WithTemplate(applycorev1.PodTemplateSpec().WithLabels(resources.DNSSelector()).WithSpec(dnsPod())))
}

func dnsPod() *applycorev1.PodSpecApplyConfiguration {
	return applycorev1.PodSpec().
		WithServiceAccountName(dnsName).
		WithPriorityClassName("system-cluster-critical").
		// It is the cluster's DNS: its own is the node's.
		WithDNSPolicy(corev1.DNSDefault).
		WithSecurityContext(applycorev1.PodSecurityContext().
			WithRunAsNonRoot(true).WithRunAsUser(dnsUser).WithRunAsGroup(dnsUser).
			WithSeccompProfile(applycorev1.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithContainers(dnsContainer()).
		WithVolumes(
			applycorev1.Volume().WithName("config").WithConfigMap(applycorev1.ConfigMapVolumeSource().WithName(dnsName)),
			applycorev1.Volume().WithName("custom").WithConfigMap(applycorev1.ConfigMapVolumeSource().WithName(dnsCustom).WithOptional(true)))
}

func dnsContainer() *applycorev1.ContainerApplyConfiguration {
	probe := func(path string, port int32) *applycorev1.ProbeApplyConfiguration {
		return applycorev1.Probe().WithHTTPGet(applycorev1.HTTPGetAction().WithPath(path).WithPort(intstr.FromInt32(port)))
	}
	port := func(name string, protocol corev1.Protocol, number int32) *applycorev1.ContainerPortApplyConfiguration {
		return applycorev1.ContainerPort().WithName(name).WithProtocol(protocol).WithContainerPort(number)
	}
	return applycorev1.Container().
		WithName(dnsName).
		WithImage(dnsImage).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithArgs("-conf", "/etc/coredns/config/Corefile").
		WithPorts(port("dns", corev1.ProtocolUDP, tenancyv1.PortDNS), port("dns-tcp", corev1.ProtocolTCP, tenancyv1.PortDNS), port("metrics", corev1.ProtocolTCP, corefile.MetricsPort)).
		WithVolumeMounts(
			applycorev1.VolumeMount().WithName("config").WithMountPath("/etc/coredns/config").WithReadOnly(true),
			applycorev1.VolumeMount().WithName("custom").WithMountPath("/etc/coredns/custom").WithReadOnly(true)).
		WithResources(applycorev1.ResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5m"), corev1.ResourceMemory: resource.MustParse("32Mi")}).
			WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("170Mi")})).
		WithReadinessProbe(probe("/ready", corefile.ReadyPort).WithPeriodSeconds(2)).
		WithLivenessProbe(probe("/health", corefile.HealthPort).WithInitialDelaySeconds(30).WithPeriodSeconds(10).WithFailureThreshold(5)).
		WithSecurityContext(applycorev1.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(applycorev1.Capabilities().WithDrop("ALL")))
}
