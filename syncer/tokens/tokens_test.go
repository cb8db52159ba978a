// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/translate"
)

const hostNamespace = "team"

// fixture is a Minter over two API servers' stand-ins, with a clock of its own.
type fixture struct {
	minter        *Minter
	virtual, host *fake.Clientset
	clock         *testingclock.FakeClock
	translator    *translate.Translator
	virtualPods   cache.SharedIndexInformer

	mutex    sync.Mutex
	requests []authenticationv1.TokenRequest
}

func start(t *testing.T, hostObjects ...runtime.Object) *fixture {
	t.Helper()
	return startWith(t, true, nil, hostObjects)
}

func startWith(t *testing.T, run bool, virtualObjects, hostObjects []runtime.Object) *fixture {
	t.Helper()
	f := &fixture{
		virtual: fake.NewClientset(virtualObjects...), host: fake.NewClientset(hostObjects...),
		clock:      testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		translator: translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace, Owner: &metav1.OwnerReference{Kind: "Service", Name: "vc-demo", UID: "service"}}),
	}
	f.virtual.PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		request := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenRequest).DeepCopy()
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.requests = append(f.requests, *request)
		request.Status.Token = fmt.Sprintf("secret-%d", len(f.requests))
		request.Status.ExpirationTimestamp = metav1.NewTime(f.clock.Now().Add(time.Duration(*request.Spec.ExpirationSeconds) * time.Second))
		return true, request, nil
	})
	// The API server gives every object a UID of its own.
	created := 0
	// It heeds preconditions, which the stand-in does not.
	f.host.PrependReactor("delete", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		deletion := action.(clienttesting.DeleteActionImpl)
		found, err := f.host.Tracker().Get(corev1.SchemeGroupVersion.WithResource("secrets"), hostNamespace, deletion.Name)
		if err != nil {
			return true, nil, err
		}
		if uid := deletion.DeleteOptions.Preconditions.UID; *uid != found.(*corev1.Secret).UID {
			return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), deletion.Name, errors.New("another UID"))
		}
		return false, nil, nil
	})
	f.host.PrependReactor("create", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		created++
		action.(clienttesting.CreateAction).GetObject().(*corev1.Secret).UID = types.UID(fmt.Sprintf("secret-uid-%d", created))
		return false, nil, nil
	})
	factory := informers.NewSharedInformerFactoryWithOptions(f.host, 0, informers.WithNamespace(hostNamespace))
	pods, secrets := factory.Core().V1().Pods(), factory.Core().V1().Secrets()
	f.virtualPods = informers.NewSharedInformerFactory(f.virtual, 0).Core().V1().Pods().Informer()
	minter, err := New(Options{
		Translator: f.translator, Virtual: f.virtual, Host: f.host,
		VirtualPodInformer: f.virtualPods, HostPodInformer: pods.Informer(), HostSecretInformer: secrets.Informer(), Clock: f.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.minter = minter
	ctx, cancel := context.WithCancel(t.Context())
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	go f.virtualPods.RunWithContext(ctx)
	done := make(chan error, 1)
	if run {
		go func() { done <- minter.Run(ctx) }()
	} else {
		done <- nil
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return f
}

func (f *fixture) asked() []authenticationv1.TokenRequest {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return append([]authenticationv1.TokenRequest(nil), f.requests...)
}

// newPod is a pod inside that mounts the projections.
func newPod(name, uid string, projections ...corev1.ServiceAccountTokenProjection) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(uid)},
		Spec:       corev1.PodSpec{ServiceAccountName: "robot"},
	}
	for _, projection := range projections {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &projection}},
		}}})
	}
	return pod
}

// pod puts such a pod inside, in place of one of the same name, and waits until it is known.
func (f *fixture) pod(t *testing.T, name, uid string, projections ...corev1.ServiceAccountTokenProjection) *corev1.Pod {
	t.Helper()
	pod := newPod(name, uid, projections...)
	f.deletePod(t, pod)
	if _, err := f.virtual.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is known", func(context.Context) bool {
		found, err := f.minter.virtualPods.Pods(pod.Namespace).Get(name)
		return err == nil && found.UID == pod.UID
	})
	return pod
}

func (f *fixture) deletePod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := f.virtual.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	eventually(t, "the end of the pod is known", func(context.Context) bool {
		_, err := f.minter.virtualPods.Pods(pod.Namespace).Get(pod.Name)
		return err != nil
	})
}

func (f *fixture) ensure(t *testing.T, pod *corev1.Pod) (string, []string) {
	t.Helper()
	var projections []corev1.ServiceAccountTokenProjection
	for _, volume := range pod.Spec.Volumes {
		projections = append(projections, *volume.Projected.Sources[0].ServiceAccountToken)
	}
	secret, keys, err := f.minter.Ensure(t.Context(), pod, projections)
	if err != nil {
		t.Fatal(err)
	}
	return secret, keys
}

func (f *fixture) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret, err := f.host.CoreV1().Secrets(hostNamespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func eventually(t *testing.T, what string, condition func(ctx context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		return condition(ctx), nil
	})
	if err != nil {
		t.Fatalf("%s: not within 20 s", what)
	}
}

func projection(audience string, life *int64) corev1.ServiceAccountTokenProjection {
	return corev1.ServiceAccountTokenProjection{Audience: audience, ExpirationSeconds: life, Path: "token"}
}

func TestTokensAsProjected(t *testing.T) {
	for _, test := range []struct {
		name       string
		projection corev1.ServiceAccountTokenProjection
		audiences  int
		seconds    int64
	}{
		{"the API server's own", projection("", ptr.To[int64](3607)), 0, 3600},
		{"no life", projection("", nil), 0, 3600},
		{"short life", projection("", ptr.To[int64](600)), 0, 600},
		{"audience", projection("vault", ptr.To[int64](7200)), 1, 7200},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := start(t)
			secret, keys := f.ensure(t, f.pod(t, "web", "uid", test.projection))
			asked := f.asked()
			if len(asked) != 1 {
				t.Fatalf("asked for %d tokens, want 1", len(asked))
			}
			spec := asked[0].Spec
			if *spec.ExpirationSeconds != test.seconds || len(spec.Audiences) != test.audiences {
				t.Errorf("asked for %d seconds and audiences %q, want %d and %d of them", *spec.ExpirationSeconds, spec.Audiences, test.seconds, test.audiences)
			}
			if bound := spec.BoundObjectRef; bound == nil || bound.Kind != "Pod" || bound.Name != "web" || bound.UID != "uid" {
				t.Errorf("the token is bound to %v, want to the pod by name and UID", bound)
			}
			found := f.secret(t, secret)
			if got := string(found.Data[keys[0]]); got != "secret-1" {
				t.Errorf("got token %q at key %q, want secret-1", got, keys[0])
			}
			for key, value := range found.Annotations {
				if strings.Contains(value, "secret-1") {
					t.Errorf("the token stands in the annotation %s", key)
				}
			}
			if identity, ours := f.translator.IdentityOf(found); !ours || identity.Kind != "Pod" || identity.UID != "uid" {
				t.Errorf("got identity %v, ours %t", identity, ours)
			}
		})
	}
}

func TestSameProjectionsShareAToken(t *testing.T) {
	f := start(t)
	pod := f.pod(t, "web", "uid", projection("a", nil), projection("b", nil), projection("a", ptr.To[int64](3607)))
	_, keys := f.ensure(t, pod)
	if len(f.asked()) != 2 || keys[0] != keys[2] || keys[0] == keys[1] {
		t.Errorf("asked for %d tokens with keys %q, want 2 and the first like the third", len(f.asked()), keys)
	}
	eventually(t, "the cache has the secret", func(context.Context) bool {
		_, err := f.minter.secrets.Secrets(hostNamespace).Get(f.minter.secretName("default", "web"))
		return err == nil
	})
	f.ensure(t, pod)
	if got := len(f.asked()); got != 2 {
		t.Errorf("asked for %d tokens after the second call, want none more than 2", got)
	}
}

func TestRenewal(t *testing.T) {
	f := startWith(t, false, nil, nil)
	pod := f.pod(t, "web", "uid", projection("", nil))
	name, keys := f.ensure(t, pod)
	pass := func(token string, after time.Duration) {
		t.Helper()
		eventually(t, "the cache has the secret", func(context.Context) bool {
			cached, err := f.minter.secrets.Secrets(hostNamespace).Get(name)
			return err == nil && string(cached.Data[keys[0]]) == string(f.secret(t, name).Data[keys[0]])
		})
		got, err := f.minter.reconcile(t.Context(), types.NamespacedName{Namespace: "default", Name: "web"})
		if err != nil {
			t.Fatal(err)
		}
		if got != after {
			t.Errorf("looks again after %s, want %s", got, after)
		}
		if got := string(f.secret(t, name).Data[keys[0]]); got != token {
			t.Errorf("got %s, want %s", got, token)
		}
	}
	pass("secret-1", 48*time.Minute)
	f.clock.Step(47 * time.Minute)
	pass("secret-1", time.Minute)
	f.clock.Step(time.Minute)
	pass("secret-2", 48*time.Minute)
	f.clock.Step(3 * time.Hour)
	pass("secret-3", 48*time.Minute)
}

// TestRenewalIsPlanned lets time pass while the Minter runs.
func TestRenewalIsPlanned(t *testing.T) {
	f := start(t)
	name, keys := f.ensure(t, f.pod(t, "web", "uid", projection("", nil)))
	eventually(t, "the token is renewed", func(context.Context) bool {
		f.clock.Step(time.Minute)
		return string(f.secret(t, name).Data[keys[0]]) != "secret-1"
	})
}

// TestRestart has a Secret from an earlier process, whose time has come.
func TestRestart(t *testing.T) {
	first := start(t)
	name, keys := first.ensure(t, first.pod(t, "web", "uid", projection("", nil)))
	left := first.secret(t, name)
	left.Annotations[annotationRenew] = "2025-12-31T23:00:00Z"
	left.Data[keys[0]] = []byte("stale")

	f := startWith(t, true, []runtime.Object{newPod("web", "uid", projection("", nil))}, []runtime.Object{left})
	eventually(t, "the token is renewed", func(context.Context) bool { return string(f.secret(t, name).Data[keys[0]]) == "secret-1" })
}

func TestRemovedWithThePod(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(t *testing.T, f *fixture, pod *corev1.Pod)
	}{
		{"gone", func(t *testing.T, f *fixture, pod *corev1.Pod) {
			f.deletePod(t, pod)
		}},
		{"another of the same name", func(t *testing.T, f *fixture, _ *corev1.Pod) { f.pod(t, "web", "uid-2") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := start(t)
			pod := f.pod(t, "web", "uid", projection("", nil))
			name, _ := f.ensure(t, pod)
			test.end(t, f, pod)
			f.minter.queue.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
			eventually(t, "the secret is removed", func(ctx context.Context) bool {
				_, err := f.host.CoreV1().Secrets(hostNamespace).Get(ctx, name, metav1.GetOptions{})
				return err != nil
			})
		})
	}
}

func TestNextPodOfTheSameName(t *testing.T) {
	f := start(t)
	name, _ := f.ensure(t, f.pod(t, "web-0", "uid-1", projection("", nil)))
	before := f.secret(t, name)
	f.ensure(t, f.pod(t, "web-0", "uid-2", projection("", nil)))
	after := f.secret(t, name)
	if after.UID == before.UID {
		t.Error("the Secret of the earlier pod was changed: it goes with that pod's host pod")
	}
	if identity, _ := f.translator.IdentityOf(after); identity.UID != "uid-2" {
		t.Errorf("the Secret is of pod %q, want uid-2", identity.UID)
	}
}

func TestForeignSecretIsLeftAlone(t *testing.T) {
	translator := translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
	foreign := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: hostNamespace, Name: translator.DerivedName(purpose, "default", "web")},
		Data:       map[string][]byte{"key": []byte("theirs")},
	}
	f := start(t, foreign)
	pod := f.pod(t, "web", "uid", projection("", nil))
	if _, _, err := f.minter.Ensure(t.Context(), pod, []corev1.ServiceAccountTokenProjection{projection("", nil)}); err == nil {
		t.Error("got no error for a name that is taken")
	} else if strings.Contains(err.Error(), "secret-1") {
		t.Errorf("the error tells the token: %v", err)
	}
	if got := string(f.secret(t, foreign.Name).Data["key"]); got != "theirs" {
		t.Errorf("got %q in somebody else's Secret", got)
	}
}

func TestHostPodBecomesTheOwner(t *testing.T) {
	f := start(t)
	pod := f.pod(t, "web", "uid", projection("", nil))
	name, _ := f.ensure(t, pod)
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "host-uid"}}
	f.translator.Mark(host, translate.IdentityFor(pod), nil, nil)
	if _, err := f.host.CoreV1().Pods(hostNamespace).Create(t.Context(), host, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host pod is the only owner", func(context.Context) bool {
		owners := f.secret(t, name).OwnerReferences
		return len(owners) == 1 && owners[0].Kind == "Pod" && owners[0].UID == "host-uid"
	})
}

// TestDeletedOnTheHost has somebody delete the Secret of a running pod.
func TestDeletedOnTheHost(t *testing.T) {
	f := start(t)
	pod := f.pod(t, "web", "uid", projection("", nil))
	name, keys := f.ensure(t, pod)
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "host-uid"}}
	f.translator.Mark(host, translate.IdentityFor(pod), nil, nil)
	if _, err := f.host.CoreV1().Pods(hostNamespace).Create(t.Context(), host, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host pod is known", func(context.Context) bool {
		_, running, _ := f.minter.hostPod(pod)
		return running
	})
	uid := f.secret(t, name).UID
	if err := f.host.CoreV1().Secrets(hostNamespace).Delete(t.Context(), name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the secret is there again", func(ctx context.Context) bool {
		found, err := f.host.CoreV1().Secrets(hostNamespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && len(found.Data[keys[0]]) > 0
	})
}
