package datastore

import (
	"context"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestBoundOfTheEmbeddedDatabase fills it through etcd's API, and wants the words that a
// client reads to say what can be done.
func TestBoundOfTheEmbeddedDatabase(t *testing.T) {
	t.Setenv(BoundVariable, "4194304")
	d, client := open(t, t.TempDir())
	defer d.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	create := func(key string) error {
		_, err := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, strings.Repeat("x", 500_000))).Commit()
		return err
	}
	var err error
	for i := 0; err == nil && i < 20; i++ {
		err = create("/registry/" + string(rune('a'+i)))
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v, want the database to be full", err)
	}
	for _, want := range []string{"of the 4Mi that it may", "Delete objects", "spec.controlPlane.storage.size"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to say %q", err, want)
		}
	}
	if _, err := client.Get(ctx, "/registry/a"); err != nil {
		t.Errorf("read: %v", err)
	}
}

func TestBoundThatIsNone(t *testing.T) {
	t.Setenv(BoundVariable, "2Gi")
	dir := t.TempDir()
	d, err := Open(Config{Database: dir + "/state.db", Socket: dir + "/s"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	if err := d.Start(context.Background()); err == nil || !strings.Contains(err.Error(), BoundVariable) {
		t.Errorf("got %v, want an error that names %s", err, BoundVariable)
	}
}
