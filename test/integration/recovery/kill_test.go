// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const (
	// killRounds is how often each program is killed.
	killRounds = 25
	// killPause is the longest time between two kills.
	killPause = 300 * time.Millisecond
	// loaders change objects inside at the same time.
	loaders = 3
	// loadPrefix begins the names of what the load makes.
	loadPrefix = "load-"
	// loadNames is how many names the load inside uses again and again.
	loadNames = 8
)

// TestKilledAtRandomMoments kills each program of Garret many times, while objects
// of every kind are created, changed and deleted, and compares both sides at the end.
func TestKilledAtRandomMoments(t *testing.T) {
	object := newVirtualCluster(t)
	object.Spec.Syncer.ExtraArgs = []string{"--sync-resources=poddisruptionbudgets"}
	c := run(t, object)
	asked := &askedFor{claims: map[types.UID]bool{}}
	lost := watchClaims(t, c, asked)
	churned := host.NewNamespace(t, "churn-")
	load, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range loaders {
		group.Go(func() { c.load(load, asked) })
	}
	group.Go(func() { churn(load, churned) })

	programs := []struct {
		name   string
		kill   func()
		revive func()
	}{
		{"control plane", c.ControlPlane.Kill, func() { c.StartControlPlane(t) }},
		{"syncer", c.Syncer.Kill, func() {}}, // its supervisor starts it again
		{"garret-apiserver", host.garret.Program.Kill, func() { start(t, host.garret.Program) }},
		{"garret-controller", host.controller.Kill, func() { start(t, host.controller) }},
	}
	for range killRounds {
		rand.Shuffle(len(programs), func(i, j int) { programs[i], programs[j] = programs[j], programs[i] })
		for _, program := range programs {
			time.Sleep(rand.N(killPause))
			program.kill()
			program.revive()
		}
	}
	stop()
	group.Wait()
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
	framework.Succeeds(t, "both sides agree", func(ctx context.Context) error { return c.agree(ctx, t) })
	framework.Succeeds(t, "the host has what the virtual clusters need, and no more", func(ctx context.Context) error { return deployedAlone(ctx, churned) })
	for _, claim := range lost() {
		t.Errorf("the host claim of %s was deleted, and nobody deleted the claim inside", claim)
	}
	t.Logf("%d changes inside and %d deletions of claims were asked for", asked.changes, len(asked.claims))
}

func start(t *testing.T, program *framework.Program) {
	t.Helper()
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
}

// askedFor is what the load asked for.
type askedFor struct {
	mu      sync.Mutex
	changes int
	// claims are the UIDs of those whose deletion was asked for, answered or not.
	claims map[types.UID]bool
}

func (a *askedFor) deletion(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.claims[uid] = true
}

// watchClaims returns a function that names the claims whose host claims went
// although nobody asked for it.
func watchClaims(t *testing.T, c cluster, asked *askedFor) func() []string {
	t.Helper()
	var mu sync.Mutex
	gone := map[types.UID]string{}
	source := cache.NewListWatchFromClient(host.Client.CoreV1().RESTClient(), "persistentvolumeclaims", c.Namespace, fields.Everything())
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: source, ObjectType: &corev1.PersistentVolumeClaim{},
		Handler: cache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
			claim, ok := object.(*corev1.PersistentVolumeClaim)
			if uid := claim.Annotations[v1.AnnotationVirtualUID]; ok && uid != "" {
				mu.Lock()
				gone[types.UID(uid)] = claim.Annotations[v1.AnnotationVirtualName]
				mu.Unlock()
			}
		}}})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go informer.RunWithContext(ctx)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		asked.mu.Lock()
		defer asked.mu.Unlock()
		var unasked []string
		for uid, name := range gone {
			if !asked.claims[uid] {
				unasked = append(unasked, name)
			}
		}
		return unasked
	}
}

// load changes objects inside until the context ends. Most of it fails while
// something is down, as it would for anybody.
func (c cluster) load(ctx context.Context, asked *askedFor) {
	for ctx.Err() == nil {
		name := fmt.Sprint(loadPrefix, rand.IntN(loadNames))
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := c.change(limited, name, asked)
		cancel()
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		asked.mu.Lock()
		asked.changes++
		asked.mu.Unlock()
	}
}

// change does one thing to an object of the name.
func (c cluster) change(ctx context.Context, name string, asked *askedFor) error {
	core := c.Client.CoreV1()
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}
	stamp := []byte(fmt.Sprintf(`{"metadata":{"labels":{"stamp":"%d"}}}`, rand.Int32()))
	forced := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	var err error
	policy := c.Client.PolicyV1().PodDisruptionBudgets(space)
	switch rand.IntN(16) {
	case 0, 1:
		_, err = core.PersistentVolumeClaims(space).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: claimSpec()}, metav1.CreateOptions{})
	case 2:
		var found *corev1.PersistentVolumeClaim
		if found, err = core.PersistentVolumeClaims(space).Get(ctx, name, metav1.GetOptions{}); err == nil {
			asked.deletion(found.UID)
			err = core.PersistentVolumeClaims(space).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found.UID}})
		}
	case 3:
		_, err = core.ConfigMaps(space).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"name": name}}, metav1.CreateOptions{})
	case 4:
		_, err = core.ConfigMaps(space).Patch(ctx, name, types.MergePatchType, []byte(fmt.Sprintf(`{"data":{"stamp":"%d"}}`, rand.Int32())), metav1.PatchOptions{})
	case 5:
		// One without a selector has the endpoints that somebody writes.
		_, err = core.Services(space).Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	case 6:
		err = core.Services(space).Delete(ctx, name, metav1.DeleteOptions{})
	case 7, 8:
		_, err = core.Pods(space).Create(ctx, &corev1.Pod{ObjectMeta: meta, Spec: podSpec(name)}, metav1.CreateOptions{})
	case 9:
		_, err = core.Pods(space).Patch(ctx, name, types.MergePatchType, stamp, metav1.PatchOptions{})
	case 10:
		_, err = core.Secrets(space).Create(ctx, &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"name": name}}, metav1.CreateOptions{})
	case 11:
		_, err = core.Secrets(space).Patch(ctx, name, types.MergePatchType, []byte(fmt.Sprintf(`{"stringData":{"stamp":"%d"}}`, rand.Int32())), metav1.PatchOptions{})
	case 12:
		slice := &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}}}
		slice.Labels = map[string]string{discoveryv1.LabelServiceName: name}
		_, err = c.Client.DiscoveryV1().EndpointSlices(space).Create(ctx, slice, metav1.CreateOptions{})
	case 13:
		_, err = policy.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: meta, Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: meta.Labels}}}, metav1.CreateOptions{})
	case 14:
		err = policy.Delete(ctx, name, metav1.DeleteOptions{})
	default:
		err = core.Pods(space).Delete(ctx, name, forced)
	}
	return err
}

// churn creates and deletes virtual clusters until the context ends.
func churn(ctx context.Context, namespace string) {
	clusters := host.garret.Clients.TenancyV1().VirtualClusters(namespace)
	for ctx.Err() == nil {
		name := fmt.Sprintf("churn-%d", rand.IntN(3))
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		if rand.IntN(2) == 0 {
			_, _ = clusters.Create(limited, &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		} else {
			_ = clusters.Delete(limited, name, metav1.DeleteOptions{})
		}
		cancel()
		time.Sleep(100 * time.Millisecond)
	}
}

// agree is an error while a kind of object is not on the host as it is inside.
func (c cluster) agree(ctx context.Context, t *testing.T) error {
	inside := map[string]map[string]types.UID{}
	for _, kind := range twins() {
		found, err := uids(ctx, c.Client, kind, space, "", func(object metav1.PartialObjectMetadata) (string, types.UID) { return object.Name, object.UID })
		if err != nil {
			return err
		}
		inside[kind.Resource] = found
	}
	// These are carried for others.
	for resource, user := range map[string]string{"configmaps": "pods", "secrets": "pods", "endpointslices": "services"} {
		maps.DeleteFunc(inside[resource], func(name string, _ types.UID) bool {
			_, used := inside[user][name]
			return !used
		})
	}
	for _, kind := range twins() {
		onHost, err := uids(ctx, host.Client, kind, c.Namespace, v1.LabelVirtualNamespace+"="+space, func(object metav1.PartialObjectMetadata) (string, types.UID) {
			if object.Annotations[v1.AnnotationVirtualKind] != "" {
				return "", ""
			}
			return object.Annotations[v1.AnnotationVirtualName], types.UID(object.Annotations[v1.AnnotationVirtualUID])
		})
		if err != nil {
			return err
		}
		if wanted := inside[kind.Resource]; !maps.Equal(onHost, wanted) {
			return fmt.Errorf("%s: the host's stand for %v, want %v", kind.Resource, onHost, wanted)
		}
	}
	return nil
}

// twins are all kinds that have twins in the namespace on the host.
func twins() []v1.SyncedKind {
	return slices.DeleteFunc(v1.Catalogue(), func(kind v1.SyncedKind) bool { return kind.Direction != v1.ToHost || !kind.Namespaced })
}

// uids are the UIDs of the load's objects of a kind by their names, as the function
// says them.
func uids(ctx context.Context, client *kubernetes.Clientset, kind v1.SyncedKind, namespace, selector string,
	identity func(metav1.PartialObjectMetadata) (string, types.UID)) (map[string]types.UID, error) {
	items, err := metadataOf(ctx, client, kind, namespace, selector)
	if err != nil {
		return nil, err
	}
	found := map[string]types.UID{}
	for _, item := range items {
		// Every pod brings the authority of its API server, too.
		if name, uid := identity(item); strings.HasPrefix(name, loadPrefix) {
			found[name] = uid
		}
	}
	return found, nil
}

// deployedAlone is an error unless every virtual cluster has its release, and
// nothing is left of any other.
func deployedAlone(ctx context.Context, namespace string) error {
	clusters, err := host.garret.Clients.TenancyV1().VirtualClusters(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, vc := range clusters.Items {
		there[vc.Name] = true
		if vc.DeletionTimestamp != nil {
			return fmt.Errorf("%s is still being deleted", vc.Name)
		}
		if _, err := host.Client.AppsV1().StatefulSets(namespace).Get(ctx, v1.ReleaseName(vc.Name), metav1.GetOptions{}); err != nil {
			return err
		}
	}
	sets, err := host.Client.AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, set := range sets.Items {
		if !there[set.Labels[v1.LabelVirtualCluster]] {
			return fmt.Errorf("the StatefulSet %s is left over", set.Name)
		}
	}
	claims, err := host.Client.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	for _, claim := range claims.Items {
		if !there[claim.Labels[v1.LabelVirtualCluster]] {
			return fmt.Errorf("the claim %s is left over", claim.Name)
		}
	}
	return nil
}
