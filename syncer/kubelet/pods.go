// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/translate"
)

// statusError is an answer that is not a success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return e.message }

func notFound(format string, arguments ...any) error {
	return &statusError{http.StatusNotFound, fmt.Sprintf(format, arguments...)}
}

// pods finds the two ends of a pod.
type pods struct {
	translator            *translate.Translator
	virtual, host         kubernetes.Interface
	virtualPods, hostPods corev1listers.PodLister
}

// target is a pod that a request is about.
type target struct {
	virtual, host *corev1.Pod
	// container is empty for requests that are about the pod.
	container string
}

// find returns the pod of this name inside and its twin.
func (p pods) find(ctx context.Context, namespace, name string, uid types.UID) (*target, error) {
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return nil, notFound("pod %q does not exist", namespace+"/"+name)
	}
	virtual, err := read(ctx, p.virtualPods, p.virtual, namespace, name)
	if apierrors.IsNotFound(err) || err == nil && uid != "" && uid != virtual.UID {
		return nil, notFound("pod %q does not exist", namespace+"/"+name)
	}
	if err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", namespace, name, err)
	}
	host, err := read(ctx, p.hostPods, p.host, p.translator.Cluster().HostNamespace, p.translator.HostName(namespace, name))
	if apierrors.IsNotFound(err) {
		return nil, notFound("pod %q is not running", namespace+"/"+name)
	}
	if err != nil {
		return nil, fmt.Errorf("host pod of %s/%s: %w", namespace, name, err)
	}
	if identity, ours := p.translator.IdentityOf(host); !ours || identity != translate.IdentityFor(virtual) {
		return nil, notFound("pod %q is not running", namespace+"/"+name)
	}
	return &target{virtual: virtual, host: host}, nil
}

// read asks the lister and, for what it does not know yet, the API server.
func read(ctx context.Context, lister corev1listers.PodLister, client kubernetes.Interface, namespace, name string) (*corev1.Pod, error) {
	pod, err := lister.Pods(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	return pod, err
}

// hasContainer says whether the container is one that the tenant asked for.
func hasContainer(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return true
		}
	}
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == name {
			return true
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			return true
		}
	}
	return false
}

// handler answers a request about a target.
type handler func(w http.ResponseWriter, r *http.Request, t *target) error

// inPod finds the pod in the path of a request.
func (s *Server) inPod(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := s.pods.find(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), types.UID(r.PathValue("uid")))
		if err == nil {
			err = next(w, r, t)
		}
		if err != nil {
			writeError(w, r, err)
		}
	}
}

// inContainer finds the container in the path of a request.
func (s *Server) inContainer(next handler) http.HandlerFunc {
	return s.inPod(func(w http.ResponseWriter, r *http.Request, t *target) error {
		name := r.PathValue("container")
		if hasContainer(t.virtual, name) {
			t.container = name
			return next(w, r, t)
		}
		// An ephemeral container may be younger than the cache.
		live, err := s.pods.virtual.CoreV1().Pods(t.virtual.Namespace).Get(r.Context(), t.virtual.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("pod %s: %w", klog.KObj(t.virtual), err)
		}
		if err != nil || live.UID != t.virtual.UID || !hasContainer(live, name) {
			return notFound("container %q not found in pod %q", name, t.virtual.Name)
		}
		t.container = name
		return next(w, r, t)
	})
}

// writeError answers in plain text, as a kubelet does.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	var known *statusError
	if errors.As(err, &known) {
		http.Error(w, known.message, known.code)
		return
	}
	if r.Context().Err() == nil {
		klog.FromContext(r.Context()).Error(err, "Cannot serve a request to the kubelet", "method", r.Method, "path", r.URL.Path)
	}
	http.Error(w, "the host cluster cannot be asked now", http.StatusInternalServerError)
}
