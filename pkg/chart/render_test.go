// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

const testCA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

func testValues() Values {
	return Values{
		Cluster:      Cluster{Name: "demo", ID: "0123456789", UID: "11111111-2222-3333-4444-555555555555"},
		Kubernetes:   Kubernetes{Distro: "k3s", Version: "v1.37.2"},
		ControlPlane: ControlPlane{Image: "docker.io/rancher/k3s:v1.37.2-k3s1", Storage: Storage{Persistent: true, Size: "5Gi"}},
		Syncer:       Syncer{Image: "garret.dev/garret/syncer:v0.1.0"},
		RBAC:         RBAC{Rules: rulesOf()},
		Isolation:    Isolation{NetworkPolicy: NetworkPolicy{Enabled: true, PublicEgress: true}},
		Host:         Host{ServiceCIDR: "10.96.0.0/16", ClusterDomain: "cluster.local", ClientCA: testCA},
		Service:      Service{ClusterIP: "10.96.7.7"},
	}
}

// objects are what a rendering holds, each kind once.
type objects struct {
	statefulSet    *appsv1.StatefulSet
	service        *corev1.Service
	serviceAccount *corev1.ServiceAccount
	workloads      *corev1.ServiceAccount
	role           *rbacv1.Role
	roleBinding    *rbacv1.RoleBinding
	// networkPolicies are by name.
	networkPolicies map[string]*networkingv1.NetworkPolicy
	resourceQuota   *corev1.ResourceQuota
	limitRange      *corev1.LimitRange
}

func render(t *testing.T, values Values, tenant map[string]any) objects {
	t.Helper()
	rendered, err := tryRender(t, values, tenant)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, rendered)
}

func tryRender(t *testing.T, values Values, tenant map[string]any) (map[string]string, error) {
	t.Helper()
	merged, err := Merge(values, tenant)
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	loaded, err := Load("v0.1.0")
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	options := chartutil.ReleaseOptions{Name: "vc-demo", Namespace: "team-a", Revision: 1, IsInstall: true}
	top, err := chartutil.ToRenderValues(loaded, merged, options, nil)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	rendered, err := engine.Render(loaded, top)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	return rendered, nil
}

// decode reads every document strictly: a field that Kubernetes does not know is an error.
func decode(t *testing.T, rendered map[string]string) objects {
	t.Helper()
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	var all objects
	for name, text := range rendered {
		for _, document := range documents(t, text) {
			object, _, err := strict.Decode(document, nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			switch object := object.(type) {
			case *appsv1.StatefulSet:
				all.statefulSet = object
			case *corev1.Service:
				all.service = object
			case *corev1.ServiceAccount:
				if strings.HasSuffix(object.Name, ".workloads") {
					all.workloads = object
				} else {
					all.serviceAccount = object
				}
			case *rbacv1.Role:
				all.role = object
			case *rbacv1.RoleBinding:
				all.roleBinding = object
			case *networkingv1.NetworkPolicy:
				if all.networkPolicies == nil {
					all.networkPolicies = map[string]*networkingv1.NetworkPolicy{}
				}
				all.networkPolicies[object.Name] = object
			case *corev1.ResourceQuota:
				all.resourceQuota = object
			case *corev1.LimitRange:
				all.limitRange = object
			default:
				t.Fatalf("%s: unexpected %T", name, object)
			}
		}
	}
	return all
}

func documents(t *testing.T, text string) [][]byte {
	t.Helper()
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	var all [][]byte
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("split: %v", err)
		}
		if len(bytes.TrimSpace(document)) > 0 {
			all = append(all, document)
		}
	}
}

func (o objects) container(t *testing.T, name string) corev1.Container {
	t.Helper()
	for _, container := range o.statefulSet.Spec.Template.Spec.Containers {
		if container.Name == name {
			return container
		}
	}
	t.Fatalf("no container %q", name)
	return corev1.Container{}
}

func TestRenderedObjects(t *testing.T) {
	got := render(t, testValues(), nil)
	for kind, missing := range map[string]bool{
		"StatefulSet": got.statefulSet == nil, "Service": got.service == nil, "ServiceAccount": got.serviceAccount == nil,
		"Role": got.role == nil, "RoleBinding": got.roleBinding == nil,
	} {
		if missing {
			t.Errorf("%s is missing", kind)
		}
	}
	for _, object := range []interface {
		GetName() string
		GetNamespace() string
		GetLabels() map[string]string
	}{got.statefulSet, got.service, got.serviceAccount, got.role, got.roleBinding} {
		if object.GetName() != "vc-demo" || object.GetNamespace() != "team-a" {
			t.Errorf("%T: got %s/%s, want team-a/vc-demo", object, object.GetNamespace(), object.GetName())
		}
		if label := object.GetLabels()["tenancy.garret.dev/virtual-cluster"]; label != "demo" {
			t.Errorf("%T: label of the virtual cluster is %q, want demo", object, label)
		}
	}
	if got.service.Spec.ClusterIP != "10.96.7.7" || !got.service.Spec.PublishNotReadyAddresses {
		t.Errorf("service: clusterIP %q publishNotReadyAddresses %t", got.service.Spec.ClusterIP, got.service.Spec.PublishNotReadyAddresses)
	}
	if label := got.statefulSet.Spec.VolumeClaimTemplates[0].Labels["tenancy.garret.dev/virtual-cluster"]; label != "demo" {
		t.Errorf("the volume claim's label is %q, want demo", label)
	}
}

func TestControlPlaneArguments(t *testing.T) {
	tests := []struct {
		name    string
		version string
		extra   []string
		want    []string
		wantNot []string
	}{
		{"newest", "v1.37.2", nil, []string{
			"server", "--data-dir=/data", "--https-listen-port=6443", "--service-cidr=10.96.0.0/16", "--cluster-domain=cluster.local",
			"--tls-san=vc-demo", "--tls-san=vc-demo.team-a", "--tls-san=vc-demo.team-a.svc", "--tls-san=vc-demo.team-a.svc.cluster.local", "--tls-san=10.96.7.7",
			"--disable-agent", "--disable-scheduler", "--flannel-backend=none", "--egress-selector-mode=disabled", "--disable=runtimes",
			"--kube-apiserver-arg=egress-selector-config-file=/etc/garret/egress/egress.yaml",
			"--kube-controller-manager-arg=cluster-signing-kubelet-serving-cert-file=", "--kube-controller-manager-arg=cluster-signing-kubelet-serving-key-file=",
			"--kube-controller-manager-arg=cluster-signing-legacy-unknown-cert-file=", "--kube-controller-manager-arg=cluster-signing-legacy-unknown-key-file="}, nil},
		{"one minor older", "v1.36.3", nil, []string{"--egress-selector-mode=disabled", "--disable=runtimes"}, nil},
		{"two minors older", "v1.35.4", nil, []string{"--egress-selector-mode=disabled", "--disable=runtimes"}, nil},
		{"first with an egress selector", "v1.24.1", nil, []string{"--egress-selector-mode=disabled"}, nil},
		{"before the egress selector", "v1.24.0", nil, []string{"--disable-agent"}, []string{"--egress-selector-mode=disabled"}},
		{"first with RuntimeClasses", "v1.25.16", nil, []string{"--disable=runtimes"}, nil},
		{"before RuntimeClasses", "v1.24.17", nil, []string{"--disable-agent"}, []string{"--disable=runtimes"}},
		{"the owner's come last", "v1.37.2", []string{"--kube-apiserver-arg=v=2"}, []string{"--kube-apiserver-arg=v=2"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			values := testValues()
			values.Kubernetes.Version, values.Kubernetes.ExtraArgs = test.version, test.extra
			args := render(t, values, nil).container(t, "k3s").Args
			for _, want := range test.want {
				if !slices.Contains(args, want) {
					t.Errorf("got %q, want %q among them", args, want)
				}
			}
			for _, not := range test.wantNot {
				if slices.Contains(args, not) {
					t.Errorf("got %q, want it without %q", args, not)
				}
			}
			if len(test.extra) > 0 && args[len(args)-1] != test.extra[len(test.extra)-1] {
				t.Errorf("last argument is %q, want the owner's", args[len(args)-1])
			}
		})
	}
}

func TestRestrictedProfile(t *testing.T) {
	for _, distro := range []string{"k3s", "k8s"} {
		values := testValues()
		values.Kubernetes.Distro = distro
		pod := render(t, values, nil).statefulSet.Spec.Template.Spec
		if pod.HostNetwork || pod.HostPID || pod.HostIPC || len(pod.InitContainers) > 0 {
			t.Errorf("%s: the pod shares a namespace of the host, or has init containers", distro)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s: every container would get the host's token", distro)
		}
		for _, container := range pod.Containers {
			security := container.SecurityContext
			if security == nil || !*security.RunAsNonRoot || *security.AllowPrivilegeEscalation || *security.Privileged || !*security.ReadOnlyRootFilesystem ||
				!slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: container %s is not within the Restricted profile: %v", distro, container.Name, security)
			}
			holdsToken := slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "host-token" })
			if holdsToken != (container.Name == "syncer") {
				t.Errorf("%s: container %s mounts the host's token: %t", distro, container.Name, holdsToken)
			}
			rancher := slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/etc/rancher" })
			if rancher != (distro == "k3s" && container.Name == "k3s") {
				t.Errorf("%s: container %s mounts /etc/rancher: %t", distro, container.Name, rancher)
			}
		}
		for _, volume := range pod.Volumes {
			if volume.HostPath != nil {
				t.Errorf("%s: volume %s is of the host", distro, volume.Name)
			}
		}
	}
}

func TestStorage(t *testing.T) {
	class := ""
	tests := []struct {
		name      string
		storage   Storage
		wantClaim bool
		wantClass *string
	}{
		{"default class", Storage{Persistent: true, Size: "5Gi"}, true, nil},
		{"no class", Storage{Persistent: true, Size: "1Gi", StorageClassName: &class}, true, &class},
		{"not kept", Storage{Persistent: false, Size: "1Gi"}, false, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			values := testValues()
			values.ControlPlane.Storage = test.storage
			set := render(t, values, nil).statefulSet
			if got := len(set.Spec.VolumeClaimTemplates) == 1; got != test.wantClaim {
				t.Fatalf("claims a volume: %t, want %t", got, test.wantClaim)
			}
			data := slices.ContainsFunc(set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "data" && v.EmptyDir != nil })
			if data == test.wantClaim {
				t.Errorf("has an emptyDir for data: %t", data)
			}
			if !test.wantClaim {
				return
			}
			claim := set.Spec.VolumeClaimTemplates[0].Spec
			if size := claim.Resources.Requests.Storage().String(); size != test.storage.Size {
				t.Errorf("size is %s, want %s", size, test.storage.Size)
			}
			if (claim.StorageClassName == nil) != (test.wantClass == nil) {
				t.Errorf("class is %v, want %v", claim.StorageClassName, test.wantClass)
			}
		})
	}
}

func TestDatastore(t *testing.T) {
	values := testValues()
	values.ControlPlane.Datastore = Datastore{SecretName: "db", SecretKeys: []string{"endpoint", "ca.crt"}}
	got := render(t, values, nil)
	env := map[string]corev1.EnvVar{}
	for _, variable := range got.container(t, "k3s").Env {
		env[variable.Name] = variable
	}
	endpoint := env["K3S_DATASTORE_ENDPOINT"]
	if endpoint.ValueFrom == nil || endpoint.ValueFrom.SecretKeyRef.Name != "db" || endpoint.ValueFrom.SecretKeyRef.Key != "endpoint" {
		t.Errorf("endpoint: got %v, want key endpoint of Secret db", endpoint)
	}
	if env["K3S_DATASTORE_CAFILE"].Value != "/etc/garret/datastore/ca.crt" {
		t.Errorf("CA file: got %q", env["K3S_DATASTORE_CAFILE"].Value)
	}
	for _, absent := range []string{"K3S_TOKEN", "K3S_DATASTORE_CERTFILE", "K3S_DATASTORE_KEYFILE"} {
		if _, set := env[absent]; set {
			t.Errorf("%s is set, and the Secret has no such key", absent)
		}
	}
	for _, volume := range got.statefulSet.Spec.Template.Spec.Volumes {
		if volume.Name == "datastore" && (len(volume.Secret.Items) != 1 || volume.Secret.Items[0].Key != "ca.crt") {
			t.Errorf("datastore files: got %v, want ca.crt only", volume.Secret.Items)
		}
	}
}

func TestClientCAIsAFileOfTheSyncer(t *testing.T) {
	got := render(t, testValues(), nil)
	if annotation := got.statefulSet.Spec.Template.Annotations["tenancy.garret.dev/client-ca"]; annotation != strings.TrimSpace(testCA) {
		t.Errorf("got %q, want %q", annotation, testCA)
	}
	if !slices.Contains(got.container(t, "syncer").Args, "--issuer-client-ca-file=/etc/garret/client-ca/ca.crt") {
		t.Errorf("the syncer is not told of the file: %q", got.container(t, "syncer").Args)
	}
}

func TestChartVersion(t *testing.T) {
	for version, want := range map[string]string{"v0.1.0": "0.1.0", "v0.2.0-rc.1": "0.2.0-rc.1", "v0.1.0+dirty": "0.1.0", "v0.0.0-master+$Format:%H$": "0.0.0-master", "": "0.0.0", "devel": "0.0.0"} {
		loaded, err := Load(version)
		if err != nil {
			t.Errorf("Load(%q): %v", version, err)
			continue
		}
		if loaded.Metadata.Version != want {
			t.Errorf("Load(%q): version %s, want %s", version, loaded.Metadata.Version, want)
		}
	}
}

// What an owner asks for the namespace is rendered as it is, and nothing else is.
func TestNamespaceLimits(t *testing.T) {
	values := testValues()
	if got := render(t, values, nil); got.resourceQuota != nil || got.limitRange != nil {
		t.Errorf("nobody asked for %v and %v", got.resourceQuota, got.limitRange)
	}
	quota := &corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("5")}, Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotTerminating}}
	limits := &corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: corev1.ResourceList{"cpu": resource.MustParse("250m")}}}}
	values.Isolation.ResourceQuota, values.Isolation.LimitRange = quota, limits
	got := render(t, values, nil)
	if got.resourceQuota == nil || !equality.Semantic.DeepEqual(got.resourceQuota.Spec, *quota) || got.resourceQuota.Name != "vc-demo" {
		t.Errorf("got %v, want the quota that was asked for", got.resourceQuota)
	}
	if got.limitRange == nil || !equality.Semantic.DeepEqual(got.limitRange.Spec, *limits) || got.limitRange.Name != "vc-demo" {
		t.Errorf("got %v, want the limits that were asked for", got.limitRange)
	}
}

// What the host's administrator opens reaches the syncer, and no list that is empty does.
func TestOpenedArguments(t *testing.T) {
	values := testValues()
	values.Isolation = Isolation{
		InlineVolumeDrivers: []string{"a.example.com", "b.example.com"}, DeviceConfigDrivers: []string{"gpu.example.com"}, EndpointRanges: []string{"192.0.2.0/24"}, ExternalIPRanges: []string{"203.0.113.0/24"},
		NetworkPolicy: NetworkPolicy{Enabled: true, PublicEgress: false, AllowedRanges: []string{"2001:db8::/32"}},
		PodRules:      `{"annotations":{"example.org/note":"a: \u0024(POD_IP), {{b}}"}}`,
	}
	args := render(t, values, nil).container(t, "syncer").Args
	for _, want := range []string{
		"--inline-volume-drivers=a.example.com,b.example.com", "--device-config-drivers=gpu.example.com", "--endpoint-ranges=192.0.2.0/24", "--external-ip-ranges=203.0.113.0/24", "--egress-ranges=2001:db8::/32", "--public-egress=false",
		`--pod-rules={"annotations":{"example.org/note":"a: \u0024(POD_IP), {{b}}"}}`,
	} {
		if !slices.Contains(args, want) {
			t.Errorf("%s is missing in %q", want, args)
		}
	}
	args = render(t, testValues(), nil).container(t, "syncer").Args
	if !slices.Contains(args, "--public-egress=true") || slices.ContainsFunc(args, func(arg string) bool {
		return strings.Contains(arg, "-ranges=") && !strings.HasPrefix(arg, "--closed-") || strings.Contains(arg, "-drivers=") || strings.Contains(arg, "-rules=")
	}) {
		t.Errorf("got %q, want nothing opened", args)
	}
}
