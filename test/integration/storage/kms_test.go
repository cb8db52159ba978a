// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// storedWith is how the value of an object begins that a key service had a part in.
const storedWith = "k8s:enc:kms:v2:local:"

// startSealed runs a replica that encrypts with a key service, by the flags of the install chart.
func startSealed(t *testing.T) (*replica, *keyService) {
	t.Helper()
	r := newReplica(t)
	service := startKeyService(t, r.dir, "first-key")
	file := filepath.Join(r.dir, "encryption.yaml")
	keys(t, file, service.provider(), "identity: {}")
	r.flags = []string{"--encryption-provider-config=" + file, "--encryption-provider-config-automatic-reload=true"}
	r.start(t)
	return r, service
}

func (r *replica) createMarked(t *testing.T, namespace, name string) *v1.VirtualCluster {
	t.Helper()
	made, err := r.clusters(namespace).Create(t.Context(), marked(name), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return made
}

// sealed tells whether an object lies in the database in a form that this key opens.
func sealed(t *testing.T, r *replica, namespace, name, key string) bool {
	t.Helper()
	value := stored(t, r, namespace, name)
	return bytes.HasPrefix(value, []byte(storedWith)) && bytes.Contains(value, []byte(key)) && !bytes.Contains(value, []byte(marker))
}

// reads wants an object to be as it was made.
func (r *replica) reads(t *testing.T, made *v1.VirtualCluster) {
	t.Helper()
	got, err := r.clusters(made.Namespace).Get(t.Context(), made.Name, metav1.GetOptions{})
	if err != nil || got.UID != made.UID || fmt.Sprint(got.Spec.Kubernetes.ExtraArgs) != "["+marker+"]" {
		t.Errorf("%s: got %v, %v; want the spec and UID of its creation", made.Name, got.Spec.Kubernetes.ExtraArgs, err)
	}
}

// TestKeyServiceRotates goes from one key of a service to the next, by the steps of docs/storage.md.
func TestKeyServiceRotates(t *testing.T) {
	t.Parallel()
	r, service := startSealed(t)
	namespace := shared.host.NewNamespace(t, "store-")
	old := r.createMarked(t, namespace, "old")
	if !sealed(t, r, namespace, "old", "first-key") {
		t.Errorf("stored: got %.60q…, want %q, the key's id and ciphertext", stored(t, r, namespace, "old"), storedWith)
	}
	if onDisk(t, r, marker) {
		t.Error("the files of the database hold the spec in clear")
	}

	service.rotate(t, "second-key")
	// The service is asked which key it has whenever readiness is, but not more than every 20 s.
	r.writesUntil(t, namespace, "writes use the second key", func(ctx context.Context, name string) (bool, error) {
		if r.healthy(ctx, "/readyz") != nil {
			return false, r.process.Ended()
		}
		return sealed(t, r, namespace, name, "second-key"), nil
	})
	if !sealed(t, r, namespace, "old", "first-key") {
		t.Error("what nobody wrote is not as it was stored any more")
	}
	before := service.uses("first-key")
	r.stop(t)
	r.start(t)
	r.reads(t, old)
	if service.uses("first-key") <= before {
		t.Error("after a restart the object was read without its key: from where?")
	}

	r.replaceAll(t)
	if !sealed(t, r, namespace, "old", "second-key") {
		t.Error("writing all of it again does not move it to the second key")
	}
	service.destroy("first-key")
	r.stop(t)
	r.start(t)
	r.reads(t, old)
	if got := r.list(t, namespace); len(got) != 2 {
		t.Errorf("without the first key: got %d objects, want the two that were made", len(got))
	}
}

// replaceAll runs the documented command against the replica itself, which does
// not know the kind List that the host has.
func (r *replica) replaceAll(t *testing.T) {
	t.Helper()
	authority := filepath.Join(r.dir, "serving-ca.crt")
	must(t, os.WriteFile(authority, r.address.CAData, 0o600))
	here := []string{"--server=" + r.address.Host, "--certificate-authority=" + authority}
	kubectl := shared.host.Kubectl()
	all := kubectl.Do(t, append(here, "get", "virtualclusters", "-A", "-o", `jsonpath={range .items[*]}{@}{"\n"}{end}`)...)
	kubectl.Input(all).Do(t, append(here, "replace", "-f", "-")...)
}

// TestKeyServiceIsAway has the plugin go and come back, under a process that runs and under one that starts.
func TestKeyServiceIsAway(t *testing.T) {
	t.Parallel()
	r, service := startSealed(t)
	namespace := shared.host.NewNamespace(t, "store-")
	before := r.createMarked(t, namespace, "before")

	service.stop()
	r.becomesUnready(t, "the key service being gone")
	if err := r.healthy(t.Context(), "/readyz/kms-providers"); err == nil {
		t.Error("/readyz/kms-providers: want it to fail")
	}
	r.logs(t, "Not ready", service.socket, "remedy", "look at the plugin")
	if err := r.healthy(t.Context(), "/livez"); err != nil {
		t.Errorf("/livez: %v, want it alive: a restart would take away the keys that it still has", err)
	}
	// What it has been given keys for goes on.
	r.reads(t, before)
	during := r.createMarked(t, namespace, "during")
	service.start(t)
	r.becomesReady(t)

	// Without them, a process that starts can do nothing, and says so.
	service.stop()
	r.stop(t)
	r.launch(t)
	framework.Eventually(t, "it is alive, and knows its callers", func(ctx context.Context) (bool, error) {
		return r.healthy(ctx, "/livez") == nil && r.healthy(ctx, "/readyz/client-authorities") == nil, r.process.Ended()
	})
	if err := r.healthy(t.Context(), "/readyz"); err == nil {
		t.Error("ready without any key")
	}
	_, getErr := r.clusters(namespace).Get(t.Context(), "before", metav1.GetOptions{})
	_, listErr := r.clusters(namespace).List(t.Context(), metav1.ListOptions{})
	_, createErr := r.clusters(namespace).Create(t.Context(), marked("refused"), metav1.CreateOptions{})
	deleteErr := r.clusters(namespace).Delete(t.Context(), "before", metav1.DeleteOptions{})
	for verb, err := range map[string]error{"get": getErr, "list": listErr, "create": createErr, "delete": deleteErr} {
		t.Logf("%s: %v", verb, err)
		// A list is told to come back when there is something to list from.
		if !apierrors.IsInternalError(err) && !(verb == "list" && apierrors.IsTooManyRequests(err)) {
			t.Errorf("%s without the key service: got %v, want an internal error", verb, err)
		}
		if err != nil && !strings.Contains(err.Error(), "the key service cannot be asked") {
			t.Errorf("%s without the key service: got %v, want it named", verb, err)
		}
	}

	service.start(t)
	r.becomesReady(t)
	r.reads(t, before)
	r.reads(t, during)
	if got := r.list(t, namespace); len(got) != 2 {
		t.Errorf("afterwards: got %d objects, want the two that were made", len(got))
	}
	r.createMarked(t, namespace, "after")
}
