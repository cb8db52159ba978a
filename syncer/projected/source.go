// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/engine"
)

// reasonFailedMount is a kubelet's reason for a volume that it cannot make.
const reasonFailedMount = "FailedMount"

// Options are what a Source is made of.
type Options struct {
	// Virtual is the virtual cluster, of which Informers are.
	Virtual   kubernetes.Interface
	Informers *engine.Informers
	// Pods and Nodes are those inside.
	Pods  *engine.Store[*corev1.Pod]
	Nodes *engine.Store[*corev1.Node]
	// Recorder tells Events on pods inside.
	Recorder record.EventRecorder
	Clock    clock.PassiveClock
	// Served says that the API server inside has trust bundles and certificate requests.
	Served bool
}

// Source fills the Secrets of pods. It is safe for concurrent use, as long as nobody
// else fills that of the same pod.
type Source struct {
	virtual  kubernetes.Interface
	pods     *engine.Store[*corev1.Pod]
	nodes    *engine.Store[*corev1.Node]
	recorder record.EventRecorder
	clock    clock.PassiveClock
	served   bool
	bundles  *engine.Store[*certificatesv1.ClusterTrustBundle]
	requests *engine.Store[*certificatesv1.PodCertificateRequest]

	mu sync.Mutex
	// known is what is under way for pods.
	known map[types.NamespacedName]*state
}

// state is what a Source remembers of one life of a pod.
type state struct {
	pod types.UID
	// told is the last Event about each source.
	told map[string]string
	// certificates are under way, by key.
	certificates map[string]*certificate
}

// New returns a Source. What bundles hold is not kept: a tenant may have any amount
// of it, of which few is projected.
func New(o Options) *Source {
	certificates := o.Virtual.CertificatesV1()
	return &Source{
		virtual: o.Virtual, pods: o.Pods, nodes: o.Nodes, recorder: o.Recorder, clock: o.Clock, served: o.Served,
		bundles: engine.NewStore(o.Informers, certificatesv1.SchemeGroupVersion.WithResource("clustertrustbundles"),
			engine.Cluster(certificates.ClusterTrustBundles), engine.StoreOptions{Strip: func(object any) {
				if bundle, ok := object.(*certificatesv1.ClusterTrustBundle); ok {
					bundle.Spec.TrustBundle, bundle.Annotations = "", nil
				}
			}}),
		requests: engine.NewStore(o.Informers, certificatesv1.SchemeGroupVersion.WithResource("podcertificaterequests"),
			certificates.PodCertificateRequests, engine.StoreOptions{}),
		known: map[types.NamespacedName]*state{},
	}
}

// Served asks the API server inside whether it has what a Source needs.
func Served(virtual kubernetes.Interface) (bool, error) {
	served, err := virtual.Discovery().ServerResourcesForGroupVersion(certificatesv1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("which certificates the API server inside serves: %w", err)
	}
	found := map[string]bool{}
	for _, resource := range served.APIResources {
		found[resource.Name] = true
	}
	return found["clustertrustbundles"] && found["podcertificaterequests"], nil
}

// Follow has the controller, whose keys are pods inside, look at those again of which
// something that they project changes.
func (s *Source) Follow(controller *engine.Controller) error {
	if !s.served {
		return nil
	}
	s.nodes.Follow()
	err := controller.Watch(s.requests.Informer(), func(object any) []types.NamespacedName {
		request := object.(*certificatesv1.PodCertificateRequest)
		return []types.NamespacedName{{Namespace: request.Namespace, Name: request.Spec.PodName}}
	})
	if err != nil {
		return err
	}
	return controller.Watch(s.bundles.Informer(), func(object any) []types.NamespacedName {
		var keys []types.NamespacedName
		for _, pod := range s.pods.List() {
			for _, place := range placesOf(pod) {
				if bundle := place.source.ClusterTrustBundle; bundle != nil && concerns(object.(*certificatesv1.ClusterTrustBundle), bundle) {
					keys = append(keys, engine.KeyOf(pod))
					break
				}
			}
		}
		return keys
	})
}

// Fill puts what a pod with a node projects into its Secret, and returns when to be
// called again; zero for when something changes. What is missing becomes an Event on the
// pod, and no error: Follow sees it come.
func (s *Source) Fill(ctx context.Context, pod *corev1.Pod, secret *corev1.Secret) (time.Duration, error) {
	places := placesOf(pod)
	if len(places) == 0 {
		return 0, nil
	}
	state := s.of(pod)
	var next time.Duration
	var errs []error
	for _, place := range places {
		after, err := s.fill(ctx, pod, place, state, secret)
		var missing missingError
		switch {
		case errors.As(err, &missing):
			s.tell(pod, state, place, string(missing))
		case err != nil:
			errs = append(errs, err)
		default:
			delete(state.told, place.key())
		}
		next = Sooner(next, after)
	}
	return next, errors.Join(errs...)
}

func (s *Source) fill(ctx context.Context, pod *corev1.Pod, place place, state *state, secret *corev1.Secret) (time.Duration, error) {
	if !s.served {
		return 0, missingError("the API server inside does not serve certificates.k8s.io/v1; Kubernetes has it since 1.37")
	}
	if place.source.PodCertificate != nil {
		return s.certify(ctx, pod, place, state, secret)
	}
	anchors, err := s.anchors(ctx, place.source.ClusterTrustBundle)
	if err != nil {
		return 0, err
	}
	return 0, put(secret, map[string][]byte{place.key(): anchors})
}

// put has the Secret hold the files, all or none of them.
func put(secret *corev1.Secret, files map[string][]byte) error {
	size := 0
	for key, file := range secret.Data {
		if _, replaced := files[key]; !replaced {
			size += len(file)
		}
	}
	for _, file := range files {
		size += len(file)
	}
	if size > corev1.MaxSecretSize {
		return missingError(fmt.Sprintf("tokens, trust bundles and certificates of the pod take %d bytes, but the host cluster accepts only %d for one pod", size, corev1.MaxSecretSize))
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for key, file := range files {
		secret.Data[key] = file
	}
	return nil
}

// tell makes an Event on the pod, once for each cause.
func (s *Source) tell(pod *corev1.Pod, state *state, place place, message string) {
	if state.told[place.key()] != message {
		state.told[place.key()] = message
		s.recorder.Eventf(pod, corev1.EventTypeWarning, reasonFailedMount, "MountVolume.SetUp failed for volume %q: %s", place.volume, message)
	}
}

// of is what is remembered of the pod.
func (s *Source) of(pod *corev1.Pod) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := engine.KeyOf(pod)
	known := s.known[key]
	if known == nil || known.pod != pod.UID {
		known = &state{pod: pod.UID, told: map[string]string{}, certificates: map[string]*certificate{}}
		s.known[key] = known
	}
	return known
}

// Forget drops what is remembered of a pod that is gone.
func (s *Source) Forget(pod types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, pod)
}

// Sooner is the earlier of two times to look again, where zero means never.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// account is the pod's ServiceAccount inside.
func (s *Source) account(ctx context.Context, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	account, err := s.virtual.CoreV1().ServiceAccounts(pod.Namespace).Get(ctx, pod.Spec.ServiceAccountName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, missingError(fmt.Sprintf("ServiceAccount %q is not found", pod.Spec.ServiceAccountName))
	}
	if err != nil {
		return nil, fmt.Errorf("ServiceAccount of pod %s: %w", klog.KObj(pod), err)
	}
	return account, nil
}
