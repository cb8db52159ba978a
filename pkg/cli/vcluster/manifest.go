// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// manifestOptions say what a new virtual cluster looks like. What is left out
// is for the API server to fill in.
type manifestOptions struct {
	file, version, distro string
	set                   []string
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
		return nil, host.Advise(fmt.Errorf("the file names the virtual cluster %s, the command line %s", manifest.Name, name),
			"leave metadata.name out of the file")
	}
	if manifest.Namespace != "" && manifest.Namespace != namespace {
		return nil, host.Advise(fmt.Errorf("the file names the namespace %s, the command line or context %s", manifest.Namespace, namespace),
			"add --namespace %s", manifest.Namespace)
	}
	manifest.Name, manifest.Namespace = name, namespace
	if o.version != "" {
		manifest.Spec.Kubernetes.Version = o.version
	}
	if o.distro != "" {
		manifest.Spec.Kubernetes.Distro = tenancyv1.Distro(o.distro)
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
		return host.Advise(fmt.Errorf("%s: %w", o.file, err), "kubectl explain virtualcluster.spec --recursive shows the fields")
	}
	want := tenancyv1.SchemeGroupVersion.WithKind("VirtualCluster")
	if got := into.GroupVersionKind(); got != want {
		return host.Advise(fmt.Errorf("%s holds %q of %q", o.file, got.Kind, got.GroupVersion()),
			"it must be one document of kind VirtualCluster and apiVersion %s", want.GroupVersion())
	}
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
			return host.Advise(fmt.Errorf("--set %s: %w", expression, err), "write it as key=value, as with Helm")
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
