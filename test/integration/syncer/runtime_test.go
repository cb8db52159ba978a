// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// TestRuntimeClasses has pods ask for classes inside, of which the host knows one by
// its name, one by its handler, and one not at all.
func TestRuntimeClasses(t *testing.T) {
	s := setUp(t)
	add := func(client kubernetes.Interface, name, handler string) {
		t.Helper()
		classes := client.NodeV1().RuntimeClasses()
		_, err := classes.Create(t.Context(), &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() { _ = classes.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	named, handled, unknown := "named-"+s.namespace, "handled-"+s.namespace, "unknown-"+s.namespace
	add(s.host, named, "runc")
	add(s.host, "kata-"+s.namespace, "kata")
	add(s.virtual, named, "anything")
	add(s.virtual, handled, "kata-"+s.namespace)
	add(s.virtual, unknown, "nowhere")
	for class, want := range map[string]string{named: named, handled: "kata-" + s.namespace, unknown: ""} {
		pod := s.createPod(class, corev1.PodSpec{RuntimeClassName: &class, Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
		host := s.hostPod(class)
		if got := ptr.Deref(host.Spec.RuntimeClassName, ""); got != want {
			t.Errorf("%s: got class %q on the host, want %q", class, got, want)
		}
		waits := ""
		for _, mount := range host.Spec.Containers[0].VolumeMounts {
			for _, volume := range host.Spec.Volumes {
				if volume.Name == mount.Name && volume.ConfigMap != nil && !ptr.Deref(volume.ConfigMap.Optional, false) && volume.ConfigMap.Items != nil {
					waits = volume.ConfigMap.Name
				}
			}
		}
		if (waits != "") != (want == "") {
			t.Errorf("%s: got ConfigMap %q to wait for, want one for the class that the host does not know alone", class, waits)
		}
		if want == "" {
			if message := s.awaitEvent(pod.UID, "FailedCreatePodSandBox"); !strings.Contains(message, `no RuntimeClass "`+class+`", nor one of the name of its handler "nowhere"`) {
				t.Errorf("event: got %q, want what the host does not know", message)
			}
			s.schedule(host, "node-"+s.namespace)
			if _, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).Get(t.Context(), waits, metav1.GetOptions{}); err == nil {
				t.Error("what keeps the pod from starting is there")
			}
		}
	}
}
