// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/v1"
)

const count corev1.ResourceName = "count/virtualclusters.tenancy.garret.dev"

func list(pairs ...string) corev1.ResourceList {
	made := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		made[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return made
}

// asking is a virtual cluster with these resources, and values for the syncer.
func asking(requests, limits corev1.ResourceList, values string) *v1.VirtualCluster {
	vc := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "team"}}
	vc.Spec.ControlPlane.Resources = corev1.ResourceRequirements{Requests: requests, Limits: limits}
	if values != "" {
		vc.Spec.Helm.Values = &runtime.RawExtension{Raw: []byte(values)}
	}
	return vc
}

const syncerLimits = `{"syncer":{"resources":{"limits":{"cpu":0.25,"memory":"64Mi"}}}}`

func stored(vc *v1.VirtualCluster, persistent bool, size string) *v1.VirtualCluster {
	vc.Spec.ControlPlane.Storage.Persistent = &persistent
	if size != "" {
		quantity := resource.MustParse(size)
		vc.Spec.ControlPlane.Storage.Size = &quantity
	}
	return vc
}

// usage is a list in the order of the names.
func usage(cpu, memory, cpuLimit, memoryLimit, storage string) corev1.ResourceList {
	return list(string(count), "1", string(RequestsCPU), cpu, string(RequestsMemory), memory,
		string(LimitsCPU), cpuLimit, string(LimitsMemory), memoryLimit, string(RequestsStorage), storage)
}

func TestUsage(t *testing.T) {
	tests := []struct {
		name string
		vc   *v1.VirtualCluster
		want corev1.ResourceList
	}{
		{"nothing set: the defaults of both containers", asking(nil, nil, ""), usage("25", "304Mi", "3000", "2560Mi", "5Gi")},
		{"requests", asking(list("cpu", "1", "memory", "1Gi"), nil, ""), usage("1005", "1072Mi", "3000", "2560Mi", "5Gi")},
		{"one of two requests leaves the other's default", asking(list("cpu", "1"), nil, ""), usage("1005", "304Mi", "3000", "2560Mi", "5Gi")},
		{"a limit is a request too", asking(nil, list("cpu", "2", "memory", "2Gi"), ""), usage("2005", "2096Mi", "3000", "2560Mi", "5Gi")},
		{"a request below its limit", asking(list("cpu", "1"), list("cpu", "2"), ""), usage("1005", "304Mi", "3000", "2560Mi", "5Gi")},
		{"the syncer's own", asking(nil, nil, syncerLimits), usage("270", "320Mi", "2250", "2112Mi", "5Gi")},
		{"values without the syncer", asking(nil, nil, `{"audit":{"enabled":true}}`), usage("25", "304Mi", "3000", "2560Mi", "5Gi")},
		{"parts of a unit are rounded up", asking(list("cpu", "100500u", "memory", "500m"), nil, ""), usage("106", "50331649", "3000", "2560Mi", "5Gi")},
		{"size", stored(asking(nil, nil, ""), true, "20Gi"), usage("25", "304Mi", "3000", "2560Mi", "20Gi")},
		{"nothing is kept", stored(asking(nil, nil, ""), false, "20Gi"), usage("25", "304Mi", "3000", "2560Mi", "0")},
	}
	evaluator := NewEvaluator(nil)
	for _, test := range tests {
		hub := &tenancy.VirtualCluster{}
		if err := v1.Convert_v1_VirtualCluster_To_tenancy_VirtualCluster(test.vc.DeepCopy(), hub, nil); err != nil {
			t.Fatal(err)
		}
		for _, object := range []runtime.Object{test.vc, hub} {
			got, err := evaluator.Usage(object)
			if err != nil || !quotav1.Equals(got, test.want) {
				t.Errorf("%s, %T: got %v, %v; want %v", test.name, object, got, err, test.want)
			}
		}
	}
	if _, err := evaluator.Usage(&corev1.Pod{}); err == nil {
		t.Error("a pod: got no error")
	}
}

func TestHandles(t *testing.T) {
	plain, bigger := asking(nil, nil, ""), asking(list("cpu", "1", "memory", "1Gi"), nil, "")
	labelled := plain.DeepCopy()
	labelled.Labels, labelled.Finalizers = map[string]string{"a": "b"}, nil
	limited, unlimited := asking(list("cpu", "1"), list("cpu", "0"), ""), asking(list("cpu", "1"), nil, "")
	tests := []struct {
		name         string
		operation    admission.Operation
		subresource  string
		old, changed *v1.VirtualCluster
		want         bool
	}{
		{"create", admission.Create, "", nil, plain, true},
		{"a kubeconfig", admission.Create, "kubeconfig", nil, plain, false},
		{"more", admission.Update, "", plain, bigger, true},
		{"less", admission.Update, "", bigger, plain, true},
		{"a label", admission.Update, "", plain, labelled, false},
		{"a limit goes, and its default comes", admission.Update, "", limited, unlimited, true},
		{"status", admission.Update, "status", plain, bigger, false},
		{"delete", admission.Delete, "", plain, nil, false},
	}
	for _, test := range tests {
		kind, name := v1.SchemeGroupVersion.WithKind("VirtualCluster"), v1.SchemeGroupVersion.WithResource("virtualclusters")
		attributes := admission.NewAttributesRecord(test.changed, test.old, kind, "team", "a", name, test.subresource, test.operation, nil, false, nil)
		if got := NewEvaluator(nil).Handles(attributes); got != test.want {
			t.Errorf("%s: got %t, want %t", test.name, got, test.want)
		}
	}
}

func TestUsageStats(t *testing.T) {
	evaluator := NewEvaluator(func(string) ([]runtime.Object, error) {
		return []runtime.Object{asking(nil, nil, ""), stored(asking(nil, nil, ""), true, "3Gi")}, nil
	})
	options := quotav1.UsageStatsOptions{Namespace: "team", Resources: evaluator.MatchingResources([]corev1.ResourceName{count, RequestsStorage, "pods"})}
	got, err := evaluator.UsageStats(options)
	if want := list(string(count), "2", string(RequestsStorage), "8Gi"); err != nil || !quotav1.Equals(quotav1.Mask(got.Used, options.Resources), want) {
		t.Errorf("got %v, %v; want %v", got.Used, err, want)
	}
	options.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
	if got, err = evaluator.UsageStats(options); err != nil || !quotav1.IsZero(got.Used) {
		t.Errorf("with a scope: got %v, %v; want nothing", got.Used, err)
	}
}
