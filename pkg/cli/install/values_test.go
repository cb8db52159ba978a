// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

func TestValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte("image: {tag: v1, pullPolicy: Always}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := installOptions{files: []string{file, "-"}, set: []string{"image.tag=v3", "controller.replicas=2"}}
	got, err := options.values(strings.NewReader("image: {tag: v2, repository: mirror}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"image":      map[string]any{"tag": "v3", "pullPolicy": "Always", "repository": "mirror"},
		"controller": map[string]any{"replicas": int64(2)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: the later wins, and what it does not name stays", got, want)
	}
}

func TestDryRun(t *testing.T) {
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	cmd := (&Commands{Program: "garret", Flags: host.NewFlags(), Streams: streams}).Install()
	cmd.SetArgs([]string{"--dry-run", "--set", "image.repository=mirror.example"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kind: Namespace", "image: mirror.example/apiserver:", "kind: APIService"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in what was printed", want)
		}
	}
}

func TestEnsureNamespace(t *testing.T) {
	client := fake.NewClientset()
	if err := ensureNamespace(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	made, err := client.CoreV1().Namespaces().Get(t.Context(), tenancyv1.SystemNamespace, metav1.GetOptions{})
	if err != nil || made.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("made %v (%v), want the namespace under the profile restricted", made, err)
	}
	existing := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.SystemNamespace, Labels: map[string]string{"own": "label"}}})
	if err := ensureNamespace(t.Context(), existing); err != nil {
		t.Errorf("a namespace that exists: %v", err)
	}
}
