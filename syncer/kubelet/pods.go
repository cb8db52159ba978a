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

	"garret.dev/garret/syncer/containers"
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
	// host and own are nil for a pod that is not on the host.
	virtual, host *corev1.Pod
	// own are the containers of the pod that are the tenant's.
	own *containers.Own
	// container is empty for requests that are about the pod.
	container string
}

// find returns the pod of this name inside and its twin, as read reads them. Of a pod that is
// not on the host, it returns the one inside beside the error.
func (p pods) find(ctx context.Context, read reader, namespace, name string, uid types.UID) (*target, error) {
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
		return &target{virtual: virtual}, notFound("pod %q is not running", namespace+"/"+name)
	}
	if err != nil {
		return nil, fmt.Errorf("host pod of %s/%s: %w", namespace, name, err)
	}
	if !p.isTwin(virtual, host) {
		return &target{virtual: virtual}, notFound("pod %q is not running", namespace+"/"+name)
	}
	return &target{virtual: virtual, host: host, own: containers.OwnOf(virtual, host)}, nil
}

func (p pods) isTwin(virtual, host *corev1.Pod) bool {
	identity, ours := p.translator.IdentityOf(host)
	return ours && identity == translate.IdentityFor(virtual)
}

// reader reads a pod of one side.
type reader func(ctx context.Context, lister corev1listers.PodLister, client kubernetes.Interface, namespace, name string) (*corev1.Pod, error)

// cached asks the lister and, for what it does not know yet, the API server.
func cached(ctx context.Context, lister corev1listers.PodLister, client kubernetes.Interface, namespace, name string) (*corev1.Pod, error) {
	pod, err := lister.Pods(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	return pod, err
}

// live asks the API server.
func live(ctx context.Context, _ corev1listers.PodLister, client kubernetes.Interface, namespace, name string) (*corev1.Pod, error) {
	return client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

// noContainer tells why the tenant has no container of this name to enter.
func (t *target) noContainer(name string) error {
	if absent, known := t.own.Lacks(name); known {
		return notFound("container %q in pod %q is not running: %s", name, t.virtual.Name, absent.Message)
	}
	return notFound("container %q not found in pod %q", name, t.virtual.Name)
}

// handler answers a request about a target.
type handler func(w http.ResponseWriter, r *http.Request, t *target) error

// inPod finds the pod in the path of a request.
func (s *Server) inPod(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := s.awaken(r)
		if err == nil {
			err = next(w, r, t)
		}
		if err != nil {
			writeError(w, r, err)
		}
	}
}

func (s *Server) find(r *http.Request, read reader) (*target, error) {
	return s.pods.find(r.Context(), read, r.PathValue("namespace"), r.PathValue("pod"), types.UID(r.PathValue("uid")))
}

// inContainer finds the container in the path of a request. It must be the tenant's
// own on the host: the host's API knows a container by its name alone.
func (s *Server) inContainer(next handler) http.HandlerFunc {
	return s.inPod(func(w http.ResponseWriter, r *http.Request, t *target) error {
		name := r.PathValue("container")
		if _, own := t.own.Find(name); !own {
			// An ephemeral container may be younger than the caches.
			var err error
			if t, err = s.find(r, live); err != nil {
				return err
			}
			if _, own := t.own.Find(name); !own {
				return t.noContainer(name)
			}
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
