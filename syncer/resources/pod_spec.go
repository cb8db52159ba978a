// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// reasonUntranslatable is the reason of Events about what a pod asks for and cannot have.
const reasonUntranslatable = "Untranslatable"

// podInputs are the things outside of a pod that its translation depends on.
type podInputs struct {
	// dns is the address of the DNS inside; empty while there is none.
	dns string
	// tokenSecret is the host Secret with the pod's tokens, tokenKeys the key of
	// each of its projections.
	tokenSecret string
	tokenKeys   []string
	// environment is the host ConfigMap with the environment of the pod's namespace.
	environment string
	// avoid names the nodes that the pod must not go to.
	avoid []string
}

// podTranslator makes the spec of a host pod.
type podTranslator struct {
	translator *translate.Translator
	scheduling scheduling
	hosts      HostsFile
}

// spec returns the spec of the pod on the host, as it is created.
func (p podTranslator) spec(virtual *corev1.Pod, in podInputs) (*corev1.PodSpec, error) {
	if err := translatable(virtual); err != nil {
		return nil, err
	}
	host := virtual.Spec.DeepCopy()
	// Ephemeral containers are added by their subresource, to a pod that runs.
	host.EphemeralContainers = nil
	p.leaveOut(host)
	claimEphemeral(host, virtual)
	visitFields(host, func(path *string) { *path = hostFieldPath(*path) })
	p.rename(host, virtual.Namespace)
	// What follows writes names of the host.
	mountTokens(host, in)
	forEachContainer(host, func(container *corev1.Container) { p.environment(container, &virtual.Spec, in.environment) })
	domain := p.translator.Cluster().Domain
	applyHostname(host, virtual, domain)
	applyDNS(host, virtual, in.dns, domain)
	p.hosts.apply(host, virtual, domain)
	if err := p.scheduling.apply(host, virtual, in.avoid); err != nil {
		return nil, err
	}
	return host, nil
}

// translatable refuses what would silently mean something else on the host.
func translatable(virtual *corev1.Pod) error {
	if len(virtual.Spec.ResourceClaims) > 0 {
		return engine.Refuse(reasonUntranslatable, "resource claims are not carried to the host cluster")
	}
	for _, volume := range virtual.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ClusterTrustBundle != nil || source.PodCertificate != nil {
				return engine.Refuse(reasonUntranslatable, fmt.Sprintf(
					"volume %s: trust bundles and pod certificates would be the host cluster's", volume.Name))
			}
		}
	}
	return nil
}

// leaveOut removes what means something inside only, or would give the tenant
// a say on the host that the host could not tell from its own users'.
func (p podTranslator) leaveOut(host *corev1.PodSpec) {
	// Tokens come from inside; the host's own are never mounted.
	host.ServiceAccountName, host.DeprecatedServiceAccount = "", ""
	host.AutomountServiceAccountToken = ptr.To(false)
	// Priorities inside order the pods inside.
	host.Priority, host.PriorityClassName, host.PreemptionPolicy = nil, "", nil
	// The environment of services is that inside.
	host.EnableServiceLinks = ptr.To(false)
	// The host computes the overhead of its own runtime class.
	host.Overhead = nil
	host.SchedulingGroup = nil
	host.EvictionResponders = nil
	if host.SchedulerName == corev1.DefaultSchedulerName {
		host.SchedulerName = ""
	}
}

// claimEphemeral has generic ephemeral volumes use the claims that are made for
// them inside, and are synced.
func claimEphemeral(host *corev1.PodSpec, virtual *corev1.Pod) {
	for i := range host.Volumes {
		if volume := &host.Volumes[i]; volume.Ephemeral != nil {
			volume.VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: ephemeralClaim(virtual, volume.Name),
			}}
		}
	}
}

// mountTokens has projected tokens come from the Secret that holds those of the virtual cluster.
func mountTokens(host *corev1.PodSpec, in podInputs) {
	token := 0
	for i := range host.Volumes {
		if host.Volumes[i].Projected == nil {
			continue
		}
		sources := host.Volumes[i].Projected.Sources
		for j := range sources {
			if sources[j].ServiceAccountToken == nil {
				continue
			}
			sources[j] = corev1.VolumeProjection{Secret: &corev1.SecretProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: in.tokenSecret},
				Items:                []corev1.KeyToPath{{Key: in.tokenKeys[token], Path: sources[j].ServiceAccountToken.Path}},
			}}
			token++
		}
	}
}

// rename turns the names of configmaps, secrets and claims into those on the host.
func (p podTranslator) rename(host *corev1.PodSpec, namespace string) {
	rename := func(name *string) {
		// An image pull secret without a name is allowed, and means none.
		if *name != "" {
			*name = p.translator.HostName(namespace, *name)
		}
	}
	visitReferences(host, visitor{configMap: rename, secret: rename, claim: rename})
}

// environment puts the environment of services before that of the container,
// so that the container's own takes precedence, as it does with the kubelet.
func (p podTranslator) environment(container *corev1.Container, virtual *corev1.PodSpec, configMap string) {
	if ptr.Deref(virtual.EnableServiceLinks, true) && configMap != "" {
		source := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap},
		}}
		container.EnvFrom = append([]corev1.EnvFromSource{source}, container.EnvFrom...)
		return
	}
	own := map[string]bool{}
	for _, variable := range container.Env {
		own[variable.Name] = true
	}
	var added []corev1.EnvVar
	for _, variable := range kubernetesEnvironment(p.translator.Cluster().ServiceIP) {
		if !own[variable.Name] {
			added = append(added, variable)
		}
	}
	container.Env = append(added, container.Env...)
}

// ephemeralContainers translates the ephemeral containers of the virtual pod.
func (p podTranslator) ephemeralContainers(virtual *corev1.Pod, environment string) []corev1.EphemeralContainer {
	spec := &corev1.PodSpec{EphemeralContainers: virtual.Spec.DeepCopy().EphemeralContainers}
	visitFields(spec, func(path *string) { *path = hostFieldPath(*path) })
	p.rename(spec, virtual.Namespace)
	forEachContainer(spec, func(container *corev1.Container) { p.environment(container, &virtual.Spec, environment) })
	return spec.EphemeralContainers
}
