// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	_ "modernc.org/sqlite" // reads the file as a thief would

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/test/framework"
)

// marker is in the spec of every object of these tests.
const marker = "--kube-apiserver-arg=cors-allowed-origins=marker-8c1f"

// keys writes a configuration with these providers, the first of which encrypts.
func keys(t *testing.T, file string, providers ...string) {
	t.Helper()
	text := "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n" +
		"- resources: [virtualclusters.tenancy.garret.dev]\n  providers:\n"
	for _, provider := range providers {
		text += "  - " + provider + "\n"
	}
	// At once, as the kubelet replaces a mounted Secret: a reload reads all or nothing of it.
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// provider is one with a new key.
func provider(t *testing.T, kind, key string) string {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return fmt.Sprintf("%s: {keys: [{name: %s, secret: %s}]}", kind, key, base64.StdEncoding.EncodeToString(secret))
}

func marked(name string) *v1.VirtualCluster {
	object := named(name)
	object.Spec.Kubernetes.ExtraArgs = []string{marker}
	return object
}

// stored is the newest value of an object in the file of the database.
func stored(t *testing.T, r *replica, namespace, name string) []byte {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.data(), "state.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value []byte
	if err := db.QueryRow("SELECT value FROM kine WHERE name LIKE ? ORDER BY id DESC LIMIT 1", "%/virtualclusters/"+namespace+"/"+name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// onDisk tells whether any file of the data directory has the text.
func onDisk(t *testing.T, r *replica, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.data(), "state.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the database: %v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

func TestEncryptionAtRest(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"aescbc", "aesgcm", "secretbox"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			namespace := shared.host.NewNamespace(t, "store-")
			r := newReplica(t)
			file := filepath.Join(r.dir, "encryption.yaml")
			keys(t, file, provider(t, kind, "key1"), "identity: {}")
			r.flags = []string{"--encryption-provider-config=" + file}
			r.start(t)
			made, err := r.clusters(namespace).Create(t.Context(), marked("demo"), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := stored(t, r, namespace, "demo"), "k8s:enc:"+kind+":v1:key1:"; !bytes.HasPrefix(got, []byte(want)) {
				t.Errorf("stored: got %.40q…, want %q and ciphertext", got, want)
			}
			if onDisk(t, r, marker) {
				t.Error("the files of the database hold the spec in clear")
			}
			r.stop(t)
			r.start(t)
			got, err := r.clusters(namespace).Get(t.Context(), "demo", metav1.GetOptions{})
			if err != nil || got.UID != made.UID || fmt.Sprint(got.Spec.Kubernetes.ExtraArgs) != "["+marker+"]" {
				t.Errorf("after a restart: got %v, %v; want the spec back", got.Spec.Kubernetes.ExtraArgs, err)
			}
		})
	}
}

// TestKeysAreRotated begins without encryption and goes through two keys, by the steps of docs/storage.md.
func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	namespace := shared.host.NewNamespace(t, "store-")
	r := newReplica(t)
	file := filepath.Join(r.dir, "encryption.yaml")
	first, second := provider(t, "secretbox", "key1"), provider(t, "secretbox", "key2")
	keys(t, file, "identity: {}")
	r.flags = []string{"--encryption-provider-config=" + file, "--encryption-provider-config-automatic-reload"}
	r.start(t)
	r.standIn(t)
	made, err := r.clusters(namespace).Create(t.Context(), marked("demo"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := stored(t, r, namespace, "demo"); !bytes.Contains(got, []byte(marker)) {
		t.Errorf("without encryption: got %.40q…, want the spec in clear", got)
	}

	r.stop(t)
	keys(t, file, first, "identity: {}")
	r.start(t)
	r.rewrite(t, namespace, "k8s:enc:secretbox:v1:key1:")
	// This change the process finds by itself: it looks at the file once a minute.
	keys(t, file, second, first)
	r.writesUntil(t, namespace, "the second key is found", func(_ context.Context, name string) (bool, error) {
		return bytes.HasPrefix(stored(t, r, namespace, name), []byte("k8s:enc:secretbox:v1:key2:")), nil
	})
	r.rewrite(t, namespace, "k8s:enc:secretbox:v1:key2:")
	r.stop(t)
	keys(t, file, second)
	r.start(t)
	if got := r.list(t, namespace)["demo"]; got.UID != made.UID {
		t.Errorf("with the second key alone: got %+v, want what was made without any", got.ObjectMeta)
	}

	// A key that is missing is told, and nothing is taken for deleted.
	r.stop(t)
	keys(t, file, first)
	r.launch(t)
	r.logs(t, "no matching key was found")
	framework.Eventually(t, "requests are answered", func(ctx context.Context) (bool, error) {
		return r.healthy(ctx, "/livez") == nil, r.process.Ended()
	})
	if _, err := r.clusters(namespace).Get(t.Context(), "demo", metav1.GetOptions{}); err == nil || apierrors.IsNotFound(err) {
		t.Errorf("get without its key: got %v, want an error other than NotFound", err)
	}
	framework.Eventually(t, "nothing but the storage is not ready", func(ctx context.Context) (bool, error) {
		_, err := r.client.RESTClient().Get().AbsPath("/readyz").Param("exclude", "storage").DoRaw(ctx)
		return err == nil, r.process.Ended()
	})
	if err := r.healthy(t.Context(), "/readyz"); err == nil {
		t.Error("ready without the key of what is stored")
	}
	r.logs(t, "Not ready", `check="storage"`, "virtualclusters")
}

// writesUntil writes one object again and again, until the condition holds.
func (r *replica) writesUntil(t *testing.T, namespace, what string, holds func(ctx context.Context, name string) (bool, error)) {
	t.Helper()
	made := r.createMarked(t, namespace, "written")
	turn := 0
	framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
		turn++
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/turn":"%d"}}}`, turn)
		if _, err := r.clusters(namespace).Patch(ctx, made.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return false, err
		}
		return holds(ctx, made.Name)
	})
}

// rewrite runs the documented command, which has all stored with this prefix.
func (r *replica) rewrite(t *testing.T, namespace, prefix string) {
	t.Helper()
	kubectl := shared.host.Kubectl()
	framework.Succeeds(t, "kubectl replace has stored it as "+prefix+"…", func(context.Context) error {
		// The host may not have seen yet that a replica answers again.
		all, err := kubectl.Try("get", "virtualclusters", "-A", "-o", "json")
		if err == nil {
			_, err = kubectl.Input(all).Try("replace", "-f", "-")
		}
		if err != nil {
			return err
		}
		if got := stored(t, r, namespace, "demo"); !bytes.HasPrefix(got, []byte(prefix)) {
			return fmt.Errorf("got %.40q…", got)
		}
		return nil
	})
}

// standIn has the host send the requests for the API to the replica until the test ends.
func (r *replica) standIn(t *testing.T) {
	t.Helper()
	registrations, err := aggregator.NewForConfig(shared.host.Config)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(shared.garret.Address)
	if err != nil {
		t.Fatal(err)
	}
	lead := func(ctx context.Context, port string) error {
		_, err := registrations.ApiregistrationV1().APIServices().Patch(ctx, certs.APIServiceName, types.MergePatchType,
			[]byte(`{"spec":{"service":{"port":`+port+`}}}`), metav1.PatchOptions{})
		return err
	}
	if err := lead(t.Context(), strconv.Itoa(r.port)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lead(context.Background(), port) })
	mark := r.create(t, shared.host.NewNamespace(t, "store-"), "mark")
	framework.Eventually(t, "requests through the host reach the replica", func(ctx context.Context) (bool, error) {
		_, err := shared.garret.Clients.TenancyV1().VirtualClusters(mark.Namespace).Get(ctx, mark.Name, metav1.GetOptions{})
		return err == nil, nil
	})
}
