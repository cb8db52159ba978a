// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregation

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"sigs.k8s.io/yaml"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/test/framework"
)

// serviceAccount is garret-apiserver's, as the install chart names it.
const serviceAccount = "garret-apiserver"

// installed are the kinds of the install chart that need no node.
var installed = []string{
	"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}

// InstallRBAC applies the namespace, accounts, roles and admission of the install chart.
func InstallRBAC(ctx context.Context, host *framework.ControlPlane) error {
	return install(ctx, host, installed)
}

// InstallPolicy applies the policy of the install chart for the accounts of syncers,
// on a host without a garret-apiserver.
func InstallPolicy(ctx context.Context, host *framework.ControlPlane) error {
	return install(ctx, host, []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"})
}

// install applies what there is of these kinds in the install chart.
func install(ctx context.Context, host *framework.ControlPlane, kinds []string) error {
	file, err := framework.Artifact("manifests/garret.yaml")
	if err != nil {
		return err
	}
	manifests, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var kept []string
	for _, document := range strings.Split(string(manifests), "\n---\n") {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return err
		}
		if slices.Contains(kinds, object.GetKind()) {
			kept = append(kept, document)
		}
	}
	program, err := framework.Binary("kubectl")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, "--kubeconfig", host.Kubeconfig, "apply", "-f", "-")
	command.Stdin = strings.NewReader(strings.Join(kept, "\n---\n"))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apply parts of the chart: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// Register makes the Service and the APIService, as bare as the chart has it.
// The host must not route to endpoints (HostFlag): there are none, only a name.
func Register(ctx context.Context, host *framework.ControlPlane, port int) error {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceAccount, Namespace: v1.SystemNamespace},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	if _, err := host.Client.CoreV1().Services(v1.SystemNamespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	registrations, err := aggregator.NewForConfig(host.Config)
	if err != nil {
		return err
	}
	number := int32(port)
	_, err = registrations.ApiregistrationV1().APIServices().Create(ctx, &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: certs.APIServiceName},
		Spec: apiregistrationv1.APIServiceSpec{
			Service: &apiregistrationv1.ServiceReference{Namespace: v1.SystemNamespace, Name: serviceAccount, Port: &number},
			Group:   v1.GroupName, Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 15,
		},
	}, metav1.CreateOptions{})
	return err
}
