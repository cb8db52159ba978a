// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// TestObjectsAreNotLogged has kine itself log a write that fails, to see that it
// is known by its beginning: another version may word it otherwise.
func TestObjectsAreNotLogged(t *testing.T) {
	logrus.SetOutput(io.Discard)
	hook := test.NewGlobal()
	defer logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	socket := filepath.Join(t.TempDir(), "kine.sock")
	listener, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := NewServer(Guard(sqliteBackend(t, "&_pragma=max_page_count(60)"), func(error) {}), nil)
	var wait sync.WaitGroup
	wait.Go(func() { _ = grpcServer.Serve(listener) })
	defer wait.Wait()
	defer grpcServer.Stop()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	const secret = "hunter2"
	if _, err := client.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision("/registry/secrets/a"), "=", 0)).
		Then(clientv3.OpPut("/registry/secrets/a", strings.Repeat(secret, 100_000))).Commit(); err == nil {
		t.Fatal("a full database took a write")
	}
	quoted := false
	for _, entry := range hook.AllEntries() {
		quoted = quoted || strings.Contains(entry.Message, secret)
		if got := Loggable(entry.Message); strings.Contains(got, secret) {
			t.Errorf("got %.100q, which shows the object", got)
		}
	}
	if !quoted {
		t.Error("kine does not quote the request: Loggable has become needless")
	}
	if got := Loggable("Compact failed: x"); got != "Compact failed: x" {
		t.Errorf("got %q, want the message as it was", got)
	}
}
