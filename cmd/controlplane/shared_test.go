package main

import (
	"bytes"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startEtcd runs a real etcd in the test's process and returns its address.
func startEtcd(t *testing.T) string {
	t.Helper()
	config := embed.NewConfig()
	config.Dir = filepath.Join(t.TempDir(), "etcd")
	config.LogLevel = "error"
	client, peer := url.URL{Scheme: "http", Host: freeAddress(t)}, url.URL{Scheme: "http", Host: freeAddress(t)}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()
	return client.String()
}

// TestServersShareADatastore: a second server with the token is the same
// cluster, one without it is refused, and a first one that lost its data
// directory comes back as what it was.
func TestServersShareADatastore(t *testing.T) {
	t.Parallel()
	endpoint := "--datastore-endpoint=" + startEtcd(t)
	firstDir, secondDir := shortDir(t), shortDir(t)
	first := start(t, firstDir, freePort(t), endpoint, "--token=secret")
	made, err := first.client(t).CoreV1().ConfigMaps("default").Create(background(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "shared"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	second := start(t, secondDir, freePort(t), endpoint, "--token=secret")
	seen, err := second.client(t).CoreV1().ConfigMaps("default").Get(background(), "shared", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "UID through the second server", seen.UID, made.UID)
	for _, name := range []string{"server-ca.crt", "client-ca.key", "request-header-ca.crt", "service.key"} {
		want(t, name+" of both servers", string(identityFile(t, secondDir, name)), string(identityFile(t, firstDir, name)))
	}

	stranger := start(t, shortDir(t), freePort(t), endpoint, "--token=another")
	<-stranger.ended
	refused(t, stranger, "made with another token")

	want(t, "exit code", first.stop(t), 0)
	returned := start(t, shortDir(t), first.port, endpoint, "--token=secret")
	returned.ready(t)
	if !bytes.Equal(identityFile(t, returned.dir, "server-ca.crt"), identityFile(t, firstDir, "server-ca.crt")) {
		t.Error("a server without its data directory became another cluster")
	}
	// One of the two runs the controllers; when it goes, the other does.
	second.kill()
	if _, err := returned.client(t).CoreV1().Namespaces().Create(background(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	returned.until(t, "a controller's work after its leader was killed", func() error {
		_, err := returned.client(t).CoreV1().ServiceAccounts("later").Get(background(), "default", metav1.GetOptions{})
		return err
	})
}

func identityFile(t *testing.T, dir, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "server", "tls", name))
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) == 0 {
		t.Fatal(errors.New(name + " is empty"))
	}
	return raw
}

func TestUnknownDatastoreIsRefusedWithoutItsPassword(t *testing.T) {
	p := start(t, shortDir(t), freePort(t), "--datastore-endpoint=oracle://user:hunter2@host/db")
	<-p.ended
	refused(t, p, "want sqlite, mysql, postgres, http or https")
	if strings.Contains(p.log.String(), "hunter2") {
		t.Error("the password stands in the output")
	}
}
