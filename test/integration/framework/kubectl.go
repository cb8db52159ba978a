// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kubectl runs kubectl with a kubeconfig and the input given, and returns all
// that it prints.
func Kubectl(t testing.TB, kubeconfig, input string, args ...string) (string, error) {
	t.Helper()
	return KubectlWith(t, kubeconfig, nil, input, args...)
}

// KubectlWith is Kubectl with further variables in the environment.
func KubectlWith(t testing.TB, kubeconfig string, environment []string, input string, args ...string) (string, error) {
	t.Helper()
	program, err := Binary("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	// Some commands wait for what may never come.
	ctx, cancel := context.WithTimeout(t.Context(), 2*Timeout)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(command.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+t.TempDir())
	command.Env = append(command.Env, environment...)
	command.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err = command.Run()
	return output.String(), err
}

// MustKubectl is kubectl as the control plane's administrator, where failing fails the test.
func (c *ControlPlane) MustKubectl(t testing.TB, input string, args ...string) string {
	t.Helper()
	output, err := Kubectl(t, c.Kubeconfig, input, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

// NewNamespace makes a namespace of the test's own, which goes with the control plane.
func (c *ControlPlane) NewNamespace(t testing.TB, prefix string) string {
	t.Helper()
	namespace, err := c.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}
