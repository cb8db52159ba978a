// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// podSpec is a pod with references.
func podSpec() corev1.PodSpec {
	return corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To[int64](7),
		Containers: []corev1.Container{{
			Name: "app", Image: "busybox:1", EnvFrom: []corev1.EnvFromSource{
				{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
				{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "login"}}},
			},
		}},
	}
}

func (s *side) createPod(name string, spec corev1.PodSpec) *corev1.Pod {
	s.t.Helper()
	pod, err := s.virtual.CoreV1().Pods(s.namespace).Create(s.t.Context(),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	return pod
}

func (s *side) virtualPod(name string) *corev1.Pod {
	pod, err := s.virtual.CoreV1().Pods(s.namespace).Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return &corev1.Pod{}
	}
	return pod
}

// gone waits until the virtual pod of this UID is no more.
func (s *side) gone(pod *corev1.Pod) {
	s.t.Helper()
	framework.Eventually(s.t, "pod "+pod.Name+" is gone", func(ctx context.Context) (bool, error) {
		found, err := s.virtual.CoreV1().Pods(s.namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err) || err == nil && found.UID != pod.UID, nil
	})
}

func TestPodLife(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.virtual.CoreV1().ConfigMaps(s.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"A": "1"}}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.virtual.CoreV1().Secrets(s.namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"B": "2"}}, metav1.CreateOptions{})
	s.must(err)
	virtual := s.createPod("web", podSpec())

	host := s.hostPod("web")
	if want := s.translator.HostName(s.namespace, "settings"); host.Spec.Containers[0].EnvFrom[1].ConfigMapRef.Name != want {
		t.Errorf("configmap of the host pod: got %v, want %s", host.Spec.Containers[0].EnvFrom, want)
	}
	var configMap *corev1.ConfigMap
	framework.Eventually(t, "the pod's settings are on the host", func(ctx context.Context) (bool, error) {
		configMap, err = s.host.CoreV1().ConfigMaps(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "settings"), metav1.GetOptions{})
		return err == nil && configMap.Data["A"] == "1", nil
	})
	var secret *corev1.Secret
	framework.Eventually(t, "the pod's login is on the host", func(ctx context.Context) (bool, error) {
		secret, err = s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "login"), metav1.GetOptions{})
		return err == nil && string(secret.Data["B"]) == "2", nil
	})

	node := "node-" + s.namespace
	s.schedule(host, node)
	framework.Eventually(t, "the virtual pod runs", func(context.Context) (bool, error) {
		pod := s.virtualPod("web")
		return pod.Status.Phase == corev1.PodRunning && pod.Spec.NodeName == node && pod.Status.PodIP == "10.0.0.7" &&
			len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].Ready, nil
	})
	inside, err := s.virtual.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	s.must(err)
	if got := inside.Status.DaemonEndpoints.KubeletEndpoint.Port; got != 10250 || inside.Status.Addresses[0].Address != "127.0.0.1" {
		t.Errorf("node inside: got port %d at %v, want the syncer's", got, inside.Status.Addresses)
	}

	// A change inside is carried over, and a change on the host is put back.
	_, err = s.virtual.CoreV1().ConfigMaps(s.namespace).Patch(ctx, "settings", types.MergePatchType, []byte(`{"data":{"A":"3"}}`), metav1.PatchOptions{})
	s.must(err)
	_, err = s.host.CoreV1().Secrets(s.hostNamespace).Patch(ctx, secret.Name, types.MergePatchType, []byte(`{"data":{"B":"eA=="}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the configmap is changed and the secret put back", func(ctx context.Context) (bool, error) {
		configMap, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).Get(ctx, configMap.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		secret, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, secret.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return configMap.Data["A"] == "3" && string(secret.Data["B"]) == "2", nil
	})
	_, err = s.virtual.CoreV1().Pods(s.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"front"}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the label is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Labels["tenant.garret.dev/tier"] == "front", nil
	})

	// The deletion goes to the host with its grace period; the host confirms.
	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(ctx, "web", metav1.DeleteOptions{}))
	framework.Eventually(t, "the host pod ends with the pod's grace period", func(context.Context) (bool, error) {
		host := s.hostPod("web")
		return host.DeletionTimestamp != nil && *host.DeletionGracePeriodSeconds == 7, nil
	})
	if s.virtualPod("web").UID != virtual.UID {
		t.Error("the virtual pod is gone before its host pod")
	}
	s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(ctx, host.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	s.gone(virtual)
	framework.Eventually(t, "configmap, secret and environment are gone from the host", func(ctx context.Context) (bool, error) {
		configMaps, err := s.host.CoreV1().ConfigMaps(s.hostNamespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelVirtualNamespace + "=" + s.namespace})
		if err != nil {
			return false, err
		}
		_, err = s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, secret.Name, metav1.GetOptions{})
		return len(configMaps.Items) == 0 && apierrors.IsNotFound(err), nil
	})
}

// TestTokenSaysWhichNode reads a pod's token as the API server inside does. No token is
// on the host before the pod has a node.
func TestTokenSaysWhichNode(t *testing.T) {
	s := setUp(t)
	pod := s.createPod("web", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	host := s.hostPod("web")
	read := func() *corev1.Secret {
		t.Helper()
		for _, volume := range host.Spec.Volumes {
			if volume.Projected != nil {
				secret, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(t.Context(), volume.Projected.Sources[0].Secret.Name, metav1.GetOptions{})
				s.must(err)
				return secret
			}
		}
		t.Fatalf("got volumes %v, want one with a token", host.Spec.Volumes)
		return nil
	}
	if data := read().Data; len(data) > 0 {
		t.Errorf("got %d tokens of a pod without a node, want none", len(data))
	}
	node := "node-" + s.namespace
	s.schedule(host, node)
	var token string
	framework.Eventually(t, "the token is on the host", func(context.Context) (bool, error) {
		for _, value := range read().Data {
			token = string(value)
		}
		return token != "", nil
	})
	inside, err := s.virtual.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	s.must(err)
	review, err := s.virtual.AuthenticationV1().TokenReviews().Create(t.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	s.must(err)
	for key, want := range map[string]string{"pod-uid": string(pod.UID), "node-name": node, "node-uid": string(inside.UID)} {
		if got := review.Status.User.Extra["authentication.kubernetes.io/"+key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s of the token: got %v, want %s", key, got, want)
		}
	}
}

func TestHostPodVanishes(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	for name, remove := range map[string]func(host string) error{
		"deleted": func(host string) error {
			return s.host.CoreV1().Pods(s.hostNamespace).Delete(ctx, host, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
		},
		"evicted": func(host string) error {
			return s.host.PolicyV1().Evictions(s.hostNamespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: host, Namespace: s.hostNamespace}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.within(t)
			pod := s.createPod(name, podSpec())
			host := s.hostPod(name)
			s.schedule(host, "node-"+s.namespace)
			framework.Eventually(t, "the virtual pod runs", func(context.Context) (bool, error) { return s.virtualPod(name).Status.Phase == corev1.PodRunning, nil })
			s.must(remove(host.Name))
			framework.Eventually(t, "the virtual pod ends", func(context.Context) (bool, error) {
				found := s.virtualPod(name)
				return found.UID != pod.UID || found.DeletionTimestamp != nil, nil
			})
			if name == "evicted" {
				s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(ctx, host.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
			}
			s.gone(pod)
		})
	}
}

func TestNameUsedAgain(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	first := s.createPod("web-0", podSpec())
	firstHost := s.hostPod("web-0")
	s.schedule(firstHost, "node-"+s.namespace)
	framework.Eventually(t, "the virtual pod is bound", func(context.Context) (bool, error) { return s.virtualPod("web-0").Spec.NodeName != "", nil })
	// By force: the virtual pod is gone at once, the host's takes its time.
	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(ctx, first.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	second := s.createPod("web-0", podSpec())
	framework.Eventually(t, "the first host pod ends", func(context.Context) (bool, error) { return s.hostPod("web-0").DeletionTimestamp != nil, nil })
	s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(ctx, firstHost.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	framework.Eventually(t, "the host pod is of the second", func(context.Context) (bool, error) {
		host := s.hostPod("web-0")
		return host.Annotations[tenancyv1.AnnotationVirtualUID] == string(second.UID), nil
	})
	if s.virtualPod("web-0").UID != second.UID {
		t.Error("the second pod was ended with the first")
	}
}

func TestServices(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	create := func(name string, spec corev1.ServiceSpec) *corev1.Service {
		service, err := s.virtual.CoreV1().Services(s.namespace).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		s.must(err)
		return service
	}
	ports := []corev1.ServicePort{{Port: 80}}
	// The host has given the number away that the virtual one has. It is one of those that
	// API servers do not give out by themselves, so that no other test has it.
	taken, err := s.host.CoreV1().Services(s.hostNamespace).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "taken"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 30003}}}}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		s.must(s.host.CoreV1().Services(s.hostNamespace).Delete(context.Background(), taken.Name, metav1.DeleteOptions{}))
	})
	create("outside", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"a": "b"},
		Ports: []corev1.ServicePort{{Port: 80, NodePort: taken.Spec.Ports[0].NodePort}}})
	create("alias", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "kubernetes.default.svc"})
	create("headless", corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"a": "b"}, Ports: ports})
	create("by-hand", corev1.ServiceSpec{Ports: ports})
	//lint:ignore SA1019 what tenants still write
	_, err = s.virtual.CoreV1().Endpoints(s.namespace).Create(ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"},
		Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "192.0.2.1"}}, Ports: []corev1.EndpointPort{{Port: 80}}}}}, metav1.CreateOptions{})
	s.must(err)

	hostService := func(name string) (*corev1.Service, error) {
		return s.host.CoreV1().Services(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
	}
	framework.Eventually(t, "the node port of the host is inside", func(ctx context.Context) (bool, error) {
		host, err := hostService("outside")
		virtual, errInside := s.virtual.CoreV1().Services(s.namespace).Get(ctx, "outside", metav1.GetOptions{})
		return err == nil && errInside == nil && host.Spec.Ports[0].NodePort != taken.Spec.Ports[0].NodePort && virtual.Spec.Ports[0].NodePort == host.Spec.Ports[0].NodePort, nil
	})
	framework.Eventually(t, "the headless one is on the host", func(context.Context) (bool, error) {
		host, err := hostService("headless")
		return err == nil && host.Spec.ClusterIP == corev1.ClusterIPNone, nil
	})
	framework.Eventually(t, "endpoints made by hand are on the host", func(ctx context.Context) (bool, error) {
		slices, err := s.host.DiscoveryV1().EndpointSlices(s.hostNamespace).List(ctx, metav1.ListOptions{
			LabelSelector: "kubernetes.io/service-name=" + s.translator.HostName(s.namespace, "by-hand")})
		return len(slices.Items) == 1 && slices.Items[0].Endpoints[0].Addresses[0] == "192.0.2.1", err
	})
	if _, err := hostService("alias"); !apierrors.IsNotFound(err) {
		t.Errorf("an alias is on the host: %v", err)
	}

	// The balancer's address comes inside.
	_, err = s.virtual.CoreV1().Services(s.namespace).Patch(ctx, "outside", types.MergePatchType, []byte(`{"spec":{"type":"LoadBalancer"}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the balancer is on the host", func(ctx context.Context) (bool, error) {
		host, err := hostService("outside")
		if err != nil || host.Spec.Type != corev1.ServiceTypeLoadBalancer {
			return false, nil
		}
		host.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.9"}}
		_, err = s.host.CoreV1().Services(s.hostNamespace).UpdateStatus(ctx, host, metav1.UpdateOptions{})
		return err == nil, nil
	})
	framework.Eventually(t, "the balancer's address is inside", func(ctx context.Context) (bool, error) {
		virtual, err := s.virtual.CoreV1().Services(s.namespace).Get(ctx, "outside", metav1.GetOptions{})
		return err == nil && len(virtual.Status.LoadBalancer.Ingress) == 1 && virtual.Status.LoadBalancer.Ingress[0].IP == "198.51.100.9", nil
	})
}

func TestClaims(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	claim, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}, metav1.CreateOptions{})
	s.must(err)
	name := s.translator.HostName(s.namespace, "data")
	volume := "pvc-" + s.namespace
	framework.Eventually(t, "the claim is on the host", func(ctx context.Context) (bool, error) {
		host, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		if host.Spec.VolumeName == "" {
			host.Spec.VolumeName = volume
			host.Spec.StorageClassName = ptr.To("fast")
			if host, err = s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Update(ctx, host, metav1.UpdateOptions{}); err != nil {
				return false, nil
			}
		}
		host.Status.Phase = corev1.ClaimBound
		host.Status.AccessModes = host.Spec.AccessModes
		host.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}
		_, err = s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).UpdateStatus(ctx, host, metav1.UpdateOptions{})
		return err == nil, nil
	})
	framework.Eventually(t, "the claim is bound inside", func(ctx context.Context) (bool, error) {
		found, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, "data", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		mirror, err := s.virtual.CoreV1().PersistentVolumes().Get(ctx, volume, metav1.GetOptions{})
		return err == nil && found.Status.Phase == corev1.ClaimBound && found.Spec.VolumeName == volume && ptr.Deref(found.Spec.StorageClassName, "") == "fast" &&
			found.Status.Capacity.Storage().String() == "2Gi" && mirror.Status.Phase == corev1.VolumeBound && mirror.Spec.ClaimRef.UID == claim.UID, nil
	})
	s.volumeExplained(volume, name)
	s.must(s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Delete(ctx, "data", metav1.DeleteOptions{}))
	framework.Eventually(t, "the claim ends on the host and the volume is gone inside", func(ctx context.Context) (bool, error) {
		host, err := s.host.CoreV1().PersistentVolumeClaims(s.hostNamespace).Get(ctx, name, metav1.GetOptions{})
		_, errInside := s.virtual.CoreV1().PersistentVolumes().Get(ctx, volume, metav1.GetOptions{})
		return (apierrors.IsNotFound(err) || err == nil && host.DeletionTimestamp != nil) && apierrors.IsNotFound(errInside), nil
	})
}

func TestHostEventsShowInside(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	pod := s.createPod("web", podSpec())
	host := s.hostPod("web")
	_, err := s.host.CoreV1().Events(s.hostNamespace).Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "e-", Namespace: s.hostNamespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: host.Namespace, Name: host.Name, UID: host.UID},
		Reason:         "Scheduled", Message: "assigned " + host.Namespace + "/" + host.Name + " to node-1", Type: corev1.EventTypeNormal,
	}, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "the event is inside", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)})
		return len(events.Items) == 1 && events.Items[0].Message == "assigned "+s.namespace+"/web to node-1", err
	})
}

// TestServiceOfTheWebhookIsAdopted plays the admission webhook, which makes the
// host's service before the one inside is stored.
func TestServiceOfTheWebhookIsAdopted(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	asked := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "api"},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}}}
	host, err := s.host.CoreV1().Services(s.hostNamespace).Create(ctx, resources.HostService(resources.Marker{Translator: s.translator}, asked), metav1.CreateOptions{})
	s.must(err)
	asked.Spec.ClusterIP = host.Spec.ClusterIP
	virtual, err := s.virtual.CoreV1().Services(s.namespace).Create(ctx, asked, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "the service is adopted", func(ctx context.Context) (bool, error) {
		found, err := s.host.CoreV1().Services(s.hostNamespace).Get(ctx, host.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if found.UID != host.UID {
			t.Fatal("the service was made anew")
		}
		return found.Annotations[tenancyv1.AnnotationVirtualUID] == string(virtual.UID), nil
	})
	events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(virtual.UID)})
	s.must(err)
	for _, event := range events.Items {
		if event.Source.Component == "garret-syncer" {
			t.Errorf("the tenant is told of a trouble that is none: %s", event.Message)
		}
	}
}

// TestEndpointsOfOwnPods follows the address of a pod in a slice that somebody wrote: it is
// carried as long as the pod has it. The host's API server is never carried, and that is told.
func TestEndpointsOfOwnPods(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.virtual.CoreV1().Services(s.namespace).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	const own, apiServer = "10.0.0.7", "172.18.0.2"
	slice, err := s.virtual.DiscoveryV1().EndpointSlices(s.namespace).Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "by-hand-1", Labels: map[string]string{discoveryv1.LabelServiceName: "by-hand"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{apiServer}}, {Addresses: []string{own}}},
	}, metav1.CreateOptions{})
	s.must(err)
	carries := func(what string, want ...string) {
		t.Helper()
		framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
			host, err := s.host.DiscoveryV1().EndpointSlices(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, slice.Name), metav1.GetOptions{})
			if err != nil {
				return false, nil
			}
			var got []string
			for _, endpoint := range host.Endpoints {
				got = append(got, endpoint.Addresses...)
			}
			return slices.Equal(got, want), nil
		})
	}
	carries("no address is carried")
	framework.Eventually(t, "an event names the address and who can lift the rule", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + slice.Name})
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == "AddressNotCarried" && strings.Contains(e.Message, apiServer) && strings.Contains(e.Message, "spec.isolation.endpointRanges of the HostCluster")
		}), err
	})
	s.createPod("web", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	host := s.hostPod("web")
	s.schedule(host, "node-"+s.namespace)
	carries("the pod's address is carried", own)
	s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(ctx, host.Name, *metav1.NewDeleteOptions(0)))
	carries("the address goes with the pod")
}
