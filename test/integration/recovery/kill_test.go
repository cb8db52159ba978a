// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
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
	c := run(t, newVirtualCluster(t))
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
	switch rand.IntN(11) {
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
		_, err = core.Services(space).Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Selector: meta.Labels, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	case 6:
		err = core.Services(space).Delete(ctx, name, metav1.DeleteOptions{})
	case 7, 8:
		_, err = core.Pods(space).Create(ctx, &corev1.Pod{ObjectMeta: meta, Spec: podSpec(name)}, metav1.CreateOptions{})
	case 9:
		_, err = core.Pods(space).Patch(ctx, name, types.MergePatchType, stamp, metav1.PatchOptions{})
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
	core := c.Client.CoreV1()
	pods, err := core.Pods(space).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	services, err := core.Services(space).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	claims, err := core.PersistentVolumeClaims(space).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	configMaps, err := core.ConfigMaps(space).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	inside := map[string]map[string]types.UID{"pods": {}, "services": {}, "persistentvolumeclaims": {}, "configmaps": {}}
	for _, pod := range pods.Items {
		inside["pods"][pod.Name] = pod.UID
	}
	for _, service := range services.Items {
		inside["services"][service.Name] = service.UID
	}
	for _, claim := range claims.Items {
		inside["persistentvolumeclaims"][claim.Name] = claim.UID
	}
	for _, configMap := range configMaps.Items {
		if _, used := inside["pods"][configMap.Name]; used {
			inside["configmaps"][configMap.Name] = configMap.UID
		}
	}
	for resource, wanted := range inside {
		found := c.standsFor(ctx, t, resource)
		for name, uid := range wanted {
			if found[name] != uid {
				return fmt.Errorf("%s %s: the host's stands for UID %q, want %q", resource, name, found[name], uid)
			}
		}
		for name := range found {
			if wanted[name] == "" {
				return fmt.Errorf("%s %s is on the host only", resource, name)
			}
		}
	}
	return nil
}

// standsFor are the UIDs inside that the host's objects of a kind carry, by name.
func (c cluster) standsFor(ctx context.Context, t *testing.T, resource string) map[string]types.UID {
	t.Helper()
	list := &metav1.PartialObjectMetadataList{}
	err := host.Client.CoreV1().RESTClient().Get().Namespace(c.Namespace).Resource(resource).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").
		Param("labelSelector", v1.LabelVirtualNamespace+"="+space).Do(ctx).Into(list)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]types.UID{}
	for _, item := range list.Items {
		// Every pod brings the authority of its API server, too.
		if item.Annotations[v1.AnnotationVirtualKind] == "" && strings.HasPrefix(item.Annotations[v1.AnnotationVirtualName], loadPrefix) {
			found[item.Annotations[v1.AnnotationVirtualName]] = types.UID(item.Annotations[v1.AnnotationVirtualUID])
		}
	}
	return found
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
