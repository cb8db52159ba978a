// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// serviceTemplate is the file of the chart that holds its Service.
const serviceTemplate = "templates/service.yaml"

// EnsureService implements Interface. The Service bears the release's marks, so
// that the release adopts it.
func (c *Client) EnsureService(ctx context.Context, spec Spec) (string, error) {
	services := c.kube.CoreV1().Services(spec.Namespace)
	live, err := services.Get(ctx, spec.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		var service *corev1.Service
		if service, err = c.renderService(spec); err != nil {
			return "", identify(err, spec.Namespace, spec.Name)
		}
		live, err = services.Create(ctx, service, metav1.CreateOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("service %s: %w", spec, err)
	}
	if !owned(live, spec.Namespace, spec.Name) {
		return "", fmt.Errorf("service %s: %w", spec, ErrForeign)
	}
	if live.Spec.ClusterIP == "" || live.Spec.ClusterIP == corev1.ClusterIPNone {
		return "", fmt.Errorf("service %s has no cluster IP", spec)
	}
	return live.Spec.ClusterIP, nil
}

// renderService renders the one template, with the chart's definitions beside it.
func (c *Client) renderService(spec Spec) (*corev1.Service, error) {
	part := &chart.Chart{Metadata: c.chart.Metadata, Values: c.chart.Values}
	for _, template := range c.chart.Templates {
		if template.Name == serviceTemplate || strings.HasPrefix(path.Base(template.Name), "_") {
			part.Templates = append(part.Templates, template)
		}
	}
	options := chartutil.ReleaseOptions{Name: spec.Name, Namespace: spec.Namespace, Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(part, spec.Values, options, chartutil.DefaultCapabilities.Copy())
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(part, values)
	if err != nil {
		return nil, err
	}
	service := &corev1.Service{}
	if err := yaml.UnmarshalStrict([]byte(rendered[path.Join(part.Name(), serviceTemplate)]), service); err != nil {
		return nil, fmt.Errorf("decode service: %w", err)
	}
	return service, setMarks(service, spec.Namespace, spec.Name)
}

func setMarks(object runtime.Object, namespace, name string) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	labels, annotations := accessor.GetLabels(), accessor.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[managedByLabel] = managedByHelm
	annotations[nameAnnotation], annotations[namespaceAnnotation] = name, namespace
	accessor.SetLabels(labels)
	accessor.SetAnnotations(annotations)
	return nil
}
