// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// manifestOptions say what a new virtual cluster looks like. What is left out
// is for the API server to fill in.
type manifestOptions struct {
	file, version, distro, hostCluster string
	set                                []string

	template, templateVersion string
	parameters                []string
}

// build reads the file, if there is one, and lays the flags over it.
func (o manifestOptions) build(in io.Reader, name, namespace string) (*tenancyv1.VirtualCluster, error) {
	manifest := &tenancyv1.VirtualCluster{}
	if o.file != "" {
		if err := o.read(in, manifest); err != nil {
			return nil, err
		}
	}
	if manifest.Name != "" && manifest.Name != name {
		return nil, host.Misuse(fmt.Errorf("the file names the virtual cluster %s, the command line %s", manifest.Name, name),
			"leave metadata.name out of the file")
	}
	if manifest.Namespace != "" && manifest.Namespace != namespace {
		return nil, host.Misuse(fmt.Errorf("the file names the namespace %s, the command line or context %s", manifest.Namespace, namespace),
			"add --namespace %s", manifest.Namespace)
	}
	manifest.Name, manifest.Namespace = name, namespace
	if o.version != "" {
		manifest.Spec.Kubernetes.Version = o.version
	}
	if o.hostCluster != "" {
		manifest.Spec.HostClusterRef.Name = o.hostCluster
	}
	if o.distro != "" {
		manifest.Spec.Kubernetes.Distro = tenancyv1.Distro(o.distro)
	}
	if err := o.setTemplate(manifest); err != nil {
		return nil, err
	}
	if err := o.setValues(manifest); err != nil {
		return nil, err
	}
	return manifest, nil
}

func (o manifestOptions) read(in io.Reader, into *tenancyv1.VirtualCluster) error {
	data, err := readFile(in, o.file)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		return host.Misuse(fmt.Errorf("%s: %w", o.file, err), "kubectl explain virtualcluster.spec --recursive shows the fields")
	}
	want := tenancyv1.SchemeGroupVersion.WithKind("VirtualCluster")
	if got := into.GroupVersionKind(); got != want {
		return host.Misuse(fmt.Errorf("%s holds %q of %q", o.file, got.Kind, got.GroupVersion()),
			"it must be one document of kind VirtualCluster and apiVersion %s", want.GroupVersion())
	}
	return nil
}

// setTemplate lays the flags over the file's reference to a template. Another
// template has other versions and parameters, so none of the file's are kept for it.
func (o manifestOptions) setTemplate(manifest *tenancyv1.VirtualCluster) error {
	ref := manifest.Spec.TemplateRef
	if o.template != "" && (ref == nil || ref.Name != o.template) {
		ref = &tenancyv1.TemplateReference{Name: o.template}
	}
	if o.templateVersion == "" && len(o.parameters) == 0 {
		manifest.Spec.TemplateRef = ref
		return nil
	}
	if ref == nil || ref.Name == "" {
		return host.Misuse(errors.New("--template-version and --parameter are about a template, and none is named"),
			"add --template NAME; kubectl get virtualclustertemplates lists them")
	}
	if o.templateVersion != "" {
		ref.Version = o.templateVersion
	}
	for _, parameter := range o.parameters {
		name, value, ok := strings.Cut(parameter, "=")
		if !ok || name == "" {
			return host.Misuse(fmt.Errorf("--parameter %s: there is no name before a =", parameter), "write it as name=value")
		}
		at := slices.IndexFunc(ref.Parameters, func(p tenancyv1.TemplateParameterValue) bool { return p.Name == name })
		if at < 0 {
			at = len(ref.Parameters)
			ref.Parameters = append(ref.Parameters, tenancyv1.TemplateParameterValue{Name: name})
		}
		ref.Parameters[at].Value = value
	}
	manifest.Spec.TemplateRef = ref
	return nil
}

func (o manifestOptions) setValues(manifest *tenancyv1.VirtualCluster) error {
	if len(o.set) == 0 {
		return nil
	}
	values := map[string]any{}
	if raw := manifest.Spec.Helm.Values; raw != nil && len(raw.Raw) > 0 {
		if err := json.Unmarshal(raw.Raw, &values); err != nil {
			return fmt.Errorf("spec.helm.values in %s: %w", o.file, err)
		}
	}
	for _, expression := range o.set {
		if err := strvals.ParseInto(expression, values); err != nil {
			return host.Misuse(fmt.Errorf("--set %s: %w", expression, err), "write it as key=value, as with Helm")
		}
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return err
	}
	manifest.Spec.Helm.Values = &runtime.RawExtension{Raw: raw}
	return nil
}

func readFile(in io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(name)
}
