// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
)

func TestKindConfig(t *testing.T) {
	config := kindConfig(state{Name: "test", Nodes: 3})
	var roles []v1alpha4.NodeRole
	for _, node := range config.Nodes {
		roles = append(roles, node.Role)
	}
	want := []v1alpha4.NodeRole{v1alpha4.ControlPlaneRole, v1alpha4.WorkerRole, v1alpha4.WorkerRole}
	if !slices.Equal(roles, want) || config.Name != "test" {
		t.Errorf("got %s with %v, want test with %v", config.Name, roles, want)
	}
	if config.Networking.PodSubnet != kindPodNet || config.Networking.ServiceSubnet != kindServiceNet {
		t.Errorf("networks: got %+v", config.Networking)
	}
}

func TestKindNodesInOrder(t *testing.T) {
	names := []string{"t-worker10", "t-worker2", "t-control-plane", "t-worker"}
	slices.SortFunc(names, compareNodes)
	if want := []string{"t-control-plane", "t-worker", "t-worker2", "t-worker10"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestKindComponent(t *testing.T) {
	for name, want := range map[string]struct {
		node int
		what string
	}{
		"etcd": {1, "etcd"}, "kubelet": {1, "kubelet"}, "kubelet-node2": {2, "kubelet"}, "kube-proxy-node10": {10, "kube-proxy"},
		"provisioner": {0, ""}, "kubelet-nodeX": {0, ""}, "": {0, ""},
	} {
		if node, what := kindComponent(name); node != want.node || what != want.what {
			t.Errorf("%q: got %d and %q, want %d and %q", name, node, what, want.node, want.what)
		}
	}
}

func TestKindRoutes(t *testing.T) {
	node := func(address, pods string) corev1.Node {
		return corev1.Node{
			Spec: corev1.NodeSpec{PodCIDR: pods},
			Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeHostName, Address: "n"}, {Type: corev1.NodeInternalIP, Address: "fc00::2"}, {Type: corev1.NodeInternalIP, Address: address}}},
		}
	}
	got := kindRoutes([]corev1.Node{node("172.18.0.2", "10.244.0.0/24"), node("172.18.0.3", "10.244.1.0/24"), node("172.18.0.4", "")})
	want := []route{{kindServiceNet, "172.18.0.2"}, {"10.244.0.0/24", "172.18.0.2"}, {"10.244.1.0/24", "172.18.0.3"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Where there is no engine, whatever is asked for must say so.
func TestKindWithoutAnEngine(t *testing.T) {
	none := errors.New("no container engine")
	k := newKind(&state{Dir: t.TempDir(), Name: "test", Nodes: 1}, newProgress(nil))
	k.engine = func() (*cluster.Provider, error) { return nil, none }
	_, logs := k.logs("kubelet")
	for what, err := range map[string]error{
		"up": k.up(t.Context(), nil), "load": k.load(t.Context(), nil), "restart": k.restart(t.Context(), "kubelet"), "logs": logs, "down": k.down(t.Context()),
	} {
		if !errors.Is(err, none) {
			t.Errorf("%s: got %v, want %v", what, err, none)
		}
	}
}

func TestFindEngineTellsWhatIsNeeded(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := findEngine(kindLog{newProgress(nil)}); err == nil || !strings.Contains(err.Error(), "needs a container engine (docker, podman or nerdctl)") {
		t.Errorf("got %v", err)
	}
}

func TestSigned(t *testing.T) {
	_, request, err := certificateRequest("jane", []string{"readers"})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.Subject.CommonName != "jane" || !slices.Equal(csr.Subject.Organization, []string{"readers"}) {
		t.Fatalf("got %+v, %v", csr, err)
	}
	client := fake.NewClientset()
	done := make(chan error, 1)
	go func() { done <- signApproved(t.Context(), client) }()
	got, err := signed(t.Context(), client, request)
	if err := errors.Join(err, <-done); err != nil || string(got) != "signed" {
		t.Errorf("got %q, %v", got, err)
	}
}

// signApproved stands in for the signer, which acts on approved requests only.
func signApproved(ctx context.Context, client *fake.Clientset) error {
	requests := client.CertificatesV1().CertificateSigningRequests()
	watch, err := requests.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watch.Stop()
	approved := func(csr *certificatesv1.CertificateSigningRequest) bool {
		return len(csr.Status.Conditions) == 1 && csr.Status.Conditions[0].Type == certificatesv1.CertificateApproved
	}
	for {
		list, err := requests.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, csr := range list.Items {
			if approved(&csr) {
				csr.Status.Certificate = []byte("signed")
				_, err := requests.UpdateStatus(ctx, &csr, metav1.UpdateOptions{})
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-watch.ResultChan():
		}
	}
}
