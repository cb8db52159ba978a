package datastore

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		config Config
		want   string
	}{
		"a scheme that kine might know": {Config{Endpoint: "nats://user:secret@h"}, "want sqlite, mysql"},
		"a socket path too long":        {Config{Socket: filepath.Join(t.TempDir(), strings.Repeat("a", 120))}, "at most 107"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Open(tc.config)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got error %v, want one with %q and no password", err, tc.want)
			}
		})
	}
}

func TestSharedIsWhatOtherServersMayUse(t *testing.T) {
	for endpoint, want := range map[string]bool{"": false, "sqlite:///x": false, "postgres://h": true, "mysql://h": true, "https://a:2379,https://b:2379": true} {
		d, err := Open(Config{Endpoint: endpoint, Socket: filepath.Join(t.TempDir(), "s")})
		if err != nil {
			t.Fatal(err)
		}
		if d.Shared != want {
			t.Errorf("%q: shared %t, want %t", endpoint, d.Shared, want)
		}
		d.Stop()
	}
}

// open starts kine on the database in dir.
func open(t *testing.T, dir string) (*Datastore, *clientv3.Client) {
	t.Helper()
	d, err := Open(Config{Database: filepath.Join(dir, "state.db"), Socket: filepath.Join(dir, "s")})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	client, err := d.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return d, client
}

func TestIdentityIsSharedByToken(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, client := open(t, dir)
	ours := NewShared(client, "token")
	if files, err := ours.Load(ctx); err != nil || files != nil {
		t.Fatalf("new datastore: got %v, error %v", files, err)
	}
	stored, err := ours.Store(ctx, map[string][]byte{"ca": []byte("first")})
	if err != nil || string(stored["ca"]) != "first" {
		t.Fatalf("stored %q, error %v", stored, err)
	}
	later, err := ours.Store(ctx, map[string][]byte{"ca": []byte("second")})
	if err != nil || string(later["ca"]) != "first" {
		t.Errorf("a later server stored %q, error %v, want what the first one did", later, err)
	}
	if _, err := NewShared(client, "another").Load(ctx); !errors.Is(err, ErrOtherToken) {
		t.Errorf("another token: got error %v, want ErrOtherToken", err)
	}
	raw, err := client.Get(ctx, sharedPrefix, clientv3.WithPrefix())
	if err != nil || len(raw.Kvs) != 1 || strings.Contains(string(raw.Kvs[0].Value), "first") {
		t.Errorf("stored in the clear, or not once: %v, error %v", raw, err)
	}
	client.Close()
	d.Stop()

	_, client = open(t, dir)
	if files, err := NewShared(client, "token").Load(ctx); err != nil || string(files["ca"]) != "first" {
		t.Errorf("after a restart: got %q, error %v", files, err)
	}
}
