// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// byPodSecurity is the reason why the tables pass what gives power over a node.
const byPodSecurity = "the level of Pod Security decides"

// PodSpec returns the part of a pod's spec that the host gets, and what keeps the pod from the host.
func PodSpec(spec *corev1.PodSpec, exceptions Exceptions) (*corev1.PodSpec, Violations) {
	return carry(spec, field.NewPath("spec"), exceptions)
}

// EphemeralContainer is PodSpec for the debug container at a place in the pod's list.
func EphemeralContainer(container *corev1.EphemeralContainer, place int, exceptions Exceptions) (*corev1.EphemeralContainer, Violations) {
	return carry(container, field.NewPath("spec", "ephemeralContainers").Index(place), exceptions)
}

// onLinux is why fields for Windows are refused: what the syncer adds to pods runs on Linux alone.
const onLinux = "pods of virtual clusters run on Linux"

func podTable() []typeRules {
	return []typeRules{
		of[corev1.PodSpec](
			passed("activeDeadlineSeconds", "affinity", "containers", "hostAliases", "initContainers", "os", "readinessGates", "resources",
				"restartPolicy", "securityContext", "shareProcessNamespace", "terminationGracePeriodSeconds", "volumes"),
			passed("hostIPC", "hostNetwork", "hostPID", "hostUsers").because(byPodSecurity),
			passed("nodeSelector", "runtimeClassName", "schedulerName", "tolerations").because("the host offers nodes, classes and schedulers to everybody in the namespace"),
			translated("the syncer adds them by the subresource, once the pod exists", "ephemeralContainers"),
			translated("the pod asks the DNS inside", "dnsConfig", "dnsPolicy"),
			translated("the pod has the name that it would have inside", "hostname", "hostnameOverride", "setHostnameAsFQDN", "subdomain"),
			translated("the copy on the host, of the Secret inside", "imagePullSecrets"),
			translated("the syncer announces the Services inside, and no others", "enableServiceLinks"),
			translated("a required node affinity, so that the host's scheduler respects taints and free room", "nodeName"),
			translated("the host's labels of pods of the same namespace inside", "topologySpreadConstraints"),
			translated("the release's ServiceAccount, or the copy of the one inside where serviceaccounts are synced: neither has rights, and tokens come from inside", "serviceAccountName", "serviceAccount"),
			leftOut("the host's own tokens are never mounted", "automountServiceAccountToken"),
			leftOut("priorities inside order the pods inside, and would preempt others on the host; a rule, or the name of a shown priority class, sets one of the host's", "priority", "priorityClassName", "preemptionPolicy"),
			leftOut("the host computes the overhead of its own runtime class", "overhead"),
			leftOut("the pod waits inside until its gates are gone", "schedulingGates"),
			leftOut("the host's scheduler places each pod by itself", "schedulingGroup"),
			leftOut("they name controllers inside", "evictionResponders"),
			withDevices("resourceClaims"),
		),
		of[corev1.PodResourceClaim](
			passed("name"),
			translated("the host's claim, of the claim inside", "resourceClaimName"),
			translated("the host's claim, of the one that was made of the template inside", "resourceClaimTemplateName"),
		),
		of[corev1.PodSecurityContext](
			passed("fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy"),
			passed("appArmorProfile", "runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxChangePolicy", "seLinuxOptions", "seccompProfile",
				"sysctls", "windowsOptions").because(byPodSecurity),
		),
		of[corev1.SecurityContext](
			passed("readOnlyRootFilesystem"),
			passed("allowPrivilegeEscalation", "appArmorProfile", "capabilities", "privileged", "procMount", "runAsGroup", "runAsNonRoot", "runAsUser",
				"seLinuxOptions", "seccompProfile", "windowsOptions").because(byPodSecurity),
		),
		of[corev1.Capabilities](passed("add", "drop").because(byPodSecurity)),
		of[corev1.SELinuxOptions](passed("level", "role", "type", "user").because(byPodSecurity)),
		of[corev1.SeccompProfile](passed("localhostProfile", "type").because(byPodSecurity)),
		of[corev1.AppArmorProfile](passed("localhostProfile", "type").because(byPodSecurity)),
		of[corev1.Sysctl](passed("name", "value").because(byPodSecurity)),
		of[corev1.WindowsSecurityContextOptions](
			refused(onLinux, "no setting lifts it", "hostProcess", "runAsUserName"),
			refused("it names credentials of the host's Windows domain", "no setting lifts it", "gmsaCredentialSpec", "gmsaCredentialSpecName"),
		),
		of[corev1.PodOS](refused(onLinux, "no setting lifts it", "name").unless(func(name any, _ Exceptions) bool {
			return name == corev1.Linux
		})),
		of[corev1.HostAlias](passed("hostnames", "ip")),
		of[corev1.PodReadinessGate](passed("conditionType")),
		of[corev1.PodDNSConfig](translated("the syncer puts them after what the DNS inside needs", "nameservers", "options", "searches")),
		of[corev1.PodDNSConfigOption](passed("name", "value")),
		of[corev1.LocalObjectReference](translated("the copy on the host, of the object inside", "name")),
	}
}
