// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"sigs.k8s.io/yaml"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/pkg/chart"
)

// garret is the garret-apiserver that all tests share, in this process.
type garret struct {
	auditLog   string
	kubeconfig string // of its ServiceAccount
	inside     *inside
	clients    *versioned.Clientset // as the host's administrator
	stop       func()
}

// requestTimeout ends requests that are neither watches nor streams. It is
// short, so that a test can outlast it.
const requestTimeout = 10 * time.Second

// auditPolicy would record every body.
const auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"

// startGarret registers garret-apiserver with the host and waits until the host takes it for available.
func startGarret(dir string) (*garret, error) {
	ctx := context.Background()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := installRBAC(ctx); err != nil {
		return nil, err
	}
	g := &garret{auditLog: filepath.Join(dir, "audit.log"), kubeconfig: filepath.Join(dir, "kubeconfig")}
	if err := writeServiceAccount(ctx, g.kubeconfig); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if g.inside, err = serveInside(filepath.Join(dir, "ca.crt")); err != nil {
		return nil, err
	}
	policy := filepath.Join(dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	options := apiserver.NewOptions()
	options.Datastore.DataDir = filepath.Join(dir, "data")
	options.Recommended.CoreAPI.CoreAPIKubeconfigPath = g.kubeconfig
	options.Recommended.SecureServing.Listener = listener
	options.Recommended.Audit.PolicyFile = policy
	options.Recommended.Audit.LogOptions.Path = g.auditLog
	options.RequestTimeout = requestTimeout
	options.Dial = access.Dialer(g.inside.dial)
	options.ValidateValues = chart.TenantErrors
	if err := errors.Join(options.Complete(), options.Validate()); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- apiserver.Run(run, options) }()
	g.stop = func() { cancel(); <-done; g.inside.stop() }

	if err := register(ctx, listener.Addr().(*net.TCPAddr).Port); err != nil {
		g.stop()
		return nil, err
	}
	if g.clients, err = versioned.NewForConfig(shared.host.config); err != nil {
		return nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, interval, timeout, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-done:
			done <- err
			return false, fmt.Errorf("garret-apiserver ended: %w", err)
		default:
		}
		_, err := g.clients.TenancyV1().VirtualClusters("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	if err != nil {
		g.stop()
		return nil, fmt.Errorf("garret-apiserver is not available: %w", err)
	}
	return g, nil
}

// installRBAC applies the namespace, accounts and roles of the install chart,
// so that the tests fail when one is missing there.
func installRBAC(ctx context.Context) error {
	manifests, err := os.ReadFile("../../../artifacts/manifests/garret.yaml")
	if err != nil {
		return err
	}
	wanted := []string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
	var kept []string
	for _, document := range strings.Split(string(manifests), "\n---\n") {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return err
		}
		if slices.Contains(wanted, object.GetKind()) {
			kept = append(kept, document)
		}
	}
	program, err := binary("kubectl")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, "--kubeconfig", shared.host.kubeconfig, "apply", "-f", "-")
	command.Stdin = strings.NewReader(strings.Join(kept, "\n---\n"))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apply roles: %w: %s", err, output)
	}
	return nil
}

// writeServiceAccount writes a kubeconfig with a token of garret-apiserver's ServiceAccount.
func writeServiceAccount(ctx context.Context, file string) error {
	token, err := shared.host.client.CoreV1().ServiceAccounts(v1.SystemNamespace).CreateToken(ctx, "garret-apiserver",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return os.WriteFile(file, kubeconfig(shared.host.config.Host, shared.host.config.CAData, "token: "+token.Status.Token), 0o600)
}

// kubeconfig is one with this server and these credentials.
func kubeconfig(server string, ca []byte, user string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n")
	authority, _ := yaml.Marshal(ca) // base64, as a kubeconfig has it
	fmt.Fprintf(&out, "clusters: [{name: c, cluster: {server: '%s', certificate-authority-data: %s}}]\n", server, bytes.TrimSpace(authority))
	fmt.Fprintf(&out, "users: [{name: u, user: {%s}}]\n", user)
	return out.Bytes()
}

// register makes the Service and the APIService, as bare as the chart has it.
func register(ctx context.Context, port int) error {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "garret-apiserver", Namespace: v1.SystemNamespace},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	if _, err := shared.host.client.CoreV1().Services(v1.SystemNamespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	registrations, err := aggregator.NewForConfig(shared.host.config)
	if err != nil {
		return err
	}
	number := int32(port)
	_, err = registrations.ApiregistrationV1().APIServices().Create(ctx, &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: certs.APIServiceName},
		Spec: apiregistrationv1.APIServiceSpec{
			Service: &apiregistrationv1.ServiceReference{Namespace: v1.SystemNamespace, Name: "garret-apiserver", Port: &number},
			Group:   v1.GroupName, Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 15,
		},
	}, metav1.CreateOptions{})
	return err
}
