// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/projected"
	"garret.dev/garret/syncer/translate"
)

const (
	// reasonUntranslatable is the reason of Events about what has no meaning on the host.
	reasonUntranslatable = "Untranslatable"
	// reasonForbidden is the reason of Events about what isolation keeps from the host.
	reasonForbidden = "Forbidden"
)

// forbidden refuses what isolation keeps from the host; it is nil for nothing.
func forbidden(violations isolation.Violations) error {
	err := violations.Err()
	if err == nil {
		return nil
	}
	fields := make([]engine.RefusedField, 0, len(violations))
	for _, violation := range violations {
		fields = append(fields, engine.RefusedField{Path: violation.Field.String(), Why: violation.Rule + "; " + violation.Remedy})
	}
	return engine.Refuse(reasonForbidden, err.Error(), fields...)
}

// podInputs are the things outside of a pod that its translation depends on.
type podInputs struct {
	// dns is the address of the DNS inside; empty while there is none.
	dns string
	// secret is the host Secret with what the pod projects, tokenKeys the key of each
	// of its tokens.
	secret    string
	tokenKeys []string
	// environment are the host ConfigMaps with the environment of the pod's namespace.
	environment environmentNames
	// nodes are what somebody inside wrote on nodes.
	nodes nodeRules
	// devices are the host's claims of devices, by their names in the pod.
	devices map[string]string
	// inside are the resources that the host is not asked for, since only nodes inside have them.
	inside []corev1.ResourceName
}

// podTranslator makes the spec of a host pod.
type podTranslator struct {
	translator *translate.Translator
	scheduling scheduling
	hosts      HostsFile
	exceptions isolation.Exceptions
	rules      podRules
}

// spec returns the spec of the pod on the host, as it is created.
func (p podTranslator) spec(virtual *corev1.Pod, in podInputs) (*corev1.PodSpec, error) {
	allowed, violations := isolation.PodSpec(&virtual.Spec, p.exceptions)
	if err := forbidden(violations); err != nil {
		return nil, err
	}
	// From here on nothing is seen but what may travel.
	virtual = &corev1.Pod{ObjectMeta: virtual.ObjectMeta, Spec: *allowed}
	host := allowed.DeepCopy()
	// Ephemeral containers are added by their subresource, to a pod that runs.
	host.EphemeralContainers = nil
	p.lendNothing(host)
	stripInside(host, in.inside)
	p.rules.images(host)
	if p.rules.RuntimeClassName != "" {
		host.RuntimeClassName = &p.rules.RuntimeClassName
	}
	claimEphemeral(host, virtual)
	visitFields(host, func(path *string) { *path = hostFieldPath(*path) })
	p.rename(host, virtual.Namespace)
	// What follows writes names of the host.
	nameDevices(host, in.devices)
	mountProjections(host, in)
	forEachContainer(host, func(container *corev1.Container) { p.environment(container, &virtual.Spec, in.environment) })
	domain := p.translator.Cluster().Domain
	applyHostname(host, virtual, domain)
	applyDNS(host, virtual, in.dns, domain)
	p.hosts.apply(host, virtual, domain)
	if err := p.scheduling.apply(host, virtual, in.nodes); err != nil {
		return nil, err
	}
	return host, nil
}

// lendNothing has the pod run as an account without rights, and without what the
// host gives to the pods of its own users.
func (p podTranslator) lendNothing(host *corev1.PodSpec) {
	// Tokens come from inside; the host's own are never mounted.
	host.ServiceAccountName, host.DeprecatedServiceAccount = p.translator.Cluster().WorkloadsAccount(), ""
	host.AutomountServiceAccountToken = ptr.To(false)
	// The environment of services is that inside.
	host.EnableServiceLinks = ptr.To(false)
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

// mountProjections has projected tokens, trust bundles and certificates come from the
// Secret that holds those of the virtual cluster.
func mountProjections(host *corev1.PodSpec, in podInputs) {
	token, mode := 0, projected.Mode(host)
	for i := range host.Volumes {
		if host.Volumes[i].Projected == nil {
			continue
		}
		sources := host.Volumes[i].Projected.Sources
		for j := range sources {
			items, is := projected.Items(host.Volumes[i].Name, j, &sources[j], mode)
			if wanted := sources[j].ServiceAccountToken; wanted != nil {
				items = []corev1.KeyToPath{{Key: in.tokenKeys[token], Path: wanted.Path, Mode: mode, User: wanted.User}}
				token++
			}
			switch {
			case is && len(items) == 0:
				// No item at all would mean all that the Secret holds.
				sources[j] = corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{}}
			case len(items) > 0:
				sources[j] = corev1.VolumeProjection{Secret: &corev1.SecretProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: in.secret}, Items: items,
				}}
			}
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
// so that the container's own takes precedence, as it does with the kubelet: of
// several sources the last one counts, and a single variable before any source.
func (p podTranslator) environment(container *corev1.Container, virtual *corev1.PodSpec, names environmentNames) {
	if configMap := names.of(virtual, container); configMap != "" {
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

// ephemeralContainer translates an ephemeral container of the virtual pod.
func (p podTranslator) ephemeralContainer(virtual *corev1.Pod, allowed *corev1.EphemeralContainer, environment environmentNames) corev1.EphemeralContainer {
	spec := &corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{*allowed.DeepCopy()}}
	p.rules.images(spec)
	visitFields(spec, func(path *string) { *path = hostFieldPath(*path) })
	p.rename(spec, virtual.Namespace)
	forEachContainer(spec, func(container *corev1.Container) { p.environment(container, &virtual.Spec, environment) })
	return spec.EphemeralContainers[0]
}
