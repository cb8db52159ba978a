// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func newPodSecurity(t *testing.T, hostVersion string) *PodSecurity {
	t.Helper()
	security, err := NewPodSecurity(hostVersion)
	if err != nil {
		t.Fatal(err)
	}
	return security
}

func at(level string) *tenancyv1.VirtualCluster {
	return &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "demo"},
		Spec: tenancyv1.VirtualClusterSpec{Isolation: tenancyv1.IsolationSpec{PodSecurity: tenancyv1.PodSecurityLevel(level)}}}
}

func restrictedSpec() *corev1.PodSpec {
	return &corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{Name: "app", SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}},
	}
}

func TestPodSecurity(t *testing.T) {
	plain := &corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}
	with := func(change func(*corev1.PodSpec)) *corev1.PodSpec {
		spec := plain.DeepCopy()
		change(spec)
		return spec
	}
	root := with(func(s *corev1.PodSpec) {
		s.HostPID = true
		inVolume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}})(s)
	})
	tests := []struct {
		name, level string
		spec        *corev1.PodSpec
		want        string
	}{
		{"an ordinary pod by default", "", plain, ""},
		{"an ordinary pod under baseline", "baseline", plain, ""},
		{"an ordinary pod under restricted", "restricted", plain, `violates PodSecurity "restricted:latest"`},
		{"a careful pod under restricted", "restricted", restrictedSpec(), ""},
		{"the node's root by default", "", root, `violates PodSecurity "baseline:latest": host namespaces (hostPID=true), hostPath volumes (volume "v"); spec.isolation.podSecurity of VirtualCluster team-a/demo`},
		{"the node's root under privileged", "privileged", root, ""},
		{"a level of a later release", "sandboxed", plain, `violates PodSecurity "restricted:latest"`},
		{"the host's network", "", with(func(s *corev1.PodSpec) { s.HostNetwork = true }), "hostNetwork=true"},
		{"the host's IPC", "", with(func(s *corev1.PodSpec) { s.HostIPC = true }), "hostIPC=true"},
		{"a port of the node", "", with(func(s *corev1.PodSpec) { s.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} }), "hostPort"},
		{"privileged", "", with(func(s *corev1.PodSpec) {
			s.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
		}), "privileged"},
		{"a capability", "", with(func(s *corev1.PodSpec) {
			s.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}}}
		}), "SYS_ADMIN"},
		{"a sysctl of the node", "", with(func(s *corev1.PodSpec) {
			s.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.core_pattern", Value: "|/bin/sh"}}}
		}), "kernel.core_pattern"},
		{"unconfined", "", with(func(s *corev1.PodSpec) {
			s.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}}
		}), "seccompProfile"},
		{"a process of a Windows host", "", with(func(s *corev1.PodSpec) {
			s.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: ptr.To(true)}}
		}), "hostProcess"},
		{"a probe of the metadata service", "", with(func(s *corev1.PodSpec) {
			s.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: "169.254.169.254"}}}
		}), "169.254.169.254"},
		{"a probe of a node's loopback", "", with(func(s *corev1.PodSpec) {
			s.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: "127.0.0.1"}}}
		}), "127.0.0.1"},
		{"a hook to the host's API server", "", with(func(s *corev1.PodSpec) {
			s.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Host: "10.96.0.1"}}}
		}), "10.96.0.1"},
		{"a privileged debug container", "", with(func(s *corev1.PodSpec) {
			s.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}}
		}), `container "debug"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			security := newPodSecurity(t, "v1.37.2")
			security.Observe(at(test.level))
			err := security.Check(&metav1.ObjectMeta{}, test.spec)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestLevelFollowsTheVirtualCluster wants nothing to pass before the level is known, and
// a change to be told and to hold at once.
func TestLevelFollowsTheVirtualCluster(t *testing.T) {
	security, told := newPodSecurity(t, "v1.37.2+k3s1"), 0
	security.Watch(func() { told++ })
	check := func() error { return security.Check(&metav1.ObjectMeta{}, &corev1.PodSpec{HostPID: true}) }
	if err := check(); !errors.Is(err, ErrLevelUnknown) {
		t.Errorf("before the VirtualCluster is read: got %v, want that the level is not known", err)
	}
	for _, step := range []struct {
		level   string
		told    int
		allowed bool
	}{{"", 1, false}, {"baseline", 1, false}, {"privileged", 2, true}, {"privileged", 2, true}, {"restricted", 3, false}} {
		security.Observe(at(step.level))
		if err := check(); (err == nil) != step.allowed || told != step.told {
			t.Errorf("level %q: got %v, told %d times; want allowed %t, told %d times", step.level, err, told, step.allowed, step.told)
		}
	}
}

// TestOldHost holds a pod to the standards of a host that does not know user
// namespaces, and would run it without one.
func TestOldHost(t *testing.T) {
	spec := restrictedSpec()
	spec.HostUsers, spec.SecurityContext.RunAsNonRoot, spec.SecurityContext.RunAsUser = ptr.To(false), nil, ptr.To[int64](0)
	for version, allowed := range map[string]bool{"v1.37.2": true, "v1.99.0+k3s1": true, "v1.30.4-gke.1": false} {
		security := newPodSecurity(t, version)
		security.Observe(at("restricted"))
		if err := security.Check(&metav1.ObjectMeta{}, spec); (err == nil) != allowed {
			t.Errorf("root in a user namespace, on a host of %s: got %v, want allowed: %t", version, err, allowed)
		}
	}
	if _, err := NewPodSecurity("unknown"); err == nil {
		t.Error("a host without a version: got no error")
	}
}
