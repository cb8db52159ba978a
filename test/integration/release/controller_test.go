// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned/scheme"
	tenancyclient "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/controller/virtualcluster"
	"garret.dev/garret/test/framework"
)

// stallAfter and teardownGrace are longer than a test takes: its clock is pushed on where
// a trouble shall last, or a deletion.
const (
	stallAfter    = 5 * time.Minute
	teardownGrace = 3 * time.Minute
)

// answers is a virtual cluster's API, which the tests play: it is there or not.
type answers struct{ down atomic.Bool }

func (a *answers) Probe(_ context.Context, _ *tenancyv1.VirtualCluster, clusterIP string, authority []byte) error {
	if a.down.Load() {
		return errors.New("connection refused")
	}
	if clusterIP == "" || len(authority) == 0 {
		return errors.New("asked without address or authority")
	}
	return nil
}

// tenant is a namespace for the one virtual cluster of a test, and a controller
// that works on nothing else.
type tenant struct {
	t     *testing.T
	ns    string
	api   *answers
	clock *framework.Clock
}

// newTenant makes a namespace and runs a controller until the test ends.
func newTenant(t *testing.T) tenant {
	t.Helper()
	v := tenant{t: t, ns: namespace(t), api: &answers{}, clock: framework.NewClock(t)}
	ctx, stop := context.WithCancel(context.Background())
	objects, err := metadata.NewForConfig(shared.config)
	if err != nil {
		t.Fatal(err)
	}
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: shared.kube.CoreV1().Events("")})
	controller, err := virtualcluster.New(virtualcluster.Dependencies{
		Host: shared.kube, Metadata: objects, Tenancy: shared.tenancy, Releases: newClient(t), Prober: v.api,
		Informers: tenancyinformers.NewSharedInformerFactoryWithOptions(shared.tenancy, 0, tenancyinformers.WithNamespace(v.ns)),
		Recorder:  broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "garret-controller"}),
		Clock:     v.clock, Metrics: virtualcluster.NewMetrics(metrics.NewKubeRegistry().MustRegister),
	}, virtualcluster.Options{Namespace: tenancyv1.SystemNamespace, ClusterDomain: "cluster.local", Version: "v0.1.0",
		ImageRepository: "garret.dev/garret", K3sImage: "docker.io/rancher/k3s", ImagePullPolicy: "IfNotPresent", StallAfter: stallAfter, TeardownGrace: teardownGrace, Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- controller.Watch(ctx) }()
	go func() { ended <- controller.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Errorf("controller: %v", err)
		}
		broadcaster.Shutdown()
	})
	return v
}

// create makes the virtual cluster.
func (v tenant) create(change func(*tenancyv1.VirtualCluster)) {
	v.t.Helper()
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	if change != nil {
		change(vc)
	}
	if _, err := v.clusters().Create(v.t.Context(), vc, metav1.CreateOptions{}); err != nil {
		v.t.Fatal(err)
	}
}

func (v tenant) clusters() tenancyclient.VirtualClusterInterface {
	return shared.tenancy.TenancyV1().VirtualClusters(v.ns)
}

func (v tenant) get(ctx context.Context) (*tenancyv1.VirtualCluster, error) {
	return v.clusters().Get(ctx, "demo", metav1.GetOptions{})
}

// await returns when the virtual cluster is in a phase, for a reason, and fails the test otherwise.
func (v tenant) await(phase tenancyv1.Phase, reason string) *tenancyv1.VirtualCluster {
	v.t.Helper()
	var found *tenancyv1.VirtualCluster
	framework.Succeeds(v.t, "it is "+string(phase)+" because of "+reason, func(ctx context.Context) (err error) {
		if found, err = v.get(ctx); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(found.Status.Conditions, tenancyv1.ConditionReady)
		if ready == nil || found.Status.Phase != phase || ready.Reason != reason {
			return fmt.Errorf("got %s %+v", found.Status.Phase, ready)
		}
		return nil
	})
	return found
}

// pod lets the kubelet say something about the pod, once it is there.
func (v tenant) pod(change func(*corev1.PodStatus)) {
	v.t.Helper()
	framework.Succeeds(v.t, "the pod has the status", func(ctx context.Context) error {
		pod, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "vc-demo-0", metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(&pod.Status)
		_, err = shared.kube.CoreV1().Pods(v.ns).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		return err
	})
}

func containersReady(ready bool) func(*corev1.PodStatus) {
	return func(status *corev1.PodStatus) {
		status.Phase = corev1.PodRunning
		status.ContainerStatuses = nil
		for _, name := range []string{"k3s", "syncer"} {
			status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{Name: name, Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
		}
	}
}

// authority is the base64 of a certificate in PEM, as the syncer reports it.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// syncer reports as the syncer does.
func (v tenant) syncer(ready metav1.ConditionStatus) {
	v.t.Helper()
	apply := fmt.Sprintf(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"demo","namespace":%q},"status":{"kubernetesVersion":"v1.37.2",
		"certificateAuthorityData":%q,"conditions":[{"type":"ControlPlaneReady","status":"True","reason":"Answering","message":"","lastTransitionTime":"2026-11-23T10:00:00Z"},
		{"type":"SyncerReady","status":%q,"reason":"Syncing","message":"","lastTransitionTime":"2026-11-23T10:00:00Z"}]}}`, v.ns, authority(v.t), ready)
	force := true
	_, err := v.clusters().Patch(v.t.Context(), "demo", types.ApplyPatchType, []byte(apply),
		metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerSyncer, Force: &force}, "status")
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v tenant) makeReady() *tenancyv1.VirtualCluster {
	v.t.Helper()
	v.pod(containersReady(true))
	v.syncer(metav1.ConditionTrue)
	return v.await(tenancyv1.PhaseReady, "Ready")
}

func (v tenant) delete() {
	v.t.Helper()
	if err := v.clusters().Delete(v.t.Context(), "demo", metav1.DeleteOptions{}); err != nil {
		v.t.Fatal(err)
	}
	framework.Succeeds(v.t, "the virtual cluster is gone", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there: %v %w", vc.Status.Conditions, err)
	})
	expectNothing(v.t, v.ns)
}

func (v tenant) event(reason string) {
	v.t.Helper()
	framework.Eventually(v.t, "there is an event "+reason+" on the VirtualCluster", func(ctx context.Context) (bool, error) {
		events, err := shared.kube.CoreV1().Events(v.ns).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=VirtualCluster,reason=" + reason})
		return len(events.Items) > 0, err
	})
}

// hostHolds waits until the status says whether the host holds pods to a level, too.
func (v tenant) hostHolds(status metav1.ConditionStatus, reason string) {
	v.t.Helper()
	framework.Eventually(v.t, "HostPodSecurity is "+string(status), func(ctx context.Context) (bool, error) {
		vc, err := v.get(ctx)
		condition := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionHostPodSecurity)
		return condition != nil && condition.Status == status && condition.Reason == reason, err
	})
}

func (v tenant) statefulSet() *appsv1.StatefulSet {
	v.t.Helper()
	var found *appsv1.StatefulSet
	framework.Succeeds(v.t, "there is the StatefulSet", func(ctx context.Context) (err error) {
		found, err = shared.kube.AppsV1().StatefulSets(v.ns).Get(ctx, releaseName, metav1.GetOptions{})
		return err
	})
	return found
}

func TestFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	created := time.Now()
	v.create(nil)
	v.statefulSet()
	t.Logf("create to StatefulSet: %s", time.Since(created).Round(time.Millisecond))

	// Neither the pod nor the syncer alone makes it ready.
	v.pod(containersReady(false))
	v.await(tenancyv1.PhaseDeploying, "Starting")
	v.api.down.Store(true)
	v.pod(containersReady(true))
	v.syncer(metav1.ConditionTrue)
	v.await(tenancyv1.PhaseDeploying, "APIUnreachable")
	v.api.down.Store(false)
	ready := v.await(tenancyv1.PhaseReady, "Ready")
	service, err := shared.kube.CoreV1().Services(v.ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil || ready.Status.Endpoint != "https://"+service.Spec.ClusterIP+":443" {
		t.Errorf("endpoint is %q, want that of %v (%v)", ready.Status.Endpoint, service, err)
	}
	if ready.Status.Release == nil || ready.Status.Release.Revision != 1 || ready.Status.Release.ChartVersion != "0.1.0" {
		t.Errorf("release is %+v, want revision 1 of 0.1.0", ready.Status.Release)
	}
	if ready.Status.KubernetesVersion != "v1.37.2" || meta.FindStatusCondition(ready.Status.Conditions, tenancyv1.ConditionSyncerReady) == nil {
		t.Errorf("what the syncer wrote is gone: %+v", ready.Status)
	}
	v.event("Ready")
	v.hostHolds(metav1.ConditionTrue, "Enforced")
	label := []byte(`{"metadata":{"labels":{"` + tenancyv1.LabelEnforce + `":null}}}`)
	if _, err := shared.kube.CoreV1().Namespaces().Patch(t.Context(), v.ns, types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	v.hostHolds(metav1.ConditionFalse, "NotEnforced")
	v.await(tenancyv1.PhaseReady, "Ready")

	// The pod dies, and it is told.
	if err := shared.kube.CoreV1().Pods(v.ns).Delete(t.Context(), "vc-demo-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "it is not ready without its pod", func(ctx context.Context) (bool, error) {
		vc, err := v.get(ctx)
		return vc.Status.Phase != tenancyv1.PhaseReady, err
	})
	v.makeReady()
	v.syncer(metav1.ConditionFalse)
	v.await(tenancyv1.PhaseDeploying, "Syncing")
	v.syncer(metav1.ConditionTrue)
	v.await(tenancyv1.PhaseReady, "Ready")
	v.delete()
}

func TestTroubleIsTold(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(nil)
	v.pod(func(status *corev1.PodStatus) {
		status.ContainerStatuses = []corev1.ContainerStatus{{Name: "k3s", Image: "docker.io/rancher/k3s:v1.37.2-k3s1",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}}
	})
	v.await(tenancyv1.PhaseDeploying, "ImagePullBackOff")
	v.event("ImagePullBackOff")
	v.clock.Push(stallAfter)
	failed := v.await(tenancyv1.PhaseFailed, "ImagePullBackOff")
	if stalled := meta.FindStatusCondition(failed.Status.Conditions, tenancyv1.ConditionStalled); stalled == nil || stalled.Status != metav1.ConditionTrue || !strings.Contains(stalled.Message, "no such image") {
		t.Errorf("stalled is %+v, want true with the kubelet's words", stalled)
	}
	// The image turns up.
	v.makeReady()
	v.delete()
}

func TestQuota(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	quotas := shared.kube.CoreV1().ResourceQuotas(v.ns)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}}}
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the quota is in force", func(ctx context.Context) (bool, error) {
		found, err := quotas.Get(ctx, "none", metav1.GetOptions{})
		return len(found.Status.Hard) > 0, err
	})
	v.create(nil)
	v.await(tenancyv1.PhaseDeploying, "QuotaExceeded")
	v.event("QuotaExceeded")
	v.clock.Push(stallAfter)
	v.await(tenancyv1.PhaseFailed, "QuotaExceeded")
	// It can be deleted although its pod never was.
	v.delete()
}

func TestChangesAndDrift(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(nil)
	v.makeReady()

	// A new spec is a new revision, and not ready until the pod runs it.
	framework.Succeeds(t, "the spec is changed", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err != nil {
			return err
		}
		vc.Spec.ControlPlane.Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("300Mi")}
		_, err = v.clusters().Update(ctx, vc, metav1.UpdateOptions{})
		return err
	})
	framework.Succeeds(t, "the new spec is deployed", func(ctx context.Context) error {
		memory := v.statefulSet().Spec.Template.Spec.Containers[0].Resources.Requests.Memory()
		if memory.String() != "300Mi" {
			return fmt.Errorf("the StatefulSet asks for %s, want 300Mi", memory)
		}
		vc, err := v.get(ctx)
		if err == nil && vc.Status.ObservedGeneration == 1 {
			err = errors.New("the new spec is not observed")
		}
		return err
	})
	framework.Succeeds(t, "the pod is of the new spec", func(ctx context.Context) error {
		pod, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "vc-demo-0", metav1.GetOptions{})
		if err == nil && pod.Spec.Containers[0].Resources.Requests.Memory().String() != "300Mi" {
			err = errors.New("the old pod still stands")
		}
		return err
	})
	ready := v.makeReady()
	if ready.Status.Release.Revision != 2 || ready.Status.ObservedGeneration != 2 {
		t.Errorf("revision %d at generation %d, want 2 at 2", ready.Status.Release.Revision, ready.Status.ObservedGeneration)
	}

	// What somebody deletes or changes comes back without one.
	if err := shared.kube.RbacV1().RoleBindings(v.ns).Delete(t.Context(), releaseName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	role, err := shared.kube.RbacV1().Roles(v.ns).Get(t.Context(), releaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	role.Rules[0].Verbs = []string{"*"}
	if _, err := shared.kube.RbacV1().Roles(v.ns).Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Succeeds(t, "role and binding are as they were", func(ctx context.Context) error {
		role, err := shared.kube.RbacV1().Roles(v.ns).Get(ctx, releaseName, metav1.GetOptions{})
		if err == nil && role.Rules[0].Verbs[0] == "*" {
			err = errors.New("the role is still changed")
		}
		_, missing := shared.kube.RbacV1().RoleBindings(v.ns).Get(ctx, releaseName, metav1.GetOptions{})
		return errors.Join(err, missing)
	})
	if vc, err := v.get(t.Context()); err != nil || vc.Status.Release.Revision != 2 {
		t.Errorf("revision %d (%v), want still 2", vc.Status.Release.Revision, err)
	}
	v.delete()
}

func TestNameTaken(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	services := shared.kube.CoreV1().Services(v.ns)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: releaseName}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	if _, err := services.Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	v.create(nil)
	v.await(tenancyv1.PhaseFailed, "NameTaken")
	if err := v.clusters().Delete(t.Context(), "demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Succeeds(t, "the virtual cluster is gone", func(ctx context.Context) error {
		if _, err := v.get(ctx); !apierrors.IsNotFound(err) {
			return fmt.Errorf("got %w, want NotFound", err)
		}
		return nil
	})
	if _, err := services.Get(t.Context(), releaseName, metav1.GetOptions{}); err != nil {
		t.Errorf("somebody else's Service: %v", err)
	}
}
