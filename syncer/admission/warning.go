// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"garret.dev/garret/syncer/isolation"
)

// warn lets everything pass, and warns of pods that will be kept from the host.
func (s *Server) warn(_ context.Context, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	response := &admissionv1.AdmissionResponse{Allowed: true}
	whose, spec, err := podSpec(request)
	if err != nil || spec == nil || s.Check == nil {
		return response
	}
	if err := s.Check(spec); err != nil && !errors.Is(err, isolation.ErrLevelUnknown) {
		response.Warnings = []string{whose + " will not run: " + err.Error()}
	}
	return response
}

// podSpec is the spec of the pod that is written, or of those that will be made of it.
func podSpec(request *admissionv1.AdmissionRequest) (whose string, spec *corev1.PodSpec, err error) {
	template := func(object any, of *corev1.PodTemplateSpec) (string, *corev1.PodSpec, error) {
		if err := json.Unmarshal(request.Object.Raw, object); err != nil {
			return "", nil, fmt.Errorf("%s: %w", request.Resource.Resource, err)
		}
		return "its pods", &of.Spec, nil
	}
	switch request.Resource.Resource {
	case "pods":
		pod := &corev1.Pod{}
		if err := json.Unmarshal(request.Object.Raw, pod); err != nil {
			return "", nil, fmt.Errorf("pod: %w", err)
		}
		if request.SubResource != "" {
			return "the ephemeral container", &pod.Spec, nil
		}
		return "the pod", &pod.Spec, nil
	case "deployments":
		object := &appsv1.Deployment{}
		return template(object, &object.Spec.Template)
	case "daemonsets":
		object := &appsv1.DaemonSet{}
		return template(object, &object.Spec.Template)
	case "statefulsets":
		object := &appsv1.StatefulSet{}
		return template(object, &object.Spec.Template)
	case "jobs":
		object := &batchv1.Job{}
		return template(object, &object.Spec.Template)
	case "cronjobs":
		object := &batchv1.CronJob{}
		return template(object, &object.Spec.JobTemplate.Spec.Template)
	}
	return "", nil, nil
}
