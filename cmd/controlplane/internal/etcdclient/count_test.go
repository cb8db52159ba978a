package etcdclient

import (
	"context"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
)

// asked counts the questions for numbers that reach a datastore.
type asked struct {
	kubernetes.Interface
	times int
}

func (a *asked) Count(ctx context.Context, prefix string, options kubernetes.CountOptions) (int64, error) {
	a.times++
	return a.Interface.Count(ctx, prefix, options)
}

// TestCountIsAskedForAfterWrites follows the number of objects of one storage.
func TestCountIsAskedForAfterWrites(t *testing.T) {
	config, _ := served(t)
	client, err := dial(config)
	if err != nil {
		t.Fatal(err)
	}
	keeps, ok := client.Kubernetes.(*counted)
	if !ok {
		t.Fatalf("the client of a storage counts by %T", client.Kubernetes)
	}
	behind := &asked{Interface: keeps.Interface}
	now := time.Now()
	keeps.Interface, keeps.now = behind, func() time.Time { return now }
	ctx := context.Background()
	want := func(when string, count int64, times int) {
		t.Helper()
		got, err := client.Kubernetes.Count(ctx, "/registry/pods/", kubernetes.CountOptions{})
		if err != nil || got != count || behind.times != times {
			t.Errorf("%s: got %d after %d questions, error %v, want %d after %d", when, got, behind.times, err, count, times)
		}
	}
	want("at first", 0, 1)
	want("again", 0, 1)
	put, err := client.Kubernetes.OptimisticPut(ctx, "/registry/pods/a", []byte("x"), 0, kubernetes.PutOptions{GetOnFailure: true})
	if err != nil || !put.Succeeded {
		t.Fatalf("put: %v, %+v", err, put)
	}
	want("after a write", 1, 2)
	want("again", 1, 2)
	if _, err := client.Kubernetes.OptimisticDelete(ctx, "/registry/pods/a", put.Revision, kubernetes.DeleteOptions{GetOnFailure: true}); err != nil {
		t.Fatal(err)
	}
	want("after a deletion", 0, 3)

	// Somebody else writes.
	if _, err := behind.OptimisticPut(ctx, "/registry/pods/b", []byte("x"), 0, kubernetes.PutOptions{GetOnFailure: true}); err != nil {
		t.Fatal(err)
	}
	want("after a write of another server", 0, 3)
	now = now.Add(countLife)
	want("later", 1, 4)
}
