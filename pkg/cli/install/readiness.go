// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// apiServiceName is the APIService of Garret's API.
const apiServiceName = "v1." + tenancyv1.GroupName

// readiness tells whether an installation works yet, and what it lacks if not.
type readiness struct {
	client     kubernetes.Interface
	aggregator aggregator.Interface
	interval   time.Duration
}

func newReadiness(config *rest.Config) (*readiness, error) {
	// A client that holds requests back would report that, near the end of the time
	// limit, in place of what is being waited for.
	config = rest.CopyConfig(config)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	registration, err := aggregator.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &readiness{client: client, aggregator: registration, interval: 250 * time.Millisecond}, nil
}

// wait returns when everything works. Each new state goes to observe.
func (r *readiness) wait(ctx context.Context, timeout time.Duration, observe func(string)) error {
	var before string
	err := wait.PollUntilContextTimeout(ctx, r.interval, timeout, true, func(ctx context.Context) (bool, error) {
		missing, err := r.missing(ctx)
		if err != nil {
			return false, err
		}
		if now := strings.Join(missing, "; "); now != "" && now != before {
			before = now
			observe("waiting for " + now)
		}
		return len(missing) == 0, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return host.NotReady(fmt.Errorf("not available after %s, still waiting for %s", timeout, before),
			"kubectl get pods,events -n %s says more", tenancyv1.SystemNamespace)
	}
	return err
}

// missing names what does not work yet.
func (r *readiness) missing(ctx context.Context) ([]string, error) {
	var missing []string
	namespace := tenancyv1.SystemNamespace
	server, err := r.client.AppsV1().StatefulSets(namespace).Get(ctx, "garret-apiserver", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if !rolledOut(server.Generation, server.Status.ObservedGeneration, server.Spec.Replicas, server.Status.UpdatedReplicas, server.Status.ReadyReplicas) {
		missing = append(missing, "garret-apiserver"+r.reason(ctx, server.Spec.Selector))
	}
	controller, err := r.client.AppsV1().Deployments(namespace).Get(ctx, "garret-controller", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if !rolledOut(controller.Generation, controller.Status.ObservedGeneration, controller.Spec.Replicas, controller.Status.UpdatedReplicas, controller.Status.ReadyReplicas) {
		missing = append(missing, "garret-controller"+r.reason(ctx, controller.Spec.Selector))
	}
	service, err := r.aggregator.ApiregistrationV1().APIServices().Get(ctx, apiServiceName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if !available(service) && len(missing) == 0 {
		missing = append(missing, "the APIService "+service.Name+unavailable(service))
	}
	return missing, nil
}

func rolledOut(generation, observed int64, replicas *int32, updated, ready int32) bool {
	want := int32(1)
	if replicas != nil {
		want = *replicas
	}
	return observed >= generation && updated >= want && ready >= want
}

// reason finds out from the pods why a workload is not up.
func (r *readiness) reason(ctx context.Context, selector *metav1.LabelSelector) string {
	pods, err := r.client.CoreV1().Pods(tenancyv1.SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if err != nil || len(pods.Items) == 0 {
		return ""
	}
	for _, pod := range pods.Items {
		// First those that all others wait for.
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
				return explained(waiting.Reason, waiting.Message)
			}
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
				return explained(condition.Reason, condition.Message)
			}
		}
	}
	return ""
}

func available(service *apiregistrationv1.APIService) bool {
	condition := availability(service)
	return condition != nil && condition.Status == apiregistrationv1.ConditionTrue
}

func unavailable(service *apiregistrationv1.APIService) string {
	if condition := availability(service); condition != nil {
		return explained(condition.Reason, condition.Message)
	}
	return ""
}

func availability(service *apiregistrationv1.APIService) *apiregistrationv1.APIServiceCondition {
	for i := range service.Status.Conditions {
		if service.Status.Conditions[i].Type == apiregistrationv1.Available {
			return &service.Status.Conditions[i]
		}
	}
	return nil
}

func explained(reason, message string) string {
	if message == "" {
		return " (" + reason + ")"
	}
	return " (" + reason + ": " + message + ")"
}
