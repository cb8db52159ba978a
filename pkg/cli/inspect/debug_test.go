// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// canary is a secret that a user put where they should not, or where they may.
const canary = "hunter2-canary"

func careless() *tenancyv1.VirtualCluster {
	raw := &runtime.RawExtension{Raw: []byte(`{"password":"` + canary + `"}`)}
	parameters := []tenancyv1.TemplateParameterValue{{Name: "password", Value: canary}}
	return &tenancyv1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team-a", Name: "demo", UID: "u1",
			Labels:        map[string]string{"a": canary},
			Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: canary},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: canary}},
		},
		Spec: tenancyv1.VirtualClusterSpec{
			TemplateRef: &tenancyv1.TemplateReference{Name: "small", Parameters: parameters},
			Kubernetes:  tenancyv1.KubernetesSpec{Version: "v1.37.2", ExtraArgs: []string{"--a=" + canary}},
			ControlPlane: tenancyv1.ControlPlaneSpec{
				Datastore: &tenancyv1.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: canary}},
			},
			Access: []tenancyv1.AccessRule{{Users: []string{canary}, ClusterRole: "view"}},
			Helm:   tenancyv1.HelmSpec{Values: raw},
		},
		Status: tenancyv1.VirtualClusterStatus{
			Phase: tenancyv1.PhaseReady, ClusterID: "c1",
			Template: &tenancyv1.TemplateStatus{Name: "small", Version: "1.0.0", Parameters: parameters, Defaults: raw, Forced: raw},
		},
	}
}

// pod of a tenant who wrote a secret into every place that they can.
func pod(name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, Labels: labels, Annotations: map[string]string{
			corev1.LastAppliedConfigAnnotation: canary, tenancyv1.AnnotationVirtualName: canary,
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "k3s", Command: []string{canary}, Args: []string{canary}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: canary}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Message: canary, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "k3s", RestartCount: 1,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: canary}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", Message: canary}},
		}}},
	}
}

func event(name, uid, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "team-a", Name: name},
		InvolvedObject: corev1.ObjectReference{UID: types.UID(uid)}, Reason: "Ready", Message: message,
	}
}

func TestBundleHoldsNoSecret(t *testing.T) {
	workload := event("workload", "u2", "Liveness probe failed: "+canary)
	client := fake.NewClientset(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "s"}, StringData: map[string]string{"password": canary}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "c"}, Data: map[string]string{"password": canary}},
		pod("vc-demo-0", map[string]string{tenancyv1.LabelVirtualCluster: "demo"}),
		pod("web", map[string]string{tenancyv1.LabelCluster: "c1"}),
		event("own", "u1", "the API inside answers"), workload,
	)
	v := &view{client: client, object: careless()}
	var bundle bytes.Buffer
	if err := v.bundle(t.Context(), &bundle, func(string) {}); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, &bundle)
	for name, content := range files {
		if strings.Contains(content, canary) {
			t.Errorf("%s holds the secret:\n%s", name, content)
		}
	}
	for name, want := range map[string]string{
		"demo/virtualcluster.yaml": "phase: Ready",
		"demo/pods.txt":            "CrashLoopBackOff",
		"demo/events.txt":          "the API inside answers",
		"demo/control-plane.log":   "fake logs",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s holds %q, want %q in it", name, files[name], want)
		}
	}
}

func unpack(t *testing.T, bundle io.Reader) map[string]string {
	t.Helper()
	compressed, err := gzip.NewReader(bundle)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content)
	}
}
