// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	clientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
	"garret.dev/garret/syncer/translate"
)

// unreachable is a client of a control plane that is not there.
func unreachable(t *testing.T) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// controlPlane is one that answers, and lets the relay in while it is open.
func controlPlane(t *testing.T, open *atomic.Bool) kubernetes.Interface {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/version":
			fmt.Fprint(w, `{"gitVersion":"v1.37.2"}`)
		case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
			review := &authorizationv1.SubjectAccessReview{}
			if err := json.NewDecoder(r.Body).Decode(review); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/json")
			review.Status.Allowed = open.Load() && review.Spec.User == tenancyv1.RelayUser && review.Spec.ResourceAttributes.Verb == "impersonate"
			_ = json.NewEncoder(w).Encode(review)
		default:
			fmt.Fprint(w, "ok")
		}
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// apiServer stands for garret-apiserver, which is away for the first requests.
type apiServer struct {
	mutex   sync.Mutex
	away    int
	applied []tenancyv1.VirtualCluster
	methods []string
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.methods = append(s.methods, r.Method+" "+r.URL.Path)
	if s.away--; s.away >= 0 {
		http.Error(w, "the server is currently unable to handle the request", http.StatusServiceUnavailable)
		return
	}
	answer := tenancyv1.VirtualCluster{TypeMeta: metav1.TypeMeta{Kind: "VirtualCluster", APIVersion: tenancyv1.SchemeGroupVersion.String()}}
	if r.Method == http.MethodPatch {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &answer)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.applied = append(s.applied, answer)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *apiServer) last() (tenancyv1.VirtualCluster, int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.applied) == 0 {
		return tenancyv1.VirtualCluster{}, 0
	}
	return s.applied[len(s.applied)-1], len(s.applied)
}

func TestReporter(t *testing.T) {
	api := &apiServer{away: 3}
	server := httptest.NewServer(api)
	defer server.Close()
	client, err := clientv1.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	dir := pkitest.NewDataDir(t)
	cluster := translate.Cluster{Name: "demo", HostNamespace: "team", UID: "uid"}
	var open atomic.Bool
	reporter := NewReporter(cluster, client, controlPlane(t, &open), pki.ServerAuthority(dir.Path), clock.RealClock{}, "sync")
	reporter.Done("sync")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	ready := func(kind string, want metav1.ConditionStatus) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			last, _ := api.last()
			for _, condition := range last.Status.Conditions {
				if condition.Type == kind && condition.Status == want {
					return true, nil
				}
			}
			return false, nil
		})
		if err != nil {
			last, _ := api.last()
			t.Fatalf("%s did not become %s: %+v", kind, want, last.Status)
		}
	}
	ready(tenancyv1.ConditionSyncerReady, metav1.ConditionTrue)
	ready(tenancyv1.ConditionControlPlaneReady, metav1.ConditionFalse)
	for _, condition := range func() []metav1.Condition { last, _ := api.last(); return last.Status.Conditions }() {
		if condition.Type == tenancyv1.ConditionControlPlaneReady && condition.Reason != "RightsNotLoaded" {
			t.Errorf("not ready for %s, want that nobody is let in", condition.Reason)
		}
	}
	open.Store(true)
	ready(tenancyv1.ConditionControlPlaneReady, metav1.ConditionTrue)
	last, count := api.last()
	if last.UID != "uid" || last.Status.KubernetesVersion != "v1.37.2" || string(last.Status.CertificateAuthorityData) != string(dir.Server.PEM()) {
		t.Errorf("got UID %q, version %q, authority %q", last.UID, last.Status.KubernetesVersion, last.Status.CertificateAuthorityData)
	}
	if count != 2 {
		t.Errorf("reported %d times, want once for each state: what was away was not told of", count)
	}
	reporter.Pending("sync", "Broken", "it broke")
	ready(tenancyv1.ConditionSyncerReady, metav1.ConditionFalse)
	reporter.Done("sync")
	ready(tenancyv1.ConditionSyncerReady, metav1.ConditionTrue)
	reports := func(what string, is func(*tenancyv1.QuotaStatus) bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			last, _ := api.last()
			return is(last.Status.Quota), nil
		})
		if err != nil {
			last, _ := api.last()
			t.Errorf("quota: got %v, want %s", last.Status.Quota, what)
		}
	}
	one := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
	reporter.Quota(corev1.ResourceList{corev1.ResourcePods: resource.MustParse("5")}, one)
	reports("one pod of five", func(quota *tenancyv1.QuotaStatus) bool {
		return quota != nil && quota.Hard.Pods().Value() == 5 && quota.Used.Pods().Value() == 1
	})
	reporter.Quota(nil, nil)
	reports("none", func(quota *tenancyv1.QuotaStatus) bool { return quota == nil })
	if last, _ := api.last(); last.Status.LastActivityTime != nil {
		t.Errorf("reported a use at %s, want none before there is one", last.Status.LastActivityTime)
	}
	used := time.Now().Truncate(time.Second)
	reporter.Used(used)
	err = wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		last, _ := api.last()
		return last.Status.LastActivityTime != nil && last.Status.LastActivityTime.Time.Equal(used), nil
	})
	if err != nil {
		t.Errorf("a use at %s is not reported", used)
	}
	api.mutex.Lock()
	defer api.mutex.Unlock()
	for _, method := range api.methods {
		if want := " /apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters/demo/status"; method != "GET"+want && method != "PATCH"+want {
			t.Errorf("asked for %s, which the syncer has no right to", method)
		}
	}
}

// TestStoppedAPIServer wants streams to count as ended when nobody listens any more, and not
// when an answer fails.
func TestStoppedAPIServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusInternalServerError) }))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	reporter := NewReporter(translate.Cluster{}, nil, client, pki.ServerAuthority(t.TempDir()), clock.RealClock{})
	stopped := 0
	reporter.Stopped = func() { stopped++ }
	if reporter.observe(t.Context(), state{}); stopped != 0 {
		t.Error("an API server that fails counts as stopped")
	}
	server.Close()
	if reporter.observe(t.Context(), state{}); stopped != 1 {
		t.Error("an API server that does not listen does not count as stopped")
	}
}

// TestWhatIsChecked wants all checks of the API server at first, after trouble, each half a minute and
// where it cannot be confirmed that the data are the same.
func TestWhatIsChecked(t *testing.T) {
	var mutex sync.Mutex
	checks, confirmed := 0, 0
	var broken, doubtful error
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		if r.URL.Path != "/readyz" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":true}}`)
			return
		}
		checks++
		if broken != nil {
			http.Error(w, broken.Error(), http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	now := testingclock.NewFakeClock(time.Now())
	reporter := NewReporter(translate.Cluster{}, nil, client, pki.ServerAuthority(t.TempDir()), now)
	reporter.Confirm = func(context.Context) error { confirmed++; return doubtful }
	last, looks := state{version: "v1"}, 0
	look := func(whole bool) {
		t.Helper()
		mutex.Lock()
		checks = 0
		mutex.Unlock()
		last = reporter.observe(t.Context(), last)
		if looks++; confirmed != looks {
			t.Errorf("asked %d times in %d looks whether the data are the same", confirmed, looks)
		}
		mutex.Lock()
		defer mutex.Unlock()
		if (checks == 1) != whole || checks > 1 {
			t.Errorf("asked %d times for all checks, want them: %t", checks, whole)
		}
		if failed := strings.Contains(last.controlPlane.message, "waiting for etcd"); failed != (whole && broken != nil) {
			t.Errorf("got %v, want what the checks say: %v", last.controlPlane, broken)
		}
		now.Step(calmInterval)
	}
	look(true)
	look(false)
	look(false)
	look(true)
	doubtful = errors.New("the data are not known")
	look(true)
	broken = errors.New("[-]etcd failed: reason withheld")
	look(true)
	doubtful = nil
	look(true)
	broken = nil
	look(true)
	look(false)
}

func TestUnready(t *testing.T) {
	cause := errors.New("an error on the server\nwith more to it")
	for name, test := range map[string]struct{ body, want string }{
		"failing checks": {"[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]poststarthook/rbac/bootstrap-roles failed: not finished\nreadyz check failed\n",
			"waiting for etcd, poststarthook/rbac/bootstrap-roles"},
		"no answer":      {"", "an error on the server"},
		"another answer": {`{"kind":"Status","message":"forbidden"}`, "an error on the server"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unready([]byte(test.body), cause); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
