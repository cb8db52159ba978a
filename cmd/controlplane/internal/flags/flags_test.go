package flags

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// required is what every accepted command line has.
var required = []string{"--disable-agent", "--disable-scheduler"}

func parse(t *testing.T, args []string, env map[string]string) (*Server, *pflag.FlagSet, error) {
	t.Helper()
	s := &Server{}
	fs := pflag.NewFlagSet("server", pflag.ContinueOnError)
	s.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return s, fs, err
	}
	return s, fs, MergeSources(fs, func(name string) string { return env[name] })
}

func TestDocumentedFlagsAreKnown(t *testing.T) {
	documented := strings.Fields(`advertise-address advertise-port agent-token agent-token-file apiserver-bind-address apiserver-port
		bind-address cluster-cidr cluster-dns cluster-domain cluster-init cluster-reset cluster-reset-restore-path config data-dir
		datastore-cafile datastore-certfile datastore-endpoint datastore-keyfile debug default-local-storage-path disable
		disable-agent disable-apiserver disable-cloud-controller disable-controller-manager disable-etcd disable-helm-controller
		disable-kube-proxy disable-network-policy disable-scheduler egress-selector-mode embedded-registry etcd-arg
		flannel-backend flannel-external-ip flannel-ipv6-masq helm-controller-arg helm-job-image https-listen-port kine-tls
		kube-apiserver-arg kube-cloud-controller-manager-arg kube-controller-manager-arg kube-scheduler-arg rootless
		secrets-encryption secrets-encryption-provider server service-cidr service-node-port-range servicelb-namespace
		supervisor-metrics supervisor-port system-default-registry tls-san tls-san-security token token-file v
		write-kubeconfig write-kubeconfig-group write-kubeconfig-mode write-kubeconfig-name`)
	fs := pflag.NewFlagSet("server", pflag.ContinueOnError)
	(&Server{}).AddFlags(fs)
	for _, name := range documented {
		if fs.Lookup(name) == nil {
			t.Errorf("flag --%s is documented and not known", name)
		}
	}
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string // part of the error; empty: valid
	}{
		"the required flags alone":         {},
		"an undocumented flag":             {args: []string{"--no-deploy=traefik"}, want: "unknown flag: --no-deploy"},
		"scheduler asked for":              {args: []string{"--disable-scheduler=false"}, want: "--disable-scheduler is required"},
		"agent asked for":                  {args: []string{"--disable-agent=false"}, want: "--disable-agent is required"},
		"flannel asked for":                {args: []string{"--flannel-backend=vxlan"}, want: "--flannel-backend=vxlan"},
		"flannel off":                      {args: []string{"--flannel-backend=none"}},
		"egress tunnel asked for":          {args: []string{"--egress-selector-mode=pod"}, want: "pass disabled"},
		"embedded etcd asked for":          {args: []string{"--cluster-init"}, want: "--datastore-endpoint=https://"},
		"embedded etcd declined":           {args: []string{"--cluster-init=false"}},
		"join by URL":                      {args: []string{"-s", "https://a:6443"}, want: "--datastore-endpoint and --token"},
		"a second listener":                {args: []string{"--apiserver-port=6444"}, want: "use --https-listen-port"},
		"secrets encryption":               {args: []string{"--secrets-encryption"}, want: "encryption-provider-config"},
		"etcd snapshots off":               {args: []string{"--etcd-disable-snapshots"}},
		"an agent's token":                 {args: []string{"--agent-token=x"}, want: "no agent can join"},
		"packaged components off":          {args: []string{"--disable=coredns,servicelb", "--disable=traefik"}},
		"an unknown packaged component":    {args: []string{"--disable=dns"}, want: "--disable=dns: unknown component"},
		"port out of range":                {args: []string{"--https-listen-port=70000"}, want: "--https-listen-port=70000"},
		"loopback advertised":              {args: []string{"--advertise-address=127.0.0.1"}, want: "--advertise-address=127.0.0.1"},
		"a name to bind to":                {args: []string{"--bind-address=host"}, want: "--bind-address=host"},
		"two ranges of one family":         {args: []string{"--service-cidr=10.0.0.0/16,10.1.0.0/16"}, want: "one of each IP family"},
		"dual stack":                       {args: []string{"--service-cidr=10.0.0.0/16,fd00::/112", "--cluster-dns=fd00::a"}},
		"DNS outside the services":         {args: []string{"--cluster-dns=192.0.2.1"}, want: "not in --service-cidr"},
		"a bad node port range":            {args: []string{"--service-node-port-range=1-x"}, want: "--service-node-port-range=1-x"},
		"a mode that is not octal":         {args: []string{"--write-kubeconfig-mode=0689"}, want: "want an octal mode"},
		"half of a client certificate":     {args: []string{"--datastore-certfile=a"}, want: "give both or none"},
		"two tokens":                       {args: []string{"--token=a", "--token-file=b"}, want: "give one of them"},
		"a component argument with commas": {args: []string{"--kube-controller-manager-arg=controllers=*,-ttl"}},
		"a component argument unnamed":     {args: []string{"--kube-apiserver-arg==x"}, want: "want name=value"},
		"kine TLS on another's database":   {args: []string{"--kine-tls", "--datastore-endpoint=postgres://h/d"}, want: "--kine-tls"},
		"a bool that is none":              {args: []string{"--rootless=perhaps"}, want: "want true or false"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, fs, err := parse(t, append(append([]string{}, required...), tc.args...), nil)
			if err == nil {
				_, err = s.Validate(fs)
			}
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case tc.want != "" && err == nil:
				t.Errorf("got no error, want one with %q", tc.want)
			case tc.want != "" && !strings.Contains(err.Error(), tc.want):
				t.Errorf("got error %q, want one with %q", err, tc.want)
			}
		})
	}
}

func TestWarningsNameWhatIsAbsent(t *testing.T) {
	s, fs, err := parse(t, append([]string{"--kube-scheduler-arg=v=1"}, required...), nil)
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := s.Validate(fs)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(warnings, "\n")
	for _, want := range []string{"--disable-kube-proxy", "--disable-cloud-controller", "--flannel-backend=none", "--kube-scheduler-arg has no effect"} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings %q do not name %q", all, want)
		}
	}
}

func TestSourcesInOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "config.yaml")
	write("config.yaml", `
https-listen-port: 7000
token: from-file
tls-san: [a, b]
disable-kube-proxy: true
kube-apiserver-arg: ["v=1", "feature-gates=A=true,B=false"]
write-kubeconfig-name: first
`)
	write("config.yaml.d/10.yaml", "tls-san+: [c]\nwrite-kubeconfig-name: second\n")
	write("config.yaml.d/20.yml", "cluster-domain: a.b\n")
	write("config.yaml.d/ignored.txt", "no-such-flag: 1\n")

	s, _, err := parse(t, []string{"--config", config, "--cluster-domain=c.d", "--kube-apiserver-arg=v=2"},
		map[string]string{"K3S_TOKEN": "from-env", "K3S_DATASTORE_ENDPOINT": "postgres://h/d", "K3S_KUBECONFIG_MODE": "0640"})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{s.HTTPSListenPort, s.Token, s.TLSSANs, s.DisableKubeProxy, s.APIServerArgs, s.WriteKubeconfigName, s.ClusterDomain, s.DatastoreEndpoint, s.WriteKubeconfigMode}
	want := []any{7000, "from-file", []string{"a", "b", "c"}, true, []string{"v=2"}, "second", "c.d", "postgres://h/d", "0640"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestSourcesRefuse(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("no-such-flag: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"an unknown key":         {args: []string{"-c", bad}, want: `unknown key "no-such-flag"`},
		"a named file not there": {args: []string{"-c", filepath.Join(dir, "none")}, want: "no such file"},
		"a bad variable":         {env: map[string]string{"K3S_DEBUG": "loud"}, want: "environment K3S_DEBUG"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := parse(t, tc.args, tc.env)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestJoinURLFromEnvironmentIsRefused(t *testing.T) {
	s, fs, err := parse(t, required, map[string]string{"K3S_URL": "https://a:6443"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Validate(fs); err == nil || !strings.Contains(err.Error(), "--server") {
		t.Errorf("got error %v, want one that names --server", err)
	}
}
