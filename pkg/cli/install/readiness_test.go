// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorfake "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// state is an installation somewhere on its way.
type state struct {
	serverReady, controllerReady int32
	observed                     int64
	available                    apiregistrationv1.ConditionStatus
	pods                         []runtime.Object
}

func (s state) readiness() *readiness {
	metadata := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: tenancyv1.SystemNamespace, Generation: 2}
	}
	selector := func(name string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	}
	objects := append([]runtime.Object{
		&appsv1.StatefulSet{
			ObjectMeta: metadata("garret-apiserver"), Spec: appsv1.StatefulSetSpec{Selector: selector("apiserver")},
			Status: appsv1.StatefulSetStatus{ObservedGeneration: s.observed, UpdatedReplicas: 1, ReadyReplicas: s.serverReady},
		},
		&appsv1.Deployment{
			ObjectMeta: metadata("garret-controller"), Spec: appsv1.DeploymentSpec{Selector: selector("controller")},
			Status: appsv1.DeploymentStatus{ObservedGeneration: s.observed, UpdatedReplicas: 1, ReadyReplicas: s.controllerReady},
		},
	}, s.pods...)
	service := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: apiServiceName}}
	service.Status.Conditions = []apiregistrationv1.APIServiceCondition{
		{Type: apiregistrationv1.Available, Status: s.available, Reason: "FailedDiscoveryCheck", Message: "no answer"},
	}
	return &readiness{client: fake.NewClientset(objects...), aggregator: aggregatorfake.NewClientset(service), interval: time.Millisecond}
}

func pod(app string, status corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: app, Namespace: tenancyv1.SystemNamespace, Labels: map[string]string{"app": app}},
		Status:     status,
	}
}

func TestMissing(t *testing.T) {
	pulling := pod("controller", corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}},
	}})
	pending := pod("apiserver", corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node has room"},
	}})
	waiting := func(reason, message string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
	unplugged := pod("apiserver", corev1.PodStatus{
		InitContainerStatuses: waiting("CrashLoopBackOff", "no credentials"), ContainerStatuses: waiting("PodInitializing", "")})
	begun := pod("apiserver", corev1.PodStatus{ContainerStatuses: waiting("PodInitializing", "")})
	const yes, no = apiregistrationv1.ConditionTrue, apiregistrationv1.ConditionFalse
	tests := map[string]struct {
		state state
		want  string
	}{
		"all is well":                 {state{1, 1, 2, yes, nil}, ""},
		"server not ready":            {state{0, 1, 2, yes, nil}, "garret-apiserver"},
		"an old revision is ready":    {state{1, 1, 1, yes, nil}, "garret-apiserver; garret-controller"},
		"API not available":           {state{1, 1, 2, no, nil}, "the APIService v1.tenancy.garret.dev (FailedDiscoveryCheck: no answer)"},
		"image cannot be had":         {state{1, 0, 2, yes, []runtime.Object{pulling}}, "garret-controller (ImagePullBackOff: no such image)"},
		"the plugin does not run":     {state{0, 1, 2, no, []runtime.Object{unplugged}}, "garret-apiserver (CrashLoopBackOff: no credentials)"},
		"it has begun only":           {state{0, 1, 2, no, []runtime.Object{begun}}, "garret-apiserver"},
		"no room":                     {state{0, 1, 2, no, []runtime.Object{pending}}, "garret-apiserver (Unschedulable: no node has room)"},
		"another's pod does not tell": {state{0, 1, 2, yes, []runtime.Object{pulling}}, "garret-apiserver"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			missing, err := test.state.readiness().missing(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(missing, "; "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWait(t *testing.T) {
	var told []string
	observe := func(state string) { told = append(told, state) }
	if err := (state{1, 1, 2, apiregistrationv1.ConditionTrue, nil}).readiness().wait(t.Context(), time.Minute, observe); err != nil || told != nil {
		t.Errorf("told %q (%v) about what is ready", told, err)
	}
	err := (state{0, 1, 2, apiregistrationv1.ConditionTrue, nil}).readiness().wait(t.Context(), 20*time.Millisecond, observe)
	if err == nil || !strings.Contains(err.Error(), "garret-apiserver") || !strings.Contains(err.Error(), "kubectl get pods") {
		t.Errorf("got %v, want an error that names what is missing and where to look", err)
	}
	if len(told) != 1 {
		t.Errorf("told %q, want one state once", told)
	}
}

// TestWaitTellsTheReason also where requests would have to queue near the end.
func TestWaitTellsTheReason(t *testing.T) {
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := `{"kind":"PodList","apiVersion":"v1"}`
		switch {
		case strings.HasSuffix(req.URL.Path, "/statefulsets/garret-apiserver"):
			body = `{"kind":"StatefulSet","apiVersion":"apps/v1","metadata":{"generation":1},"spec":{"selector":{"matchLabels":{"a":"b"}}}}`
		case strings.HasSuffix(req.URL.Path, "/deployments/garret-controller"):
			body = `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"generation":1},"spec":{"selector":{"matchLabels":{"a":"b"}}}}`
		case strings.Contains(req.URL.Path, "/apiservices/"):
			body = `{"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1"}`
		}
		_, _ = io.WriteString(w, body)
	}))
	defer host.Close()
	waiting, err := newReadiness(&rest.Config{Host: host.URL})
	if err != nil {
		t.Fatal(err)
	}
	waiting.interval = 10 * time.Millisecond
	err = waiting.wait(t.Context(), 3*time.Second, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "still waiting for garret-apiserver; garret-controller") {
		t.Errorf("got %v, want what is being waited for", err)
	}
}
