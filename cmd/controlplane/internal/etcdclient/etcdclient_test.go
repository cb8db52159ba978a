package etcdclient

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"garret.dev/garret/cmd/controlplane/internal/datastore"
)

// served is a datastore, and a count of the connections to it.
func served(t *testing.T) (storagebackend.TransportConfig, *atomic.Int32) {
	t.Helper()
	dir := t.TempDir()
	store, err := datastore.Open(datastore.Config{Database: filepath.Join(dir, "state.db"), Socket: filepath.Join(dir, "s")})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	t.Cleanup(Disconnect)
	front := filepath.Join(dir, "f")
	listener, err := net.Listen("unix", front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	count := &atomic.Int32{}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			go carry(in, filepath.Join(dir, "s"))
		}
	}()
	return storagebackend.TransportConfig{ServerList: []string{"unix://" + front}}, count
}

func carry(in net.Conn, socket string) {
	defer in.Close()
	out, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		defer out.Close()
		_, _ = io.Copy(out, in)
	}()
	_, _ = io.Copy(in, out)
}

func TestStoragesShareOneConnection(t *testing.T) {
	config, count := served(t)
	var clients []*kubernetes.Client
	for range 5 {
		client, err := dial(config)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
	}
	defer func() {
		for _, client := range clients[1:] {
			client.Close()
		}
	}()
	ctx := t.Context()
	for _, client := range clients {
		if _, err := client.Kubernetes.List(ctx, "/registry/", kubernetes.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := client.Endpoints(); !slices.Equal(got, config.ServerList) {
			t.Errorf("a client names the endpoints %q, and the compaction goes by them: want %q", got, config.ServerList)
		}
	}
	if got := count.Load(); got != 1 {
		t.Errorf("%d clients made %d connections, want one", len(clients), got)
	}

	// The end of one is not the end of the others, nor of their watches.
	ended := clients[0].Watch(ctx, "/registry/a", clientv3.WithCreatedNotify())
	goesOn := clients[1].Watch(ctx, "/registry/a", clientv3.WithCreatedNotify())
	for _, events := range []clientv3.WatchChan{ended, goesOn} {
		if response := <-events; !response.Created {
			t.Fatalf("the watch began with %+v", response)
		}
	}
	clients[0].Close()
	for range ended {
	}
	// The datastore takes its first write for the sign to prepare its query for changes.
	for _, key := range []string{"/registry/first", "/registry/a"} {
		if _, err := clients[2].Kubernetes.OptimisticPut(ctx, key, []byte("x"), 0, kubernetes.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if response := <-goesOn; response.Err() != nil || len(response.Events) != 1 {
		t.Fatalf("the watch of another client got %+v, %v", response, response.Err())
	}

	Disconnect()
	for range goesOn {
	}
	if _, err := clients[2].Kubernetes.List(ctx, "/registry/", kubernetes.ListOptions{}); err == nil {
		t.Error("a client is answered after the connection was closed")
	}
	again, err := dial(config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Kubernetes.List(ctx, "/registry/", kubernetes.ListOptions{}); err != nil || count.Load() != 2 {
		t.Errorf("a client made after that has the error %v, and there were %d connections, want two", err, count.Load())
	}
}

func TestDatastoresElsewhereKeepTheirOwn(t *testing.T) {
	for server, want := range map[string]bool{"unix:///a": true, "unixs:///a": true, "https://a:2379": false} {
		if got := local([]string{server}); got != want {
			t.Errorf("%s: local is %t, want %t", server, got, want)
		}
	}
	if local([]string{"unix:///a", "https://a:2379"}) || local(nil) {
		t.Error("a list with a server elsewhere, or without any, counts as local")
	}
}
