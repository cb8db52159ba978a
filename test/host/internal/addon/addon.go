// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package addon holds what every host cluster gets besides the components:
// cluster DNS, a default StorageClass, the metrics API and the rights of our own identities.
package addon

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Values fill in the manifests.
type Values struct {
	// DNSAddress is the cluster IP of the DNS service, DNSImage what serves it.
	DNSAddress, DNSImage string
	ClusterDomain        string
	// Provisioner is the name that the StorageClass gives its provisioner.
	Provisioner string
	// MetricsAddress and MetricsPort are where metrics-server answers, by a certificate of
	// Authority, in PEM.
	MetricsAddress string
	MetricsPort    int
	Authority      []byte
}

//go:embed addons.yaml
var manifests string

// resources are the kinds that the manifests use. The list stands for
// discovery, which would cost some requests at every start.
var resources = map[schema.GroupKind]string{
	{Kind: "ServiceAccount"}: "serviceaccounts",
	{Kind: "ConfigMap"}:      "configmaps",
	{Kind: "Service"}:        "services",
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        "rolebindings",
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:               "endpointslices",
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:            "apiservices",
	{Group: "apps", Kind: "Deployment"}:                              "deployments",
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  "storageclasses",
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        "clusterroles",
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: "clusterrolebindings",
}

// Render returns the objects.
func Render(values Values) ([]*unstructured.Unstructured, error) {
	tmpl, err := template.New("addons").Funcs(template.FuncMap{"base64": base64.StdEncoding.EncodeToString}).Option("missingkey=error").Parse(manifests)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	data := struct {
		Values
		Digest string
	}{values, fmt.Sprintf("%x", sha256.Sum256([]byte(manifests)))[:16]}
	if err := tmpl.Execute(&text, data); err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(&text, 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("add-on %d: %w", len(objects), err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// Apply brings the objects into the cluster.
func Apply(ctx context.Context, config *rest.Config, values Values) error {
	objects, err := Render(values)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, object := range objects {
		gvk := object.GroupVersionKind()
		resource, ok := resources[gvk.GroupKind()]
		if !ok {
			return fmt.Errorf("add-on %s %s: unknown kind", gvk.Kind, object.GetName())
		}
		data, err := json.Marshal(object)
		if err != nil {
			return err
		}
		var target dynamic.ResourceInterface = client.Resource(gvk.GroupVersion().WithResource(resource))
		if object.GetNamespace() != "" {
			target = client.Resource(gvk.GroupVersion().WithResource(resource)).Namespace(object.GetNamespace())
		}
		force := true
		_, err = target.Patch(ctx, object.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "garret-host", Force: &force})
		if err != nil {
			return fmt.Errorf("add-on %s %s: %w", strings.ToLower(gvk.Kind), object.GetName(), err)
		}
	}
	return nil
}
