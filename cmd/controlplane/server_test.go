package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
)

func TestServer(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	p := start(t, dir, freePort(t), "--write-kubeconfig-mode=0640", "--tls-san=vc-demo.ns.svc")
	client := p.client(t)
	info, err := os.Stat(p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "mode of the kubeconfig", info.Mode().Perm(), os.FileMode(0o640))
	want(t, "kine's socket with the data", fileExists(filepath.Join(dir, "server", "kine.sock")), true)

	t.Run("controllers run", func(t *testing.T) {
		p.until(t, "the default service account", func() error {
			_, err := client.CoreV1().ServiceAccounts("default").Get(background(), "default", metav1.GetOptions{})
			return err
		})
		p.until(t, "the root certificate's config map", func() error {
			_, err := client.CoreV1().ConfigMaps("default").Get(background(), "kube-root-ca.crt", metav1.GetOptions{})
			return err
		})
	})
	t.Run("readiness has upstream's checks", func(t *testing.T) {
		report, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").DoRaw(background())
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range []string{"ping", "etcd", "informer-sync", "autoregister-completion", "shutdown", "poststarthook/rbac/bootstrap-roles",
			"poststarthook/scheduling/bootstrap-system-priority-classes", "poststarthook/start-kubernetes-service-cidr-controller"} {
			if !strings.Contains(string(report), "[+]"+check+" ok") {
				t.Errorf("check %s is not among:\n%s", check, report)
			}
		}
	})
	t.Run("no queue wakes to renew a metric", func(t *testing.T) {
		metrics, err := client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(background())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(metrics), "apiserver_request_total") || strings.Contains(string(metrics), "workqueue_") {
			t.Error("want the metrics of an API server without workqueue_*")
		}
	})
	t.Run("types in policies are checked", func(t *testing.T) { testTypeChecks(t, p) })
	t.Run("anonymous requests", func(t *testing.T) { testAnonymous(t, p) })
	t.Run("openapi", func(t *testing.T) { testOpenAPI(t, client) })
	t.Run("a second server on the data", func(t *testing.T) {
		second := start(t, dir, freePort(t))
		<-second.ended
		refused(t, second, "in use by another server")
	})
	t.Run("a second server on the port", func(t *testing.T) {
		second := start(t, shortDir(t), p.port)
		<-second.ended
		refused(t, second, "pass another --https-listen-port")
	})
	t.Run("stop and start again", func(t *testing.T) { testRestart(t, p, client) })
}

// testTypeChecks creates the first policy, with an expression that fits no Deployment.
func testTypeChecks(t *testing.T, p *process) {
	policies := p.client(t).AdmissionregistrationV1().ValidatingAdmissionPolicies()
	policy, err := policies.Create(background(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "types.example.com"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "object.spec.replicas.startsWith('3')"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.until(t, "the warning about the policy's expression", func() error {
		checked, err := policies.Get(background(), policy.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if checked.Status.ObservedGeneration != policy.Generation || checked.Status.TypeChecking == nil || len(checked.Status.TypeChecking.ExpressionWarnings) != 1 {
			return fmt.Errorf("status is %+v", checked.Status)
		}
		return nil
	})
	if err := policies.Delete(background(), policy.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func testAnonymous(t *testing.T, p *process) {
	ca, err := os.ReadFile(filepath.Join(p.dir, "server", "tls", "server-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	// The server name is one that only --tls-san brought in.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "vc-demo.ns.svc"}}}
	defer client.CloseIdleConnections()
	for path, expected := range map[string]struct {
		code int
		body string
	}{
		"/ping":    {200, "pong"},
		"/cacerts": {200, string(ca)},
		"/readyz":  {401, ""},
		"/api":     {401, ""},
	} {
		response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d%s", p.port, path))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		want(t, path, response.StatusCode, expected.code)
		if expected.body != "" {
			want(t, path, string(body), expected.body)
		}
	}
}

// testOpenAPI sees the documents as clients do: by the addresses in the root
// document, with and without their hash.
func testOpenAPI(t *testing.T, client kubernetes.Interface) {
	rest := client.Discovery().RESTClient()
	paths, err := client.Discovery().OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1", "apis/apiregistration.k8s.io/v1"} {
		document, ok := paths[group]
		if !ok {
			t.Errorf("the root document lacks %s", group)
			continue
		}
		body, err := document.Schema("application/json")
		if err != nil || !strings.Contains(string(body), `"x-kubernetes-group-version-kind"`) {
			t.Errorf("%s: %d bytes, error %v, want a document with kinds", group, len(body), err)
		}
	}
	direct, err := rest.Get().AbsPath("/openapi/v3/apis/apps/v1").DoRaw(background())
	if err != nil || !strings.Contains(string(direct), "io.k8s.api.apps.v1.Deployment") {
		t.Errorf("without a hash: %d bytes, error %v", len(direct), err)
	}
	redirected, err := rest.Get().AbsPath("/openapi/v3/apis/apps/v1").Param("hash", "OLD").DoRaw(background())
	if err != nil || string(redirected) != string(direct) {
		t.Errorf("with an old hash: %d bytes, error %v, want the current document", len(redirected), err)
	}
	v2, err := client.Discovery().OpenAPISchema()
	if err != nil || len(v2.GetDefinitions().GetAdditionalProperties()) < 500 {
		t.Errorf("version 2: %d definitions, error %v", len(v2.GetDefinitions().GetAdditionalProperties()), err)
	}
	if _, err := discovery.NewDiscoveryClient(rest).ServerPreferredResources(); err != nil {
		t.Errorf("discovery: %v", err)
	}
}

// killedAfter is terminationGracePeriodSeconds of the pod.
const killedAfter = 10 * time.Second

func testRestart(t *testing.T, p *process, client kubernetes.Interface) {
	made, err := client.CoreV1().ConfigMaps("default").Create(background(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	// A watch has no end of its own. A pod that waited for it would be killed.
	watch, err := client.CoreV1().ConfigMaps("default").Watch(background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	asked := time.Now()
	want(t, "exit code of a stop", p.stop(t), 0)
	if took := time.Since(asked); took >= killedAfter {
		t.Errorf("with an open watch, the server took %s to stop; its pod is killed after %s", took, killedAfter)
	}
	want(t, "a write-ahead log left behind", fileExists(filepath.Join(p.dir, "server", "db", "state.db-wal")), false)

	again := start(t, p.dir, p.port, "--tls-san=vc-demo.ns.svc")
	kept, err := again.client(t).CoreV1().ConfigMaps("default").Get(background(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "UID after a restart", kept.UID, made.UID)
	after, err := os.ReadFile(again.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the kubeconfig after a restart", string(after), string(kubeconfig))
	again.stopEarly(t)
}

// TestKillLosesNothing writes as fast as the server answers, kills it in the
// middle, and looks for every write that was acknowledged.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	dir, port := shortDir(t), freePort(t)
	acknowledged := map[string]string{}
	for round := range 3 {
		p := start(t, dir, port)
		client := p.client(t)
		killed := make(chan struct{})
		count := 0
		for i := 0; ; i++ {
			name := fmt.Sprintf("round-%d-%d", round, i)
			made, err := client.CoreV1().ConfigMaps("default").Create(background(),
				&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
			if err != nil {
				break
			}
			acknowledged[name] = string(made.UID)
			if count++; count == 150 {
				// The writes go on while the process is ended.
				go func() {
					p.kill()
					close(killed)
				}()
			}
		}
		if count < 150 {
			t.Fatalf("round %d: the server refused a write:\n%s", round, p.log)
		}
		<-killed
	}
	p := start(t, dir, port)
	list, err := p.client(t).CoreV1().ConfigMaps("default").List(background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]string{}
	for _, item := range list.Items {
		stored[item.Name] = string(item.UID)
	}
	for name, uid := range acknowledged {
		if stored[name] != uid {
			t.Errorf("%s was acknowledged as %s and is stored as %q", name, uid, stored[name])
		}
	}
	t.Logf("%d acknowledged writes over 3 kills", len(acknowledged))
}

func TestRefusedFlagsEndTheProcess(t *testing.T) {
	t.Parallel()
	for flag, remedy := range map[string]string{
		"--cluster-init":                         "--datastore-endpoint",
		"--no-such-flag":                         "unknown flag",
		"--kube-apiserver-arg=no-such-flag=1":    "--kube-apiserver-arg: unknown flag",
		"--kube-controller-manager-arg=nosuch=1": "--kube-controller-manager-arg: unknown flag",
	} {
		t.Run(flag, func(t *testing.T) {
			p := start(t, shortDir(t), freePort(t), flag)
			<-p.ended
			refused(t, p, remedy)
		})
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, tc := range []struct{ args, want, not string }{
		{"--version", "controlplane version v", ""},
		{"--help", "server", "seed"},
		{"server --help", "--write-kubeconfig-mode", "Global Flags"},
	} {
		out, err := program(strings.Fields(tc.args)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) || (tc.not != "" && strings.Contains(string(out), tc.not)) {
			t.Errorf("%s: error %v, want output with %q and without %q:\n%s", tc.args, err, tc.want, tc.not, out)
		}
	}
}

func TestKineTLS(t *testing.T) {
	t.Parallel()
	p := start(t, shortDir(t), freePort(t), "--kine-tls")
	_, err := p.client(t).CoreV1().ConfigMaps("default").Get(background(), "none", metav1.GetOptions{})
	want(t, "an answer through TLS", apierrors.IsNotFound(err), true)
}

func refused(t *testing.T, p *process, remedy string) {
	t.Helper()
	if code := p.ProcessState.ExitCode(); code == 0 {
		t.Error("exit code 0, want another")
	}
	if !strings.Contains(p.log.String(), remedy) {
		t.Errorf("output does not say %q:\n%s", remedy, p.log)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
