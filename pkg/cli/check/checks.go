// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// minimumVersion is the oldest Kubernetes that Garret's chart installs on.
const minimumVersion = "1.30.0"

// defaultClass marks the storage class of claims that name none.
const defaultClass = "storageclass.kubernetes.io/is-default-class"

func checks() []check {
	return []check{
		{"version", checkVersion},
		{"aggregation", checkAggregation},
		{"rights", checkRights},
		{"storage class", checkStorage},
		{"pod security", checkPodSecurity},
		{"network policies", checkNetworkPolicies},
		{"metrics", checkMetrics},
	}
}

func checkVersion(_ context.Context, client kubernetes.Interface) finding {
	server, err := client.Discovery().ServerVersion()
	if err != nil {
		return finding{failed, err.Error(), "see that the host is up, or choose another with --context"}
	}
	got, err := version.ParseGeneric(server.GitVersion)
	if err != nil {
		return unknown(err, "see that the host runs Kubernetes "+minimumVersion+" or newer")
	}
	if got.LessThan(version.MustParseGeneric(minimumVersion)) {
		return finding{failed, "the host runs Kubernetes " + server.GitVersion, "upgrade it to " + minimumVersion + " or newer"}
	}
	return ok("Kubernetes %s", server.GitVersion)
}

// checkAggregation looks for what an aggregated API server needs: the API to register by, and
// the authority of the host's requests to it.
func checkAggregation(ctx context.Context, client kubernetes.Interface) finding {
	const group = "apiregistration.k8s.io/v1"
	if _, err := client.Discovery().ServerResourcesForGroupVersion(group); err != nil {
		return finding{failed, group + ": " + err.Error(), "the host's API server must serve APIServices: use a distribution with the aggregation layer"}
	}
	const namespace, name = "kube-system", "extension-apiserver-authentication"
	authentication, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return unknown(err, "have an administrator of the host run this command")
	case err != nil:
		return finding{failed, err.Error(), "set --requestheader-client-ca-file on the host's API server"}
	case authentication.Data["requestheader-client-ca-file"] == "":
		return finding{failed, "the ConfigMap " + namespace + "/" + name + " names no authority of the front proxy", "set --requestheader-client-ca-file on the host's API server"}
	}
	return ok("the host serves APIServices and identifies itself to them")
}

// checkRights asks for the rights that make an installation. Who may do everything may do that;
// nobody else can grant the controller its rights without escalate.
func checkRights(ctx context.Context, client kubernetes.Interface) finding {
	var missing []string
	for _, need := range []authorizationv1.ResourceAttributes{
		{Verb: "create", Resource: "namespaces"},
		{Verb: "create", Group: "apiregistration.k8s.io", Resource: "apiservices"},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
		{Verb: "create", Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies"},
		{Verb: "create", Group: "apps", Resource: "statefulsets", Namespace: tenancyv1.SystemNamespace},
		{Verb: "create", Resource: "secrets", Namespace: tenancyv1.SystemNamespace},
	} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &need}}
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return unknown(err, "have an administrator of the host run this command")
		}
		if !answer.Status.Allowed {
			missing = append(missing, need.Verb+" "+need.Resource)
		}
	}
	if len(missing) > 0 {
		return finding{failed, "you may not " + strings.Join(missing, ", "), "have somebody install Garret who is bound to the ClusterRole cluster-admin"}
	}
	return ok("you may install Garret")
}

func checkStorage(ctx context.Context, client kubernetes.Interface) finding {
	remedy := "mark a StorageClass with the annotation " + defaultClass + "=true, or name one in apiserver.persistence.storageClassName of the chart and in spec.controlPlane.storage.storageClassName"
	list, err := client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return unknown(err, "have an administrator of the host run this command")
	}
	for _, class := range list.Items {
		if class.Annotations[defaultClass] == "true" {
			return ok("%s is the default, by %s", class.Name, class.Provisioner)
		}
	}
	return finding{failed, fmt.Sprintf("none of %d storage classes is the default", len(list.Items)), remedy}
}

// checkPodSecurity tries, by dry run, to create a pod that the host must refuse.
func checkPodSecurity(ctx context.Context, client kubernetes.Interface) finding {
	const label = "pod-security.kubernetes.io/enforce"
	remedy := "label the namespaces of virtual clusters " + label + "=baseline; garret create --create-namespace does"
	list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: label + " in (baseline,restricted)"})
	if err != nil {
		return unknown(err, "have an administrator of the host run this command")
	}
	if len(list.Items) == 0 {
		return finding{warning, "no namespace enforces a level, so garret check cannot try it; the syncer enforces a level itself", remedy}
	}
	namespace, privileged := list.Items[0].Name, true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "garret-check-"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "check", Image: "check", SecurityContext: &corev1.SecurityContext{Privileged: &privileged},
		}}},
	}
	_, err = client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil:
		return finding{warning, "the host took a privileged pod in the namespace " + namespace + ", which enforces a level",
			"switch on the admission plugin PodSecurity of the host's API server; the syncer enforces a level itself"}
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "PodSecurity"):
		return ok("the host refuses a privileged pod in the namespace %s", namespace)
	}
	return unknown(err, "have an administrator of the host run this command")
}

// checkNetworkPolicies looks for a network that is known to enforce policies. The API
// takes policies whether anything enforces them or not.
func checkNetworkPolicies(ctx context.Context, client kubernetes.Interface) finding {
	remedy := "see in the documentation of the host's network whether it enforces them; where it does not, pods of one tenant reach those of another"
	list, err := client.AppsV1().DaemonSets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return unknown(err, "have an administrator of the host run this command")
	}
	for _, set := range list.Items {
		known := []string{"calico-node", "cilium", "antrea-agent", "kube-router", "weave-net", "ovnkube-node"}
		if slices.Contains(known, set.Name) {
			return ok("%s/%s enforces them", set.Namespace, set.Name)
		}
	}
	return finding{warning, "the API does not tell whether the host's network enforces NetworkPolicies", remedy}
}

func checkMetrics(_ context.Context, client kubernetes.Interface) finding {
	if _, err := client.Discovery().ServerResourcesForGroupVersion("metrics.k8s.io/v1beta1"); err != nil {
		return finding{warning, "the host serves no metrics of pods", "install metrics-server; kubectl top, garret top and autoscalers inside need it"}
	}
	return ok("the host tells what pods use")
}
