// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	testingclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/projected"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/translate"
)

const hostNamespace = "team"

// fixture is a Minter over two API servers' stand-ins, with a clock of its own.
type fixture struct {
	minter        *Minter
	virtual, host *fake.Clientset
	clock         *testingclock.FakeClock
	translator    *translate.Translator
	controller    *engine.Controller

	mutex    sync.Mutex
	requests []authenticationv1.TokenRequest
}

func testTranslator() *translate.Translator {
	return translate.New(translate.Cluster{ID: "one", Name: "demo", HostNamespace: hostNamespace})
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
		translator: testTranslator(),
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
	inside, outside := engine.NewInformers(f.virtual), engine.NewInformers(f.host)
	podResource, secretResource := corev1.SchemeGroupVersion.WithResource("pods"), corev1.SchemeGroupVersion.WithResource("secrets")
	narrow := engine.StoreOptions{Namespace: hostNamespace}
	pods := engine.NewStore(inside, podResource, f.virtual.CoreV1().Pods, engine.StoreOptions{})
	f.minter = New(Options{
		Translator: f.translator, Virtual: f.virtual, VirtualPods: pods,
		Source:      projected.New(projected.Options{Virtual: f.virtual, Informers: inside, Pods: pods, Recorder: &record.FakeRecorder{}, Clock: f.clock}),
		HostPods:    engine.NewStore(outside, podResource, f.host.CoreV1().Pods, narrow),
		HostSecrets: engine.NewStore(outside, secretResource, f.host.CoreV1().Secrets, narrow), Evidence: lineagetest.Certain{},
		Clock: f.clock,
	})
	controller, err := f.minter.Controller(engine.NewMetrics(metrics.NewKubeRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	f.controller = controller
	ctx, cancel := context.WithCancel(t.Context())
	works := &engine.Engine{}
	works.AddInformers(inside.Followed()...)
	works.AddInformers(outside.Followed()...)
	if run {
		works.AddControllers(controller)
	}
	ready, started, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	close(ready)
	go func() {
		defer close(done)
		_ = works.Run(ctx, engine.Stages{Ready: ready, Started: func() { close(started) }, Settle: func(context.Context) error { return nil }})
	}()
	<-started
	awaitWatch(t, f.host, "pods")
	awaitWatch(t, f.host, "secrets")
	awaitWatch(t, f.virtual, "pods")
	t.Cleanup(func() {
		cancel()
		<-done
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

// hostPodOf is the twin of the pod. It comes without a node, so that nobody but the test asks for tokens.
func (f *fixture) hostPodOf(pod *corev1.Pod) *corev1.Pod {
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "host-" + pod.UID}}
	f.translator.Mark(host, translate.IdentityFor(pod), nil, nil)
	return host
}

// pod puts such a pod inside and on the host, in place of one of the same name, both
// on a node, and waits until it is known.
func (f *fixture) pod(t *testing.T, name, uid string, projections ...corev1.ServiceAccountTokenProjection) *corev1.Pod {
	t.Helper()
	return f.bind(t, f.unbound(t, name, uid, projections...), "node-1")
}

// unbound is such a pod without a node.
func (f *fixture) unbound(t *testing.T, name, uid string, projections ...corev1.ServiceAccountTokenProjection) *corev1.Pod {
	t.Helper()
	pod := newPod(name, uid, projections...)
	f.deletePod(t, pod)
	if _, err := f.virtual.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is known", func(context.Context) bool {
		known, found := f.minter.virtualPods.Get(pod.Namespace, name)
		return found && known.UID == pod.UID
	})
	host := f.hostPodOf(pod)
	f.deleteHostPod(t, host)
	if _, err := f.host.CoreV1().Pods(hostNamespace).Create(t.Context(), host, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is known on the host", func(context.Context) bool { return f.minter.isHosted(pod) })
	return pod
}

// bind gives both pods a node, the one on the host first, and waits until that is known.
func (f *fixture) bind(t *testing.T, pod *corev1.Pod, node string) *corev1.Pod {
	t.Helper()
	host, err := f.host.CoreV1().Pods(hostNamespace).Get(t.Context(), f.hostPodOf(pod).Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	host.Spec.NodeName = node
	if _, err := f.host.CoreV1().Pods(hostNamespace).Update(t.Context(), host, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is known on the host", func(context.Context) bool {
		known, found := f.minter.hostPod(pod)
		return found && known.Spec.NodeName == node
	})
	bound := pod.DeepCopy()
	bound.Spec.NodeName = node
	if _, err := f.virtual.CoreV1().Pods(pod.Namespace).Update(t.Context(), bound, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is known", func(context.Context) bool {
		known, found := f.minter.virtualPods.Get(pod.Namespace, pod.Name)
		return found && known.Spec.NodeName == node
	})
	return bound
}

func (f *fixture) deleteHostPod(t *testing.T, host *corev1.Pod) {
	t.Helper()
	if err := f.host.CoreV1().Pods(hostNamespace).Delete(t.Context(), host.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	eventually(t, "the end of the host pod is known", func(context.Context) bool {
		_, found := f.minter.hostPods.Get(hostNamespace, host.Name)
		return !found
	})
}

func (f *fixture) deletePod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := f.virtual.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	eventually(t, "the end of the pod is known", func(context.Context) bool {
		_, found := f.minter.virtualPods.Get(pod.Namespace, pod.Name)
		return !found
	})
}

func (f *fixture) ensure(t *testing.T, pod *corev1.Pod) (string, []string) {
	t.Helper()
	if _, err := f.minter.ensure(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return f.minter.Names(pod, resources.TokenProjections(pod))
}

func (f *fixture) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret, err := f.host.CoreV1().Secrets(hostNamespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// awaitWatch closes the gap between an informer's list and its watch: a stand-in's
// watch does not tell what was deleted before it began.
func awaitWatch(t *testing.T, client *fake.Clientset, resource string) {
	t.Helper()
	eventually(t, "the watch of "+resource, func(context.Context) bool {
		return slices.ContainsFunc(client.Actions(), func(action clienttesting.Action) bool {
			return action.Matches("watch", resource)
		})
	})
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
