// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
)

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
		_, found := f.minter.secrets.Get(hostNamespace, f.minter.secretName("default", "web"))
		return found
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
			cached, found := f.minter.secrets.Get(hostNamespace, name)
			return found && string(cached.Data[keys[0]]) == string(f.secret(t, name).Data[keys[0]])
		})
		got, err := f.minter.Reconcile(t.Context(), types.NamespacedName{Namespace: "default", Name: "web"})
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

	pod := newPod("web", "uid", projection("", nil))
	host := first.hostPodOf(pod)
	pod.Spec.NodeName, host.Spec.NodeName = "node-1", "node-1"
	f := startWith(t, true, []runtime.Object{pod}, []runtime.Object{left, host})
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
		{"gone from the host", func(t *testing.T, f *fixture, pod *corev1.Pod) { f.deleteHostPod(t, f.hostPodOf(pod)) }},
		{"another of the same name", func(t *testing.T, f *fixture, _ *corev1.Pod) { f.pod(t, "web", "uid-2") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := start(t)
			pod := f.pod(t, "web", "uid", projection("", nil))
			name, _ := f.ensure(t, pod)
			test.end(t, f, pod)
			f.controller.Enqueue(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
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
	translator := testTranslator()
	foreign := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: hostNamespace, Name: translator.DerivedName(purpose, "default", "web")},
		Data:       map[string][]byte{"key": []byte("theirs")},
	}
	f := start(t, foreign)
	pod := f.pod(t, "web", "uid", projection("", nil))
	if _, err := f.minter.ensure(t.Context(), pod); err == nil {
		t.Error("got no error for a name that is taken")
	} else if strings.Contains(err.Error(), "secret-1") {
		t.Errorf("the error tells the token: %v", err)
	}
	if got := string(f.secret(t, foreign.Name).Data["key"]); got != "theirs" {
		t.Errorf("got %q in somebody else's Secret", got)
	}
}

// TestGoodSecretStays has the cache be late: a pod may have mounted the Secret already.
func TestGoodSecretStays(t *testing.T) {
	f := startWith(t, false, nil, nil)
	pod := f.pod(t, "web", "uid", projection("", nil))
	name, keys := f.ensure(t, pod)
	made := f.secret(t, name)
	anew := f.minter.secretFor(pod, name)
	anew.Data = made.Data
	if err := f.minter.replace(t.Context(), pod, anew); err != nil {
		t.Fatal(err)
	}
	if found := f.secret(t, name); found.UID != made.UID {
		t.Error("a good Secret was made anew")
	}
	f.clock.Step(time.Hour)
	if err := f.minter.replace(t.Context(), pod, anew); err != nil {
		t.Fatal(err)
	}
	if found := f.secret(t, name); found.UID == made.UID || len(found.Data[keys[0]]) == 0 {
		t.Error("a Secret with tokens that have ended is still there")
	}
}

// TestHostPodIsTheOwner wants the garbage collector of the host to take the Secret along,
// from the start and after the host pod was made again.
func TestHostPodIsTheOwner(t *testing.T) {
	f := startWith(t, false, nil, nil)
	pod := f.pod(t, "web", "uid", projection("", nil))
	name, _ := f.ensure(t, pod)
	owned := func(by types.UID) {
		t.Helper()
		if owners := f.secret(t, name).OwnerReferences; len(owners) != 1 || owners[0].Kind != "Pod" || owners[0].UID != by {
			t.Errorf("owners: got %v, want the host pod %s alone", owners, by)
		}
	}
	owned("host-uid")
	again := f.hostPodOf(pod)
	f.deleteHostPod(t, again)
	again.UID = "host-again"
	if _, err := f.host.CoreV1().Pods(hostNamespace).Create(t.Context(), again, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host pod is known", func(context.Context) bool { return f.minter.isHosted(pod) })
	f.ensure(t, pod)
	owned("host-again")
}

// TestNothingForWhatTheHostHasNot wants no Secret for a pod that is only inside.
func TestNothingForWhatTheHostHasNot(t *testing.T) {
	f := startWith(t, false, []runtime.Object{newPod("web", "uid", projection("", nil))}, nil)
	if _, err := f.minter.Reconcile(t.Context(), types.NamespacedName{Namespace: "default", Name: "web"}); err != nil {
		t.Fatal(err)
	}
	secrets, err := f.host.CoreV1().Secrets(hostNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(secrets.Items) > 0 || len(f.asked()) > 0 {
		t.Errorf("got %d secrets and %d tokens, %v; want none", len(secrets.Items), len(f.asked()), err)
	}
}

// TestDeletedOnTheHost has somebody delete the Secret of a running pod.
func TestDeletedOnTheHost(t *testing.T) {
	f := start(t)
	pod := f.pod(t, "web", "uid", projection("", nil))
	name, keys := f.ensure(t, pod)
	uid := f.secret(t, name).UID
	if err := f.host.CoreV1().Secrets(hostNamespace).Delete(t.Context(), name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the secret is there again", func(ctx context.Context) bool {
		found, err := f.host.CoreV1().Secrets(hostNamespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && len(found.Data[keys[0]]) > 0
	})
}

// TestTokensFollowTheNode wants an empty Secret before both pods have a node, and
// other tokens in place of those that do not name it.
func TestTokensFollowTheNode(t *testing.T) {
	f := startWith(t, false, nil, nil)
	pod := f.unbound(t, "web", "uid", projection("", nil))
	pass := func(pod *corev1.Pod, tokens int, node string) {
		t.Helper()
		if _, err := f.minter.Reconcile(t.Context(), engine.KeyOf(pod)); err != nil {
			t.Fatal(err)
		}
		name, keys := f.minter.Names(pod, []corev1.ServiceAccountTokenProjection{projection("", nil)})
		secret := f.secret(t, name)
		if got := len(f.asked()); got != tokens || (len(secret.Data[keys[0]]) > 0) != (tokens > 0) || secret.Annotations[annotationNode] != node {
			t.Errorf("asked for %d tokens on node %q, want %d on %q", got, secret.Annotations[annotationNode], tokens, node)
		}
		eventually(t, "the secret is known", func(context.Context) bool {
			known, found := f.minter.secrets.Get(hostNamespace, name)
			return found && known.Annotations[annotationNode] == node
		})
		if f.minter.Missing(pod) {
			t.Error("tokens are missing")
		}
	}
	pass(pod, 0, "")
	pod = f.bind(t, pod, "node-1")
	if !f.minter.Missing(pod) {
		t.Error("no tokens are missing, want those that name the node")
	}
	pass(pod, 1, "node-1")
	pass(pod, 1, "node-1")
	// As an earlier release left them.
	name, _ := f.minter.Names(pod, nil)
	secret := f.secret(t, name)
	delete(secret.Annotations, annotationNode)
	if _, err := f.host.CoreV1().Secrets(hostNamespace).Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that is known", func(context.Context) bool { return f.minter.Missing(pod) })
	pass(pod, 2, "node-1")
}

// TestAccountIsMissing wants the pod to be told why it does not start.
func TestAccountIsMissing(t *testing.T) {
	f := startWith(t, false, nil, nil)
	f.virtual.PrependReactor("create", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewNotFound(corev1.Resource("serviceaccounts"), "robot")
	})
	pod := f.pod(t, "web", "uid", projection("", nil))
	_, err := f.minter.Reconcile(t.Context(), engine.KeyOf(pod))
	if !engine.IsRefusal(err) || !strings.Contains(err.Error(), "ServiceAccount \"robot\" is not found") {
		t.Errorf("got %v, want a refusal that names the ServiceAccount", err)
	}
}
