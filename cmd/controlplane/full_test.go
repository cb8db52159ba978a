package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"garret.dev/garret/cmd/controlplane/internal/datastore"
)

// mountVolume mounts a file system of this size, which takes root.
func mountVolume(t *testing.T, size int) string {
	t.Helper()
	dir := shortDir(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("mount a volume: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// fill writes to a file until nothing more fits on its volume.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the volume: %v", err)
	}
}

// ledger is what the server has said about each object.
type ledger struct {
	client kubernetes.Interface
	// stored is the resourceVersion of each object that was acknowledged.
	stored  map[string]string
	refused []error
	// log is shown when the server does not answer.
	log *buffer
}

// create asks for one more object, too large for what may be left of a page.
func (l *ledger) create(name string) error {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": strings.Repeat("x", 20_000)}}
	made, err := l.client.CoreV1().ConfigMaps("default").Create(background(), object, metav1.CreateOptions{})
	if err != nil {
		l.refused = append(l.refused, err)
		return err
	}
	l.stored[name] = made.ResourceVersion
	return nil
}

// change updates an object that is there, and then asks for its end.
func (l *ledger) change(name string) {
	maps := l.client.CoreV1().ConfigMaps("default")
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"b": strings.Repeat("y", 20_000)}}
	if made, err := maps.Update(background(), object, metav1.UpdateOptions{}); err != nil {
		l.refused = append(l.refused, fmt.Errorf("update: %w", err))
	} else {
		l.stored[name] = made.ResourceVersion
	}
	if err := maps.Delete(background(), name, metav1.DeleteOptions{}); err != nil {
		l.refused = append(l.refused, fmt.Errorf("delete: %w", err))
	} else {
		delete(l.stored, name)
	}
}

// compare looks for what was acknowledged, as it was.
func (l *ledger) compare(t *testing.T, when string) {
	t.Helper()
	list, err := l.client.CoreV1().ConfigMaps("default").List(background(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list %s: %v\n%s", when, err, l.log)
	}
	found := map[string]string{}
	for _, item := range list.Items {
		found[item.Name] = item.ResourceVersion
	}
	for name, version := range l.stored {
		if found[name] != version {
			t.Errorf("%s: %s was acknowledged as version %s and is stored as %q", when, name, version, found[name])
		}
	}
}

// TestFullVolumeLosesNothing writes until the volume has no room and beyond,
// gives room again, and ends the process at last: what was acknowledged is there
// all the time, and what was refused was refused as a failure of the server.
func TestFullVolumeLosesNothing(t *testing.T) {
	t.Parallel()
	volume := mountVolume(t, 48<<20)
	ballast := filepath.Join(volume, "ballast")
	p := start(t, volume, freePort(t))
	l := &ledger{client: p.client(t), stored: map[string]string{}, log: p.log}
	// By then the controllers run: a first start that lacks room ends.
	p.until(t, "the default service account", func() error {
		_, err := l.client.CoreV1().ServiceAccounts("default").Get(background(), "default", metav1.GetOptions{})
		return err
	})
	for i := range 20 {
		if err := l.create(fmt.Sprintf("before-%d", i)); err != nil {
			t.Fatal(err)
		}
	}

	fill(t, ballast)
	// What the log of the database has reserved already still takes some.
	for i := 0; len(l.refused) < 10; i++ {
		if i == 2000 {
			t.Fatalf("a full volume took %d writes of 20 kB", i)
		}
		_ = l.create(fmt.Sprintf("full-%d", i))
	}
	for i := range 3 {
		l.change(fmt.Sprintf("before-%d", i))
	}
	l.compare(t, "on a full volume")
	for _, err := range l.refused {
		var status apierrors.APIStatus
		if !errors.As(err, &status) || status.Status().Code < http.StatusInternalServerError {
			t.Errorf("a write was answered with %v, want a Status with a code of 500 or above", err)
		}
	}
	want(t, "the log names the remedy", strings.Contains(p.log.String(), "free space on the volume"), true)
	want(t, "objects in the log", strings.Contains(p.log.String(), "xxxxxxxxxx"), false)
	t.Logf("%d acknowledged, %d refused, the first with: %v", len(l.stored), len(l.refused), l.refused[0])

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.until(t, "a write after there is room", func() error { return l.create("after") })
	l.compare(t, "with room again")
	p.kill()
	l.client = start(t, volume, p.port).client(t)
	l.compare(t, "after a restart")
}

// TestFullDatabaseTakesDeletes writes until the database has reached its bound, and wants
// reads and deletes to go on, and writes after the next compaction. It is not parallel:
// the bound is in the environment.
func TestFullDatabaseTakesDeletes(t *testing.T) {
	t.Setenv(datastore.BoundVariable, "12582912")
	p := start(t, shortDir(t), freePort(t), "--kube-apiserver-arg=etcd-compaction-interval=1s")
	client := p.client(t)
	maps := client.CoreV1().ConfigMaps("default")
	create := func(name string) error {
		_, err := maps.Create(background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": strings.Repeat("x", 500_000)}}, metav1.CreateOptions{})
		return err
	}
	p.until(t, "the default service account", func() error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(background(), "default", metav1.GetOptions{})
		return err
	})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "slow"}, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if _, err := client.CoreV1().Pods("default").Create(background(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	created := 0
	var full error
	for ; full == nil && created < 100; created++ {
		full = create(fmt.Sprintf("c-%d", created))
	}
	var status apierrors.APIStatus
	if !errors.As(full, &status) || status.Status().Code < http.StatusInternalServerError {
		t.Fatalf("after %d objects: got %v, want a Status with a code of 500 or above", created, full)
	}
	for _, word := range []string{"database of this virtual cluster is full", "of the 12Mi", "Delete objects", "spec.controlPlane.storage.size"} {
		want(t, "the answer says "+word, strings.Contains(full.Error(), word), true)
	}
	t.Logf("object %d was refused: %v", created, full)
	// A graceful deletion marks the object first, and needs room for that.
	if err := client.CoreV1().Pods("default").Delete(background(), "slow", metav1.DeleteOptions{}); err != nil {
		t.Errorf("graceful deletion: %v", err)
	}
	list, err := maps.List(background(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for _, each := range list.Items {
		if strings.HasPrefix(each.Name, "c-") {
			if err := maps.Delete(background(), each.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatalf("delete: %v", err)
			}
		}
	}
	p.until(t, "room after a compaction", func() error { return create("after") })
}
