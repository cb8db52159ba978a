// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"garret.dev/garret/test/framework"
)

// late makes a ConfigMap that goes with the test.
func late(t *testing.T, client kubernetes.Interface, name string, labels map[string]string) {
	t.Helper()
	configMaps := client.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := configMaps.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = configMaps.Delete(context.Background(), name, metav1.DeleteOptions{}) })
}

// TestWatch has kubectl watch as a reader.
func TestWatch(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		c := d.kubectl(t, d.reader(t))
		lines := output(t, kubectl(t, c, "get", "configmaps", "--watch-only", "-o", "name", "-l", "watched="+d.name))
		// The watch is only known to be open by what it shows: create until it does.
		for i := 0; ; i++ {
			late(t, shared.virtual.Client, fmt.Sprintf("watched-%s-%d", d.name, i), map[string]string{"watched": d.name})
			select {
			case line := <-lines:
				if !strings.HasPrefix(line, "configmap/watched-"+d.name+"-") {
					t.Errorf("watched %q", line)
				}
				return
			case <-time.After(time.Second):
			}
		}
	})
}

// TestWatchOutlastsRequests watches inside for longer than a request may take.
func TestWatchOutlastsRequests(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		client, err := kubernetes.NewForConfig(d.config(d.admin(t)))
		if err != nil {
			t.Fatal(err)
		}
		name := "late-" + d.name
		watcher, err := client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
		if err != nil {
			t.Fatal(err)
		}
		defer watcher.Stop()
		begun := time.Now()
		framework.Eventually(t, "any other request would have ended", func(context.Context) (bool, error) {
			return time.Since(begun) > requestTimeout+2*time.Second, nil
		})
		late(t, client, name, nil)
		select {
		case event, open := <-watcher.ResultChan():
			if !open || event.Type != watch.Added {
				t.Errorf("got %v (open %t), want the ConfigMap", event, open)
			}
		case <-time.After(framework.Timeout):
			t.Error("no event arrived")
		}
	})
}
