// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"k8s.io/klog/v2/ktesting"
)

func connect(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{endpoint},
		DialTimeout: 10 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithBlock()}, //nolint:staticcheck // the test wants the connection, or the error
	})
	if err != nil {
		t.Fatalf("connect to the datastore: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// create writes key as the API server does, which is the only form that kine knows.
func create(ctx context.Context, t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	answer, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, value)).Commit()
	if err != nil || !answer.Succeeded {
		t.Fatalf("create %s: succeeded %v, error %v", key, answer != nil && answer.Succeeded, err)
	}
}

func TestEmbeddedDatastoreOutlivesTheProcess(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	options := &Options{DataDir: t.TempDir()}

	first, err := Listen(ctx, options)
	if err != nil {
		t.Fatalf("first start: %v", err)
	}
	create(ctx, t, connect(t, first.Endpoint), "/registry/a", "1")
	first.Stop()

	second, err := Listen(ctx, options)
	if err != nil {
		t.Fatalf("second start on the same data: %v", err)
	}
	defer second.Stop()
	got, err := connect(t, second.Endpoint).Get(ctx, "/registry/a")
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "1" {
		t.Errorf("after a restart: got %v, want the value that was written", got.Kvs)
	}
}

func TestWatchSeesWrites(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	datastore, err := Listen(ctx, &Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer datastore.Stop()
	client := connect(t, datastore.Endpoint)
	events := client.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-events
	create(ctx, t, client, "/registry/b", "2")
	select {
	case event := <-events:
		if len(event.Events) != 1 || string(event.Events[0].Kv.Key) != "/registry/b" {
			t.Errorf("got %v, want one event of /registry/b", event.Events)
		}
	case <-ctx.Done():
		t.Error("no event arrived")
	}
}

// TestHistoryIsCompacted asks for it as the API server does every few minutes.
// The last thousand revisions are kept whatever is asked for.
func TestHistoryIsCompacted(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	datastore, err := Listen(ctx, &Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer datastore.Stop()
	client := connect(t, datastore.Endpoint)
	const count = 1050
	for i := range count {
		create(ctx, t, client, fmt.Sprintf("/registry/c/%d", i), "1")
	}
	got, err := client.Get(ctx, fmt.Sprintf("/registry/c/%d", count-1))
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("get: %v, %v", got, err)
	}
	first, last := got.Kvs[0].ModRevision-count+1, got.Kvs[0].ModRevision
	if _, err := client.Compact(ctx, last); err != nil {
		t.Fatalf("compact: %v", err)
	}
	if _, err := client.Get(ctx, "/registry/c/0", clientv3.WithRev(first)); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("reading revision %d after compacting to %d: got %v, want ErrCompacted", first, last, err)
	}
	list, err := client.Get(ctx, "/registry/c/", clientv3.WithPrefix())
	if err != nil || len(list.Kvs) != count {
		t.Errorf("after compaction: got %d, %v; want all of them", len(list.Kvs), err)
	}
}

func TestOneProcessHoldsADataDirectory(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	options := &Options{DataDir: t.TempDir()}
	first, err := Listen(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if second, err := Listen(short, options); err == nil {
		second.Stop()
		t.Fatal("a second datastore opened the same directory")
	}
	first.Stop()
	third, err := Listen(ctx, options)
	if err != nil {
		t.Fatalf("after the first one stopped: %v", err)
	}
	third.Stop()
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"embedded":             {Options{DataDir: "/var/lib/garret"}, ""},
		"postgres":             {Options{DataDir: "/d", Endpoint: "postgres://u:p@h/db"}, ""},
		"no directory":         {Options{}, "--data-dir"},
		"etcd is another flag": {Options{DataDir: "/d", Endpoint: "https://etcd:2379"}, "--etcd-servers"},
		"no scheme":            {Options{DataDir: "/d", Endpoint: "h:5432"}, "must begin with"},
		"half a key pair":      {Options{DataDir: "/d", CertFile: "c"}, "both or neither"},
		"directory too long":   {Options{DataDir: "/" + strings.Repeat("x", 120)}, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got := errors.Join(test.options.Validate()...)
			if (got == nil) != (test.want == "") || (got != nil && !strings.Contains(got.Error(), test.want)) {
				t.Errorf("got %v, want %q", got, test.want)
			}
		})
	}
}

func TestEndpointIsNeverShown(t *testing.T) {
	const secretWord = "hunter2"
	for name, endpoint := range map[string]string{
		"postgres":         "postgres://garret:" + secretWord + "@127.0.0.1:1/garret?connect_timeout=1",
		"mysql":            "mysql://garret:" + secretWord + "@tcp(127.0.0.1:1)/garret",
		"broken url":       "postgres://garret:" + secretWord + "@127.0.0.1:port/garret",
		"escaped password": "postgres://garret:%68" + secretWord[1:] + "@h/garret",
	} {
		t.Run(name, func(t *testing.T) {
			redact := newRedactor(endpoint)
			for _, text := range []string{
				"cannot open " + endpoint,
				fmt.Sprintf("user garret, password %q refused", secretWord),
			} {
				if got := redact.text(text); strings.Contains(got, secretWord) {
					t.Errorf("got %q, which shows the password", got)
				}
			}
			wrapped := fmt.Errorf("parse: %w", errors.New(endpoint))
			if got := redact.error(wrapped); strings.Contains(got.Error(), secretWord) || errors.Unwrap(got) != nil {
				t.Errorf("got error %q with cause %v, which shows the password", got, errors.Unwrap(got))
			}
		})
	}
}

func TestFailureToOpenNamesNoSecret(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	_, err := Listen(ctx, &Options{DataDir: t.TempDir(), Endpoint: "postgres://garret:hunter2@127.0.0.1:port/garret"})
	if err == nil {
		t.Fatal("an address without a port was accepted")
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, which shows the password", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	options := &Options{DataDir: "rel"}
	got, err := options.socket()
	if err != nil || !filepath.IsAbs(got) {
		t.Errorf("got %q, %v; want an absolute path, since etcd clients resolve none other", got, err)
	}
}
