// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2/ktesting"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	fakeaggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
	testclock "k8s.io/utils/clock/testing"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

func newTestKeeper(client *fake.Clientset, clock *testclock.FakeClock) *Keeper {
	return NewKeeper(client, "garret-system", testIdentity(), DefaultLives()).WithClock(clock)
}

func load(t *testing.T, ctx context.Context, keeper *Keeper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := keeper.Load(ctx); err != nil {
		t.Fatalf("load: %v", err)
	}
}

func TestReplicasShareOneAuthority(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	client, clock := fake.NewClientset(), testclock.NewFakeClock(time.Now())
	keepers := make([]*Keeper, 5)
	var group sync.WaitGroup
	for i := range keepers {
		keepers[i] = newTestKeeper(client, clock)
		group.Go(func() { load(t, ctx, keepers[i]) })
	}
	group.Wait()
	for i, keeper := range keepers {
		if !same(keeper.current.Load(), keepers[0].current.Load()) {
			t.Errorf("replica %d has other certificates than the first", i)
		}
	}
}

func TestSecretThatWasLostIsWrittenAgain(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	client, clock := fake.NewClientset(), testclock.NewFakeClock(time.Now())
	keeper := newTestKeeper(client, clock)
	load(t, ctx, keeper)
	before := keeper.current.Load()
	secrets := client.CoreV1().Secrets("garret-system")
	for name, lose := range map[string]func() error{
		"deleted": func() error { return secrets.Delete(ctx, SecretName, metav1.DeleteOptions{}) },
		"broken": func() error {
			_, err := secrets.Update(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: SecretName, Namespace: "garret-system", ResourceVersion: "1"},
				Data:       map[string][]byte{"ca.crt": []byte("x")},
			}, metav1.UpdateOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := lose(); err != nil {
				t.Fatal(err)
			}
			if err := keeper.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			secret, err := secrets.Get(ctx, SecretName, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			stored, err := decode(secret.Data)
			if err != nil || !same(stored, before) {
				t.Errorf("got %v; want the same authority and certificates as before", err)
			}
		})
	}
}

// TestRotationDropsNoRequest serves with a keeper whose certificate is
// replaced while clients ask all the time, over kept and over new connections.
func TestRotationDropsNoRequest(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clock := testclock.NewFakeClock(time.Now().Add(-21 * day)) // the clients go by the real one
	keeper := newTestKeeper(fake.NewClientset(), clock)
	load(t, ctx, keeper)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	info := &genericapiserver.SecureServingInfo{Listener: listener, Cert: keeper.Serving()}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	stopped, _, err := info.Serve(handler, time.Second, ctx.Done())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); <-stopped }()

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(keeper.Bundle())
	ask := func(client *http.Client) string {
		answer, err := client.Get("https://" + listener.Addr().String())
		if err != nil {
			t.Errorf("a request failed: %v", err)
			return ""
		}
		answer.Body.Close()
		return answer.TLS.PeerCertificates[0].SerialNumber.String()
	}
	newClient := func() *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: roots, ServerName: "garret-apiserver.garret-system.svc", MinVersion: tls.VersionTLS12,
		}}}
	}
	kept := newClient()
	first := ask(kept)
	clock.SetTime(clock.Now().Add(21 * day))
	if err := keeper.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		ask(kept)
		fresh := newClient()
		defer fresh.CloseIdleConnections()
		return ask(fresh) != first, nil
	})
	if err != nil {
		t.Errorf("the new certificate was never served: %v", err)
	}
	if client, err := keeper.ClientCertificate(nil); err != nil || client.Leaf.NotAfter.Before(clock.Now().Add(29*day)) {
		t.Errorf("client certificate: got one until %v, %v; want a renewed one", client.Leaf.NotAfter, err)
	}
}

func apiService(change func(*apiregistrationv1.APIService)) *apiregistrationv1.APIService {
	object := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: APIServiceName},
		Spec: apiregistrationv1.APIServiceSpec{
			Service: &apiregistrationv1.ServiceReference{Namespace: "garret-system", Name: "garret-apiserver"},
			Group:   v1.GroupName, Version: "v1",
		},
	}
	change(object)
	return object
}

func TestPublish(t *testing.T) {
	for name, test := range map[string]struct {
		found *apiregistrationv1.APIService
		leave bool
		want  bool
	}{
		"nothing there yet": {},
		"without a bundle":  {found: apiService(func(*apiregistrationv1.APIService) {}), want: true},
		"another bundle":    {found: apiService(func(a *apiregistrationv1.APIService) { a.Spec.CABundle = []byte("x") }), want: true},
		"insecure":          {found: apiService(func(a *apiregistrationv1.APIService) { a.Spec.InsecureSkipTLSVerify = true }), want: true},
		"points elsewhere":  {found: apiService(func(a *apiregistrationv1.APIService) { a.Spec.Service.Name = "other" })},
		"local":             {found: apiService(func(a *apiregistrationv1.APIService) { a.Spec.Service = nil })},
		"somebody else's":   {found: apiService(func(*apiregistrationv1.APIService) {}), leave: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, ctx := ktesting.NewTestContext(t)
			client, registrations := fake.NewClientset(), fakeaggregator.NewSimpleClientset()
			if test.found != nil {
				registrations = fakeaggregator.NewSimpleClientset(test.found)
			}
			keeper := newTestKeeper(client, testclock.NewFakeClock(time.Now()))
			load(t, ctx, keeper)
			publisher := &Publisher{Client: client, Aggregator: registrations, Namespace: "garret-system",
				Service: "garret-apiserver", Keeper: keeper, LeaveAPIService: test.leave}
			for range 2 { // the second time nothing is left to do
				if err := publisher.Sync(ctx); err != nil {
					t.Fatal(err)
				}
			}
			configMap, err := client.CoreV1().ConfigMaps("garret-system").Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
			if err != nil || configMap.Data[v1.CAConfigMapKey] != string(keeper.Bundle()) {
				t.Errorf("configmap: got %v, %v; want the bundle", configMap, err)
			}
			if test.found == nil {
				return
			}
			got, err := registrations.ApiregistrationV1().APIServices().Get(ctx, APIServiceName, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			published := string(got.Spec.CABundle) == string(keeper.Bundle()) && !got.Spec.InsecureSkipTLSVerify
			if published != test.want {
				t.Errorf("published: got %v, want %v", published, test.want)
			}
		})
	}
}
