// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// forbidden wants a pod inside that never reaches the host, and the words why, in an Event and in
// the status unless it names its node.
func (s *side) forbidden(name string, spec corev1.PodSpec, words ...string) {
	s.t.Helper()
	message := s.awaitEvent(s.createPod(name, spec).UID, "Forbidden")
	if spec.NodeName == "" {
		s.awaitWaiting(name, words[0])
	}
	for _, each := range words {
		if !strings.Contains(message, each) {
			s.t.Errorf("event on %s: got %q, want %q in it", name, message, each)
		}
	}
	if _, err := s.host.CoreV1().Pods(s.hostNamespace).Get(s.t.Context(), s.translator.HostName(s.namespace, name), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		s.t.Errorf("pod %s is on the host: %v", name, err)
	}
}

// plain is a pod that anybody may have.
func plain(change ...func(*corev1.PodSpec)) corev1.PodSpec {
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}
	for _, each := range change {
		each(&spec)
	}
	return spec
}

func volume(source corev1.VolumeSource) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "v", VolumeSource: source})
	}
}

func nodeRoot(spec *corev1.PodSpec) {
	spec.HostPID = true
	volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}})(spec)
}

// TestNobodyOut attacks the host with pods, from a namespace there without any label.
func TestNobodyOut(t *testing.T) {
	s := setUp(t)
	const level = "spec.isolation.podSecurity of VirtualCluster "
	t.Run("pods", func(t *testing.T) {
		for name, attack := range map[string]struct {
			pod   func(*corev1.PodSpec)
			words []string
		}{
			"node-root": {nodeRoot, []string{`violates PodSecurity "baseline:latest": host namespaces (hostPID=true), hostPath volumes`, level + s.hostNamespace + "/demo"}},
			"metadata": {func(spec *corev1.PodSpec) {
				spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: "169.254.169.254", Port: intstr.FromInt32(80), Path: "/latest"}}}
			}, []string{"169.254.169.254", level}},
			"hook": {func(spec *corev1.PodSpec) {
				spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Host: "10.96.0.1", Port: intstr.FromInt32(443)}}}
			}, []string{"10.96.0.1", level}},
			"privileged": {func(spec *corev1.PodSpec) {
				spec.InitContainers = []corev1.Container{{Name: "first", Image: "busybox:1", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}
			}, []string{`container "first"`, level}},
			"another-secret": {volume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets-store.csi.k8s.io", ReadOnly: ptr.To(true),
				VolumeAttributes: map[string]string{"secretProviderClass": "anothers"}}}),
				[]string{`spec.volumes[0].csi.driver "secrets-store.csi.k8s.io" is refused`, "spec.isolation.inlineVolumeDrivers of HostCluster local"}},
			"another-share": {volume(corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "10.0.0.1", Path: "/"}}), []string{"spec.volumes[0].nfs is refused", "PersistentVolumeClaim"}},
			"another-disk":  {volume(corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{TargetPortal: "10.0.0.1", IQN: "iqn.2001-04.com.example:a"}}), []string{"spec.volumes[0].iscsi is refused"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s.within(t).forbidden(name, plain(attack.pod), attack.words...)
			})
		}
	})
	t.Run("services", func(t *testing.T) {
		t.Parallel()
		s := s.within(t)
		service, err := s.virtual.CoreV1().Services(s.namespace).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "thief"},
			Spec: corev1.ServiceSpec{ExternalIPs: []string{"10.0.0.1"}, Ports: []corev1.ServicePort{{Port: 443}}}}, metav1.CreateOptions{})
		s.must(err)
		if message := s.awaitEvent(service.UID, "Forbidden"); !strings.Contains(message, "spec.externalIPs is refused") {
			t.Errorf("got %q, want the field", message)
		}
		if _, err := s.host.CoreV1().Services(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, "thief"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the service is on the host: %v", err)
		}
	})
	t.Run("claims", func(t *testing.T) {
		for name, attack := range map[string]struct {
			claim  func(*corev1.PersistentVolumeClaimSpec)
			reason string
			words  string
		}{
			"by-name": {func(spec *corev1.PersistentVolumeClaimSpec) { spec.VolumeName = "anothers" }, "Untranslatable", "volume anothers was not provisioned by the host cluster"},
			"by-selector": {func(spec *corev1.PersistentVolumeClaimSpec) {
				spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}
			}, "Forbidden", "spec.selector is refused"},
			"any": {func(spec *corev1.PersistentVolumeClaimSpec) { spec.StorageClassName = ptr.To("") }, "Forbidden", `spec.storageClassName "" is refused`},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := s.within(t)
				spec := corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}
				attack.claim(&spec)
				claim, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
				s.must(err)
				if message := s.awaitEvent(claim.UID, attack.reason); !strings.Contains(message, attack.words) {
					t.Errorf("got %q, want %q", message, attack.words)
				}
				if _, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, name), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("the claim is on the host: %v", err)
				}
			})
		}
	})
}

// TestLevelOfPodSecurity changes the level under a running syncer. Pods that were
// refused are tried again, and those that are there stay.
func TestLevelOfPodSecurity(t *testing.T) {
	s := setUp(t)
	s.forbidden("root", plain(nodeRoot), "hostPID=true")
	s.forbidden("share", plain(volume(corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "10.0.0.1", Path: "/"}})), "nfs")
	s.hold(tenancyv1.PodSecurityPrivileged)
	root := s.hostPod("root")
	s.hold(tenancyv1.PodSecurityRestricted)
	s.forbidden("ordinary", plain(), `violates PodSecurity "restricted:latest"`, "allowPrivilegeEscalation")
	_, err := s.virtual.CoreV1().Pods(s.namespace).Patch(t.Context(), "root", types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"front"}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "a pod of before has its new label on the host", func(context.Context) (bool, error) {
		return s.hostPod("root").Labels["tenant.garret.dev/tier"] == "front", nil
	})
	if now := s.hostPod("root"); now.UID != root.UID {
		t.Error("the pod of before was made again")
	}
	s.hold(tenancyv1.PodSecurityBaseline)
	s.hostPod("ordinary")
	if _, err := s.host.CoreV1().Pods(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, "share"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("another's share is on the host: %v", err)
	}
}

// TestForbiddenDebugContainer adds debug containers to a pod that runs. One that is
// refused holds up neither another one nor what else changes.
func TestForbiddenDebugContainer(t *testing.T) {
	s := setUp(t)
	s.running("web", plain())
	debug := func(name string, privileged bool) corev1.EphemeralContainer {
		return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: name, Image: "busybox:1", SecurityContext: &corev1.SecurityContext{Privileged: &privileged}}}
	}
	framework.Eventually(t, "there are debug containers inside", func(ctx context.Context) (bool, error) {
		pod := s.virtualPod("web")
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{debug("root", true), debug("look", false)}
		_, err := s.virtual.CoreV1().Pods(s.namespace).UpdateEphemeralContainers(ctx, "web", pod, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
	if message := s.awaitEvent(s.virtualPod("web").UID, "Forbidden"); !strings.Contains(message, `privileged (container "root"`) {
		t.Errorf("event: got %q, want the container that is refused", message)
	}
	framework.Eventually(t, "the other debug container is on the host", func(context.Context) (bool, error) {
		containers := s.hostPod("web").Spec.EphemeralContainers
		return len(containers) == 1 && containers[0].Name == "look", nil
	})
	_, err := s.virtual.CoreV1().Pods(s.namespace).Patch(t.Context(), "web", types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"front"}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "a label that was set later is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Labels["tenant.garret.dev/tier"] == "front", nil
	})
	s.hold(tenancyv1.PodSecurityPrivileged)
	framework.Eventually(t, "both are on the host once the level allows it", func(context.Context) (bool, error) {
		return len(s.hostPod("web").Spec.EphemeralContainers) == 2, nil
	})
}

// TestOrdinaryPod carries a pod with about everything that baseline allows, without a
// word. The host's default account, with a pull secret, lends it nothing.
func TestOrdinaryPod(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.host.CoreV1().ServiceAccounts(s.hostNamespace).Patch(ctx, "default", types.MergePatchType, []byte(`{"imagePullSecrets":[{"name":"hosts-own"}]}`), metav1.PatchOptions{})
	s.must(err)
	_, err = s.virtual.CoreV1().Secrets(s.namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "login"}}, metav1.CreateOptions{})
	s.must(err)
	reference := corev1.LocalObjectReference{Name: "login"}
	field := func(path string) *corev1.ObjectFieldSelector { return &corev1.ObjectFieldSelector{FieldPath: path} }
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80), HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "web"}}}}}
	pod := s.createPod("web", corev1.PodSpec{
		HostUsers: ptr.To(false), Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}},
		ActiveDeadlineSeconds: ptr.To[int64](3600), TerminationGracePeriodSeconds: ptr.To[int64](7), ShareProcessNamespace: ptr.To(true),
		SecurityContext: &corev1.PodSecurityContext{FSGroup: ptr.To[int64](7), RunAsUser: ptr.To[int64](7), SupplementalGroups: []int64{8},
			Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}}},
		HostAliases: []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"a"}}}, Hostname: "h",
		Tolerations:  []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
		NodeSelector: map[string]string{"kubernetes.io/os": "linux"}, ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "example.org/gate"}},
		DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}}}},
		InitContainers: []corev1.Container{{Name: "first", Image: "busybox:1", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}},
		Containers: []corev1.Container{{
			Name: "app", Image: "busybox:1", Ports: []corev1.ContainerPort{{ContainerPort: 80}}, LivenessProbe: probe, ReadinessProbe: probe, StartupProbe: probe,
			Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}},
			Env: []corev1.EnvVar{
				{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: field("metadata.name")}},
				{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: field("status.podIP")}},
				{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
				{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: reference, Key: "k", Optional: ptr.To(true)}}},
			},
			EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: reference}}},
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(true), ReadOnlyRootFilesystem: ptr.To(true),
				Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE"}}},
			VolumeMounts: []corev1.VolumeMount{{Name: "dir", MountPath: "/dir", SubPath: "a"}, {Name: "all", MountPath: "/all"}},
		}},
		Volumes: []corev1.Volume{
			{Name: "dir", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
			{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "login"}}},
			{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: reference}},
				{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: field("metadata.labels")}}}},
			}}}},
		},
	})
	host := s.hostPod("web")
	if host.Spec.ServiceAccountName != s.translator.Cluster().WorkloadsAccount() || len(host.Spec.ImagePullSecrets) > 0 {
		t.Errorf("account: got %s with pull secrets %v, want that of the workloads, with none", host.Spec.ServiceAccountName, host.Spec.ImagePullSecrets)
	}
	for field, same := range map[string]bool{
		"hostUsers":             ptr.Equal(host.Spec.HostUsers, pod.Spec.HostUsers),
		"resources of the pod":  equality.Semantic.DeepEqual(host.Spec.Resources, pod.Spec.Resources),
		"sysctls and users":     equality.Semantic.DeepEqual(host.Spec.SecurityContext, pod.Spec.SecurityContext),
		"hostAliases":           equality.Semantic.DeepEqual(host.Spec.HostAliases, pod.Spec.HostAliases),
		"shareProcessNamespace": ptr.Equal(host.Spec.ShareProcessNamespace, pod.Spec.ShareProcessNamespace),
		"mounts, sub-paths too": equality.Semantic.DeepEqual(host.Spec.Containers[0].VolumeMounts, pod.Spec.Containers[0].VolumeMounts),
		"qosClass":              host.Status.QOSClass == pod.Status.QOSClass,
	} {
		if !same {
			t.Errorf("%s: the host pod has another than the pod inside", field)
		}
	}
	events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)})
	s.must(err)
	for _, event := range events.Items {
		if event.Type == corev1.EventTypeWarning {
			t.Errorf("got an event %s: %s, want no word", event.Reason, event.Message)
		}
	}
}

// TestDriverOpened has the host's administrator open a driver to inline volumes.
func TestDriverOpened(t *testing.T) {
	s := setUp(t)
	inline := func(driver string) corev1.PodSpec {
		return plain(volume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: driver, NodePublishSecretRef: &corev1.LocalObjectReference{Name: "login"}}}))
	}
	s.forbidden("closed", inline("secrets-store.csi.k8s.io"), "spec.volumes[0].csi.driver")
	s.stop()
	s.drivers = []string{"secrets-store.csi.k8s.io"}
	s.start()
	if got := s.hostPod("closed").Spec.Volumes[0].CSI; got == nil || got.NodePublishSecretRef.Name != s.translator.HostName(s.namespace, "login") {
		t.Errorf("got %+v, want the volume with the copy of the tenant's own Secret", got)
	}
	s.forbidden("other", inline("other.example.org"), "other.example.org")
}
