// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"os"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func TestManifestIsCurrent(t *testing.T) {
	want, err := Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(ManifestFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s is not what the chart renders: run go run ./artifacts/render", ManifestFile)
	}
	all := decode(t, want)
	if namespace, ok := all[0].(*corev1.Namespace); !ok || namespace.Name != tenancyv1.SystemNamespace {
		t.Errorf("first object is %T, want the namespace, or kubectl apply fails on a new cluster", all[0])
	}
	// Admission that asks through the APIService comes after it.
	last := slices.IndexFunc(all, func(object runtime.Object) bool { _, ok := object.(*apiregistrationv1.APIService); return ok })
	for _, object := range all[last+1:] {
		if group := object.GetObjectKind().GroupVersionKind().Group; group != admissionregistrationv1.GroupName {
			t.Errorf("%T comes after the APIService", object)
		}
	}
}

func TestAPIService(t *testing.T) {
	service := find[*apiregistrationv1.APIService](t, objects(t, nil), "v1.tenancy.garret.dev")
	if service.Spec.InsecureSkipTLSVerify {
		t.Error("insecureSkipTLSVerify is set")
	}
	if service.Spec.CABundle != nil {
		t.Error("caBundle is set: an upgrade would take away the one that garret-apiserver published")
	}
	if service.Spec.Group != tenancyv1.GroupName {
		t.Errorf("group is %q, want %q", service.Spec.Group, tenancyv1.GroupName)
	}
}

func TestService(t *testing.T) {
	all := objects(t, nil)
	service := find[*corev1.Service](t, all, "garret-apiserver")
	set := find[*appsv1.StatefulSet](t, all, "garret-apiserver")
	selector := labels.SelectorFromSet(service.Spec.Selector)
	if !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
		t.Errorf("the Service selects %v, the pods carry %v", service.Spec.Selector, set.Spec.Template.Labels)
	}
	deployment := find[*appsv1.Deployment](t, all, "garret-controller")
	if selector.Matches(labels.Set(deployment.Spec.Template.Labels)) {
		t.Error("the Service of garret-apiserver selects the controller's pods")
	}
}

func TestPodsAreRestricted(t *testing.T) {
	for described, values := range map[string]map[string]any{"by default": nil, "with a plugin": set("apiserver", set("encryption", kmsPlugin(nil)))} {
		for name, template := range podTemplates(t, objects(t, values)) {
			t.Run(name+" "+described, func(t *testing.T) { checkRestricted(t, template.Spec) })
		}
	}
}

func checkRestricted(t *testing.T, spec corev1.PodSpec) {
	t.Helper()
	security := spec.SecurityContext
	if security == nil || security.RunAsNonRoot == nil || !*security.RunAsNonRoot {
		t.Error("it may run as root")
	}
	if security.SeccompProfile == nil || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Error("it has no seccomp profile")
	}
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Error("it shares a namespace of its node")
	}
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		own := container.SecurityContext
		if own == nil || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation {
			t.Errorf("%s may gain privileges", container.Name)
		}
		if !*own.ReadOnlyRootFilesystem {
			t.Errorf("%s may write to its image", container.Name)
		}
		if !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || own.Capabilities.Add != nil {
			t.Errorf("%s keeps capabilities: %v", container.Name, own.Capabilities)
		}
		for _, quantity := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if request := container.Resources.Requests[quantity]; request.IsZero() {
				t.Errorf("%s requests no %s", container.Name, quantity)
			}
		}
	}
	for _, volume := range spec.Volumes {
		if volume.HostPath != nil {
			t.Errorf("it mounts %s of its node", volume.HostPath.Path)
		}
	}
}

// TestMemoryIsLimited wants both programs to have a limit, and a runtime that heeds it.
func TestMemoryIsLimited(t *testing.T) {
	all := objects(t, nil)
	for _, pod := range []corev1.PodSpec{
		find[*appsv1.StatefulSet](t, all, "garret-apiserver").Spec.Template.Spec, find[*appsv1.Deployment](t, all, "garret-controller").Spec.Template.Spec,
	} {
		container := pod.Containers[0]
		limit := container.Resources.Limits[corev1.ResourceMemory]
		if limit.IsZero() || limit.Cmp(container.Resources.Requests[corev1.ResourceMemory]) < 0 {
			t.Errorf("%s has the limit %s", container.Name, limit.String())
		}
		if !slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == "GOMEMLIMIT" && v.Value == "$(MEMORY_LIMIT_MIB)000000" }) {
			t.Errorf("the runtime of %s does not know its limit: %v", container.Name, container.Env)
		}
	}
}

func TestValues(t *testing.T) {
	tests := map[string]struct {
		values map[string]any
		check  func(t *testing.T, all []runtime.Object)
	}{
		"data on a volume that outlives the release": {
			values: nil,
			check: func(t *testing.T, all []runtime.Object) {
				set := find[*appsv1.StatefulSet](t, all, "garret-apiserver")
				if len(set.Spec.VolumeClaimTemplates) != 1 {
					t.Fatalf("%d volume claim templates, want 1", len(set.Spec.VolumeClaimTemplates))
				}
				policy := set.Spec.PersistentVolumeClaimRetentionPolicy
				if policy == nil || policy.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
					t.Errorf("retention policy is %v, want Retain", policy)
				}
				if volume := volumeNamed(set, "data"); volume != nil {
					t.Errorf("the volume data is %v beside the claim", volume)
				}
			},
		},
		"no persistence": {
			values: set("apiserver", set("persistence", set("enabled", false))),
			check: func(t *testing.T, all []runtime.Object) {
				set := find[*appsv1.StatefulSet](t, all, "garret-apiserver")
				if len(set.Spec.VolumeClaimTemplates) != 0 {
					t.Error("still claims a volume")
				}
				if volume := volumeNamed(set, "data"); volume == nil || volume.EmptyDir == nil {
					t.Errorf("the volume data is %v, want an emptyDir", volume)
				}
			},
		},
		"replicas on an external datastore": {
			values: set("apiserver", map[string]any{
				"replicas": 2, "datastore": set("endpointSecretName", "garret-datastore"),
			}),
			check: func(t *testing.T, all []runtime.Object) {
				set := find[*appsv1.StatefulSet](t, all, "garret-apiserver")
				if *set.Spec.Replicas != 2 || len(set.Spec.VolumeClaimTemplates) != 0 {
					t.Errorf("%d replicas with %d claims, want 2 with none", *set.Spec.Replicas, len(set.Spec.VolumeClaimTemplates))
				}
				var found bool
				for _, variable := range set.Spec.Template.Spec.Containers[0].Env {
					if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil {
						found = found || from.SecretKeyRef.Name == "garret-datastore" && from.SecretKeyRef.Key == "endpoint"
					}
				}
				if !found {
					t.Error("the endpoint does not come from the Secret")
				}
				find[*policyv1.PodDisruptionBudget](t, all, "garret-apiserver")
			},
		},
		"images from a mirror": {
			values: set("image", map[string]any{
				"repository": "mirror.example/garret", "tag": "v9", "pullSecrets": []any{"mirror"},
			}),
			check: func(t *testing.T, all []runtime.Object) {
				for name, template := range podTemplates(t, all) {
					image := template.Spec.Containers[0].Image
					if !strings.HasPrefix(image, "mirror.example/garret/") || !strings.HasSuffix(image, ":v9") {
						t.Errorf("%s runs %s", name, image)
					}
					if len(template.Spec.ImagePullSecrets) != 1 {
						t.Errorf("%s has %d pull secrets, want 1", name, len(template.Spec.ImagePullSecrets))
					}
				}
			},
		},
		"a shorter life of kubeconfigs": {
			values: set("apiserver", set("kubeconfig", set("maxLife", "8h"))),
			check: func(t *testing.T, all []runtime.Object) {
				args := find[*appsv1.StatefulSet](t, all, "garret-apiserver").Spec.Template.Spec.Containers[0].Args
				if !slices.Contains(args, "--kubeconfig-max-life=8h") {
					t.Errorf("got %v, want the life among them", args)
				}
			},
		},
		"placement": {
			values: set("controller", map[string]any{
				"nodeSelector": set("role", "infra"), "priorityClassName": "high",
				"tolerations": []any{map[string]any{"key": "infra", "operator": "Exists"}},
				"extraArgs":   []any{"--v=4"}, "podLabels": set("team", "platform"),
			}),
			check: func(t *testing.T, all []runtime.Object) {
				spec := find[*appsv1.Deployment](t, all, "garret-controller").Spec.Template
				if spec.Spec.NodeSelector["role"] != "infra" || len(spec.Spec.Tolerations) != 1 ||
					spec.Spec.PriorityClassName != "high" || spec.Labels["team"] != "platform" ||
					!slices.Contains(spec.Spec.Containers[0].Args, "--v=4") {
					t.Errorf("not all of it arrived: %+v", spec)
				}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test.check(t, objects(t, test.values)) })
	}
}

func TestBadValues(t *testing.T) {
	tests := map[string]struct {
		values map[string]any
		want   string
	}{
		"unknown key":                 {set("apiServer", set("replicas", 1)), "apiServer"},
		"unknown key deeper":          {set("apiserver", set("persistence", set("enable", true))), "enable"},
		"quantity":                    {set("apiserver", set("persistence", set("size", "1 GB"))), "size"},
		"pull policy":                 {set("image", set("pullPolicy", "Sometimes")), "pullPolicy"},
		"replicas as text":            {set("controller", set("replicas", "2")), "replicas"},
		"flag without dashes":         {set("controller", set("extraArgs", []any{"v=4"})), "extraArgs"},
		"kubeconfigs of two days":     {set("apiserver", set("kubeconfig", set("maxLife", "48h"))), "maxLife"},
		"kubeconfigs of five minutes": {set("apiserver", set("kubeconfig", set("maxLife", "5m"))), "maxLife"},
		"two writers on one SQLite":   {set("apiserver", set("replicas", 2)), "endpointSecretName"},
		"rate above all":              {set("tracing", set("samplingRatePerMillion", 1000001)), "samplingRatePerMillion"},
		"endpoint as a URL":           {set("tracing", set("endpoint", "http://collector")), "endpoint"},
		"log format":                  {set("logging", set("format", "xml")), "format"},
		"a plugin that nobody asks":   {set("apiserver", set("encryption", set("kmsPlugin", set("image", "p")))), "encryption.secretName"},
		"a plugin with privileges":    {set("apiserver", set("encryption", kmsPlugin(map[string]any{"securityContext": set("privileged", true)}))), "securityContext"},
		"two datastores": {set("apiserver", set("datastore",
			map[string]any{"endpointSecretName": "s", "etcdServers": []any{"https://e:2379"}})), "choose"},
		"etcd without a scheme":         {set("apiserver", set("datastore", set("etcdServers", []any{"e:2379"}))), "etcdServers"},
		"a service type without a port": {set("apiserver", set("service", set("type", "ExternalName"))), "type"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Render(test.values)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one that names %s", err, test.want)
			}
		})
	}
}

func set(key string, value any) map[string]any { return map[string]any{key: value} }

func volumeNamed(set *appsv1.StatefulSet, name string) *corev1.Volume {
	for _, volume := range set.Spec.Template.Spec.Volumes {
		if volume.Name == name {
			return &volume
		}
	}
	return nil
}

func podTemplates(t *testing.T, all []runtime.Object) map[string]corev1.PodTemplateSpec {
	t.Helper()
	return map[string]corev1.PodTemplateSpec{
		"garret-apiserver":  find[*appsv1.StatefulSet](t, all, "garret-apiserver").Spec.Template,
		"garret-controller": find[*appsv1.Deployment](t, all, "garret-controller").Spec.Template,
	}
}
