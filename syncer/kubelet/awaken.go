// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

const (
	// maxWaiting is how many requests wait for pods at once. More are answered as if no pod
	// had slept.
	maxWaiting = 64
	// awakenPatience is how long a request waits for a pod that slept: as long as the pod
	// itself waits for its node.
	awakenPatience = 2 * time.Minute
	// awakenInterval is how often the caches are looked at meanwhile.
	awakenInterval = 100 * time.Millisecond
)

// awaken returns the pod in the path of a request. One that was put to sleep is waited for:
// inside, it looks as if it had run all the time.
func (s *Server) awaken(r *http.Request) (*target, error) {
	t, err := s.find(r, cached)
	if !s.rises(r, t) {
		return t, err
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return t, err
	}
	over := s.clock.NewTimer(awakenPatience)
	defer over.Stop()
	again := s.clock.NewTicker(awakenInterval)
	defer again.Stop()
	for s.rises(r, t) {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-over.C():
			return t, stillAsleep(t, err)
		case <-again.C():
			t, err = s.find(r, listed)
		}
	}
	return t, err
}

// stillAsleep is what is said of a pod that was waited for in vain. The host says more of one
// that is there.
func stillAsleep(t *target, err error) error {
	if err == nil {
		return nil
	}
	return notFound("pod %q slept, and does not run again yet", t.virtual.Namespace+"/"+t.virtual.Name)
}

// rises says whether a request has to wait, because what it is about slept and has not begun to run
// again.
func (s *Server) rises(r *http.Request, t *target) bool {
	switch {
	case t == nil, s.wakes == nil, ended(t.virtual), t.virtual.DeletionTimestamp != nil, !s.wakes(t.virtual.UID),
		!runsAgain(t.virtual, r.PathValue("container")):
		return false
	case t.host == nil:
		return true
	}
	return !began(t.host, r.PathValue("container"))
}

// runsAgain says whether the pod has the container after it slept; none is all of them. One that
// somebody added to debug it is gone.
func runsAgain(pod *corev1.Pod, container string) bool {
	return container == "" || slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers),
		func(c corev1.Container) bool { return c.Name == container })
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// began says whether a container of the host pod has begun to run, or every one of them where none is
// named. What began and ended is for the host to tell of.
func began(host *corev1.Pod, container string) bool {
	statuses := host.Status.ContainerStatuses
	if container != "" {
		statuses = slices.DeleteFunc(slices.Concat(host.Status.InitContainerStatuses, statuses),
			func(status corev1.ContainerStatus) bool { return status.Name != container })
	}
	if ended(host) || len(statuses) == 0 {
		return host.Status.Phase != "" && host.Status.Phase != corev1.PodPending
	}
	return !slices.ContainsFunc(statuses, func(status corev1.ContainerStatus) bool {
		return status.State.Running == nil && status.State.Terminated == nil && status.LastTerminationState.Terminated == nil
	})
}

// listed asks the lister alone.
func listed(_ context.Context, lister corev1listers.PodLister, _ kubernetes.Interface, namespace, name string) (*corev1.Pod, error) {
	return lister.Pods(namespace).Get(name)
}
