// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/exit"
	"garret.dev/garret/pkg/cli/host"
)

const entered = "garret_demo_team-a_host"

// run executes one command line against the API, with a kubeconfig of its own.
func (h *hostAPI) run(stdin, file string, args ...string) (stdout, stderr string, err error) {
	h.t.Helper()
	flags := host.NewFlags()
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	in.WriteString(stdin)
	commands := &Commands{Program: "garret", Flags: flags, Streams: streams, Terminal: h.terminal}
	root := &cobra.Command{Use: "garret", SilenceUsage: true, SilenceErrors: true}
	root.SetGlobalNormalizationFunc(host.Normalize)
	flags.AddTo(root.PersistentFlags())
	root.AddCommand(commands.Create(), commands.List(), commands.Delete(), commands.Use())
	root.AddCommand(commands.Kubeconfig(), commands.Disconnect(), commands.Recover())
	root.SetArgs(append([]string{"--kubeconfig", file}, args...))
	root.SetOut(&bytes.Buffer{})
	err = root.ExecuteContext(h.t.Context())
	return out.String(), errOut.String(), err
}

func (h *hostAPI) writeKubeconfig() string {
	h.t.Helper()
	file := filepath.Join(h.t.TempDir(), "config")
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: host
clusters: [{name: host, cluster: {server: %q}}]
contexts: [{name: host, context: {cluster: host, user: alice, namespace: team-a}}]
users: [{name: alice, user: {token: secret}}]
`, h.server.URL)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return file
}

func current(t *testing.T, file string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return config.CurrentContext
}

func status(phase tenancyv1.Phase, kind string, is metav1.ConditionStatus, reason, message string) tenancyv1.VirtualClusterStatus {
	return tenancyv1.VirtualClusterStatus{Phase: phase, Conditions: []metav1.Condition{
		{Type: kind, Status: is, Reason: reason, Message: message, LastTransitionTime: metav1.Now()},
	}}
}

func deploying() tenancyv1.VirtualClusterStatus {
	return status(tenancyv1.PhaseDeploying, tenancyv1.ConditionReady, metav1.ConditionFalse, "ImagePull", "pulling an image")
}

func ready() tenancyv1.VirtualClusterStatus {
	return status(tenancyv1.PhaseReady, tenancyv1.ConditionReady, metav1.ConditionTrue, "Ready", "")
}

func TestLifeOfAVirtualCluster(t *testing.T) {
	api := newHostAPI(t, deploying(), ready())
	file := api.writeKubeconfig()
	_, told, err := api.run("", file, "create", "vcluster", "demo", "--create-namespace")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"namespace team-a made", "Deploying: ImagePull: pulling an image", "ready after", entered} {
		if !strings.Contains(told, want) {
			t.Errorf("create did not tell %q:\n%s", want, told)
		}
	}
	if got := current(t, file); got != entered {
		t.Errorf("current context is %s, want %s", got, entered)
	}
	if api.namespace == nil || api.namespace.Labels[podSecurityLabel] != "baseline" {
		t.Errorf("the namespace was made as %v, want %s=baseline: a pod inside could be privileged on the host", api.namespace, podSecurityLabel)
	}

	// Inside, the commands still work on the host.
	table, _, err := api.run("", file, "list", "vclusters")
	if err != nil || table != "NAME   PHASE\ndemo   Ready\n" {
		t.Errorf("list printed %q (%v)", table, err)
	}
	if table, _, err = api.run("", file, "list", "vc", "-A", "-o", "wide"); err != nil || !strings.HasPrefix(table, "NAMESPACE   NAME   PHASE   ENDPOINT\nteam-a      demo") {
		t.Errorf("list of all namespaces printed %q (%v)", table, err)
	}
	if names, _, err := api.run("", file, "list", "vclusters", "-o", "name"); err != nil || names != "virtualcluster.tenancy.garret.dev/demo\n" {
		t.Errorf("list of names printed %q (%v)", names, err)
	}
	if _, _, err := api.run("", file, "list", "-o", "nonsense"); exit.Of(t.Context(), err) != exit.Usage {
		t.Errorf("list with an unknown output format answered %v, want exit code %d", err, exit.Usage)
	}
	if _, _, err := api.run("", file, "list", "vc", "nobody"); exit.Of(t.Context(), err) != exit.NotFound {
		t.Errorf("list of a name that does not exist answered %v, want exit code %d", err, exit.NotFound)
	}
	inside, _, err := api.run("", file, "use", "demo", "--", "sh", "-c", `cat "${KUBECONFIG%%:*}"; echo "rest ${KUBECONFIG#*:}"; exit 7`)
	if exit.Of(t.Context(), err) != 7 || !strings.Contains(inside, collection+"/demo/proxy") || !strings.Contains(inside, "rest "+file) {
		t.Errorf("a command inside ended with %v and printed %q, want exit code 7 and a kubeconfig that leads inside before %s", err, inside, file)
	}
	if _, _, err := api.run("", file, "use", "--", "true"); exit.Of(t.Context(), err) != exit.Usage {
		t.Errorf("without a name and a terminal, use answered %v, want exit code %d", err, exit.Usage)
	}
	if _, _, err := api.run("", file, "use", "host"); err != nil || current(t, file) != "host" {
		t.Errorf("current context is %s after use host (%v)", current(t, file), err)
	}
	if _, _, err := api.run("", file, "use", "vcluster", "demo"); err != nil || current(t, file) != entered {
		t.Errorf("current context is %s after use (%v)", current(t, file), err)
	}

	if _, _, err := api.run("", file, "delete", "vcluster", "demo"); err != nil {
		t.Fatal(err)
	}
	if got := current(t, file); got != "host" {
		t.Errorf("current context is %s after delete, want host", got)
	}
	if content, err := os.ReadFile(file); err != nil || strings.Contains(string(content), entered) {
		t.Errorf("the context outlived the virtual cluster (%v)", err)
	}
	if _, _, err := api.run("", file, "delete", "vcluster", "demo"); err == nil {
		t.Error("deleting what is not there is no error")
	}
	if _, _, err := api.run("", file, "delete", "vcluster", "demo", "--ignore-not-found"); err != nil {
		t.Errorf("ignoring not found: %v", err)
	}
}

func TestCreateFailures(t *testing.T) {
	stalled := status(tenancyv1.PhaseFailed, tenancyv1.ConditionStalled, metav1.ConditionTrue, "QuotaExceeded", "no memory left")
	tests := map[string]struct {
		script []tenancyv1.VirtualClusterStatus
		args   []string
		want   []string
		code   int
	}{
		"cannot come up":   {[]tenancyv1.VirtualClusterStatus{deploying(), stalled}, nil, []string{"QuotaExceeded", "no memory left", "kubectl describe vc demo"}, exit.NotReady},
		"takes too long":   {[]tenancyv1.VirtualClusterStatus{deploying()}, []string{"--timeout", "3s"}, []string{"not ready", "pulling an image", "kubectl wait"}, exit.NotReady},
		"file of no use":   {nil, []string{"-f", "-"}, []string{"VirtualCluster"}, exit.Usage},
		"value of no use":  {nil, []string{"--set", "a"}, []string{"--set a"}, exit.Usage},
		"file not found":   {nil, []string{"-f", "/nonexistent"}, []string{"/nonexistent"}, exit.Failed},
		"without a name":   {nil, []string{"too many"}, []string{"exactly one name"}, exit.Usage},
		"impersonated use": {[]tenancyv1.VirtualClusterStatus{ready()}, []string{"--as", "bob"}, []string{"--as"}, exit.Failed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			api := newHostAPI(t, test.script...)
			file := api.writeKubeconfig()
			_, _, err := api.run("kind: Pod\n", file, append([]string{"create", "vcluster", "demo"}, test.args...)...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if got := exit.Of(t.Context(), err); got != test.code {
				t.Errorf("got exit code %d, want %d", got, test.code)
			}
			if got := current(t, file); got != "host" {
				t.Errorf("current context is %s all the same", got)
			}
		})
	}
}

func TestCreateFromFile(t *testing.T) {
	const manifest = `apiVersion: tenancy.garret.dev/v1
kind: VirtualCluster
metadata:
  labels: {team: a}
spec:
  kubernetes: {version: v1.36.3, distro: k8s}
  helm: {values: {syncer: {resources: {limits: {cpu: 1}}}}}
`
	api := newHostAPI(t)
	_, _, err := api.run(manifest, api.writeKubeconfig(), "create", "vc", "demo", "-f", "-", "--wait=false", "--connect=false",
		"--kubernetes-version", "v1.37.2", "--cluster", "edge", "--set", "syncer.resources.limits.memory=1Gi")
	if err != nil {
		t.Fatal(err)
	}
	spec := api.object.Spec
	if spec.Kubernetes.Version != "v1.37.2" || spec.Kubernetes.Distro != tenancyv1.DistroK8s || api.object.Labels["team"] != "a" || spec.HostClusterRef.Name != "edge" {
		t.Errorf("file and flags came to %+v", api.object)
	}
	if got, want := string(spec.Helm.Values.Raw), `{"syncer":{"resources":{"limits":{"cpu":1,"memory":"1Gi"}}}}`; got != want {
		t.Errorf("values are %s, want %s", got, want)
	}
}

func TestUsePrints(t *testing.T) {
	api := newHostAPI(t, ready())
	file := api.writeKubeconfig()
	if _, told, err := api.run("", file, "create", "vcluster", "demo", "--connect=false"); err != nil || !strings.Contains(told, "use demo --namespace team-a") {
		t.Fatal(err)
	}
	printed, _, err := api.run("", file, "use", "vcluster", "demo", "--print")
	if err != nil || !strings.Contains(printed, collection+"/demo/proxy") || strings.Contains(printed, "secret") {
		t.Errorf("printed (%v):\n%s", err, printed)
	}
	if current(t, file) != "host" {
		t.Error("--print changed the kubeconfig")
	}
}

func TestKubeconfig(t *testing.T) {
	api := newHostAPI(t)
	printed, told, err := api.run("", api.writeKubeconfig(), "kubeconfig", "demo", "--expiration", "2h", "--server", "https://demo.example.com", "--cluster-role", "view")
	if err != nil {
		t.Fatal(err)
	}
	if printed != "life: 7200\nserver: https://demo.example.com\nrole: view\n" {
		t.Errorf("printed %q: standard output must hold the kubeconfig alone", printed)
	}
	if !strings.Contains(told, "valid until") || !strings.Contains(told, "delete clusterrolebinding garret:kubeconfig:0123456789abcdef") {
		t.Errorf("told %q, want the end and how to revoke", told)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	api := newHostAPI(t)
	file := api.writeKubeconfig()
	if _, _, err := api.run("", file, "create", "vcluster", "demo", "--wait=false", "--connect=false"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	for _, line := range [][]string{{}, {"vcluster"}} {
		flags := host.NewFlags()
		cmd := (&Commands{Flags: flags}).Delete()
		cmd.SetContext(t.Context())
		if names, _ := cmd.ValidArgsFunction(cmd, line, ""); !slices.Equal(names, []string{"demo"}) {
			t.Errorf("after %v it completed to %v, want demo", line, names)
		}
	}
}
