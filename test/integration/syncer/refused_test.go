// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// restrain bounds what the host namespace may have.
func (s *side) restrain(hard corev1.ResourceList) {
	s.t.Helper()
	_, err := s.host.CoreV1().ResourceQuotas(s.hostNamespace).Create(s.t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(s.t, "the quota is in force", func(ctx context.Context) (bool, error) {
		quota, err := s.host.CoreV1().ResourceQuotas(s.hostNamespace).Get(ctx, "small", metav1.GetOptions{})
		return err == nil && len(quota.Status.Hard) == len(hard), err
	})
	s.t.Cleanup(s.clear)
}

// clear deletes the pods of the test, which would come to the host of the next one.
func (s *side) clear() {
	ctx, zero := context.Background(), metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	s.must(s.virtual.CoreV1().Pods(s.namespace).DeleteCollection(ctx, zero, metav1.ListOptions{}))
	s.must(s.host.CoreV1().Pods(s.hostNamespace).DeleteCollection(ctx, zero, s.ofTest()))
}

// stored is a pod with a container of so much storage.
func stored(size string) corev1.PodSpec {
	list := corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(size)}
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1", Resources: corev1.ResourceRequirements{Requests: list}}}}
}

// refusedCreates counts what the API server of the host refused to create, whoever asked.
func (s *side) refusedCreates(resource string) int {
	s.t.Helper()
	text, err := s.host.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(s.t.Context())
	s.must(err)
	families, err := testutil.TextToMetricFamilies(bytes.NewReader(text))
	s.must(err)
	count := 0
	for _, metric := range families["apiserver_request_total"].GetMetric() {
		labels := map[string]string{}
		for _, pair := range metric.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		if labels["resource"] == resource && labels["verb"] == "POST" && labels["code"] == "403" && labels["subresource"] == "" {
			count += int(metric.GetCounter().GetValue())
		}
	}
	return count
}

// ofTest selects what lies on the host for the virtual namespace of the test. Those of
// earlier tests are inside still.
func (s *side) ofTest() metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: tenancyv1.LabelVirtualNamespace + "=" + s.namespace}
}

// carriedPods are the pods of the test on the host.
func (s *side) carriedPods() []corev1.Pod {
	s.t.Helper()
	pods, err := s.host.CoreV1().Pods(s.hostNamespace).List(s.t.Context(), s.ofTest())
	s.must(err)
	return pods.Items
}

// carriedSecrets are the secrets of the test on the host.
func (s *side) carriedSecrets() []corev1.Secret {
	s.t.Helper()
	secrets, err := s.host.CoreV1().Secrets(s.hostNamespace).List(s.t.Context(), s.ofTest())
	s.must(err)
	return secrets.Items
}

// TestFullQuotaIsLeftAlone has ten times more pods inside than the host's quota bears. The host
// is asked seldom, nothing stays there of what it refused, and each place that
// becomes free is taken soon.
func TestFullQuotaIsLeftAlone(t *testing.T) {
	const places, pods = 5, 60
	s := setUp(t)
	ctx := t.Context()
	s.restrain(corev1.ResourceList{corev1.ResourceRequestsEphemeralStorage: resource.MustParse(fmt.Sprint(places, "Gi"))})
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To[int64](0),
		Containers:                    stored("1Gi").Containers,
	}
	before := s.refusedCreates("pods")
	made := map[string]*corev1.Pod{}
	for i := range pods {
		pod := s.createPod(fmt.Sprintf("web-%02d", i), spec)
		made[s.translator.HostName(s.namespace, pod.Name)] = pod
	}
	framework.Eventually(t, "all places are taken", func(context.Context) (bool, error) { return len(s.carriedPods()) == places, nil })
	on := map[string]bool{}
	for _, pod := range s.carriedPods() {
		on[pod.Name] = true
	}
	for name, pod := range made {
		if !on[name] {
			s.refused(pod, `pods "`+pod.Name+`" is forbidden: exceeded quota: small, requested: requests.ephemeral-storage=1Gi`)
		}
	}
	asked := s.refusedCreates("pods") - before
	t.Logf("%d refused creates until all pods were told", asked)
	if asked > 25 {
		t.Errorf("the host refused %d creates, want one for each worker, and a few later", asked)
	}
	begun, before := time.Now(), s.refusedCreates("pods")
	time.Sleep(20 * time.Second)
	asked = s.refusedCreates("pods") - before
	t.Logf("%d refused creates in %s after that", asked, time.Since(begun).Round(time.Second))
	if asked > 6 {
		t.Errorf("the host refused %d creates while nothing happened, want few", asked)
	}
	if secrets := s.carriedSecrets(); len(secrets) != places {
		t.Errorf("got %d secrets on the host for %d pods, want one each", len(secrets), places)
	}
	// One goes, and one comes.
	before = s.refusedCreates("pods")
	for name := range on {
		s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(ctx, made[name].Name, metav1.DeleteOptions{}))
		delete(on, name)
		break
	}
	begun = time.Now()
	var next *corev1.Pod
	framework.Eventually(t, "the place that is free is taken", func(context.Context) (bool, error) {
		for _, pod := range s.carriedPods() {
			if !on[pod.Name] && made[pod.Name] != nil && pod.DeletionTimestamp == nil {
				next = &pod
			}
		}
		return next != nil && len(s.carriedPods()) == places, nil
	})
	t.Logf("taken after %s, by %s", time.Since(begun).Round(10*time.Millisecond), made[next.Name].Name)
	time.Sleep(5 * time.Second)
	if asked := s.refusedCreates("pods") - before; asked > 10 || len(s.carriedPods()) != places {
		t.Errorf("got %d pods on the host, after %d refused creates; want %d after few", len(s.carriedPods()), asked, places)
	}
	if secrets := s.carriedSecrets(); len(secrets) != places {
		t.Errorf("got %d secrets on the host for %d pods, want one each", len(secrets), places)
	}
}

// TestFullQuotaHoldsUpNothingElse has pods wait for a quota on something that others do
// not take, and beside them pods that the host refuses by a rule, until it is lifted.
func TestFullQuotaHoldsUpNothingElse(t *testing.T) {
	s := setUp(t)
	s.hold(tenancyv1.PodSecurityPrivileged)
	s.restrain(corev1.ResourceList{corev1.ResourceRequestsEphemeralStorage: resource.MustParse("1500Mi")})
	s.enforce("baseline", corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	var waiting []*corev1.Pod
	for i := range 20 {
		waiting = append(waiting, s.createPod(fmt.Sprint("large-", i), stored("1Gi")))
	}
	framework.Eventually(t, "the quota is taken", func(context.Context) (bool, error) { return len(s.carriedPods()) == 1, nil })
	for _, pod := range waiting {
		if pod.Name != s.virtualNameOf(&s.carriedPods()[0]) {
			s.refused(pod, "exceeded quota: small")
		}
	}
	s.createPod("small", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	s.hostPod("small")
	loose := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}}
	for _, name := range []string{"loose-1", "loose-2", "loose-3"} {
		s.refused(s.createPod(name, loose), `violates PodSecurity "baseline:latest"`)
	}
	_, err := s.virtual.CoreV1().Services(s.namespace).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "a service is on the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().Services(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "web"), metav1.GetOptions{})
		return err == nil, nil
	})
	_, err = s.host.CoreV1().Namespaces().Patch(t.Context(), s.hostNamespace, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`), metav1.PatchOptions{})
	s.must(err)
	for _, name := range []string{"loose-1", "loose-2", "loose-3"} {
		s.hostPod(name)
	}
}

func (s *side) virtualNameOf(host *corev1.Pod) string {
	return host.Annotations[tenancyv1.AnnotationVirtualName]
}

// TestGatedPodBringsNothing wants nothing on the host of what only a pod that waits
// inside refers to, and everything with it once it comes.
func TestGatedPodBringsNothing(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.virtual.CoreV1().ConfigMaps(s.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"A": "1"}}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.virtual.CoreV1().Secrets(s.namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"B": "2"}}, metav1.CreateOptions{})
	s.must(err)
	spec := podSpec()
	spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.org/wait"}}
	s.createPod("gated", spec)
	s.createPod("marker", corev1.PodSpec{EnableServiceLinks: ptr.To(false), AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	s.hostPod("marker")
	configMaps := func() int {
		list, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).List(ctx, s.ofTest())
		s.must(err)
		return len(list.Items)
	}
	if got, want := [2]int{configMaps(), len(s.carriedSecrets())}, [2]int{}; got != want {
		t.Errorf("configmaps and secrets on the host: got %v, want none", got)
	}
	framework.Eventually(t, "the gate is taken away", func(ctx context.Context) (bool, error) {
		pod := s.virtualPod("gated")
		pod.Spec.SchedulingGates = nil
		_, err := s.virtual.CoreV1().Pods(s.namespace).Update(ctx, pod, metav1.UpdateOptions{})
		return err == nil, nil
	})
	s.hostPod("gated")
	// The pod's own, and the environment and the authority, or the tokens.
	if got, want := [2]int{configMaps(), len(s.carriedSecrets())}, [2]int{3, 2}; got != want {
		t.Errorf("configmaps and secrets on the host when the pod begins: got %v, want %v", got, want)
	}
}

// TestServicesBeyondAnEnvironment has more services inside than a container can be told
// of. Pods start all the same, and one that asks for them is told what it misses.
func TestServicesBeyondAnEnvironment(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.off = []string{tenancyv1.ResourceServices, tenancyv1.ResourceEndpointSlices} // which the host would take its time with
	s.stop()
	s.start()
	for i := range 40 {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("a-name-that-is-as-long-as-that-of-a-service-may-be-and-as-%04d", i)}}
		for port := range 100 {
			service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("port-", port), Port: int32(port + 1)})
		}
		_, err := s.virtual.CoreV1().Services(s.namespace).Create(ctx, service, metav1.CreateOptions{})
		s.must(err)
	}
	containers := []corev1.Container{{Name: "app", Image: "busybox:1"}}
	s.createPod("without", corev1.PodSpec{EnableServiceLinks: ptr.To(false), Containers: containers})
	host := s.hostPod("without")
	if from := host.Spec.Containers[0].EnvFrom; len(from) > 0 {
		t.Errorf("environment of a pod without service links: got %v, want none", from)
	}
	linked := s.createPod("linked", corev1.PodSpec{Containers: containers})
	if message := s.awaitEvent(linked.UID, "ServiceLinksTruncated"); !strings.Contains(message, "spec.enableServiceLinks to false") {
		t.Errorf("event: got %q, want how to do without", message)
	}
	host = s.hostPod("linked")
	environment, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).Get(ctx, host.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name, metav1.GetOptions{})
	s.must(err)
	if len(environment.Data) < 1000 || environment.Data["KUBERNETES_SERVICE_HOST"] == "" {
		t.Errorf("environment: got %d variables, want as many as fit", len(environment.Data))
	}

	// One that does without, and has variables of its own, still finds the API server.
	source := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "own"}, Optional: ptr.To(true)}}
	containers[0].EnvFrom = []corev1.EnvFromSource{source}
	s.createPod("own", corev1.PodSpec{EnableServiceLinks: ptr.To(false), Containers: containers})
	host = s.hostPod("own")
	from := host.Spec.Containers[0].EnvFrom
	if len(from) != 2 || from[1].ConfigMapRef.Name != s.translator.HostName(s.namespace, "own") || len(host.Spec.Containers[0].Env) > 0 {
		t.Fatalf("environment without service links: got %v and %v, want the API server's before the container's own", from, host.Spec.Containers[0].Env)
	}
	environment, err = s.host.CoreV1().ConfigMaps(s.hostNamespace).Get(ctx, from[0].ConfigMapRef.Name, metav1.GetOptions{})
	s.must(err)
	if len(environment.Data) != 8 || environment.Data["KUBERNETES_SERVICE_HOST"] != s.translator.Cluster().ServiceIP {
		t.Errorf("environment without service links: got %v, want the variables of the API server", environment.Data)
	}
}
