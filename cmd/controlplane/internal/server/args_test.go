package server

import (
	"net"
	"slices"
	"testing"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
	"garret.dev/garret/cmd/controlplane/internal/datastore"
	"garret.dev/garret/cmd/controlplane/internal/flags"
)

func TestArguments(t *testing.T) {
	tests := map[string]struct {
		defaults map[string]string
		passed   []string
		want     []string
	}{
		"defaults in order":                  {defaults: map[string]string{"b": "2", "a": "1"}, want: []string{"--a=1", "--b=2"}},
		"a passed one replaces":              {defaults: map[string]string{"a": "1"}, passed: []string{"a=2"}, want: []string{"--a=2"}},
		"dashes are allowed":                 {passed: []string{"--a=2"}, want: []string{"--a=2"}},
		"no value means true":                {passed: []string{"a"}, want: []string{"--a=true"}},
		"a repeated one keeps its order":     {defaults: map[string]string{"a": "0"}, passed: []string{"a=2", "a=1"}, want: []string{"--a=2", "--a=1"}},
		"commas and equals belong to values": {passed: []string{"g=A=true,B=false"}, want: []string{"--g=A=true,B=false"}},
		"a name is not its prefix":           {defaults: map[string]string{"tls": "1"}, passed: []string{"tls-x=2"}, want: []string{"--tls=1", "--tls-x=2"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := arguments(tc.defaults, tc.passed); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFlagsReachTheComponents(t *testing.T) {
	f := &flags.Server{
		ClusterCIDRs: []string{"10.1.0.0/16"}, ServiceCIDRs: []string{"10.2.0.0/16", "fd00::/112"},
		ServiceNodePortRange: "100-200", ClusterDomain: "a.b", Debug: true,
		APIServerArgs:         []string{"event-ttl=5m", "feature-gates=A=true"},
		ControllerManagerArgs: []string{"controllers=*,-ttl"},
	}
	l := datadir.Layout{Root: "/d"}
	d := &datastore.Datastore{Endpoints: []string{"https://a", "https://b"}, CAFile: "/ca"}
	api := apiServerArgs(f, l, d, net.ParseIP("192.0.2.7"))
	for _, want := range []string{
		"--advertise-address=192.0.2.7", "--anonymous-auth=false", "--authorization-mode=Node,RBAC", "--event-ttl=5m",
		"--etcd-servers=https://a,https://b", "--etcd-cafile=/ca", "--service-cluster-ip-range=10.2.0.0/16,fd00::/112",
		"--service-node-port-range=100-200", "--service-account-issuer=https://kubernetes.default.svc.a.b",
		"--kubelet-certificate-authority=/d/server/tls/kubelet-ca.crt", "--v=4",
		"--feature-gates=SizeBasedListCostEstimate=false", "--feature-gates=A=true",
	} {
		if !slices.Contains(api, want) {
			t.Errorf("kube-apiserver lacks %s", want)
		}
	}
	for shared, want := range map[bool]string{true: "--leader-elect=true", false: "--leader-elect=false"} {
		controllers := controllerManagerArgs(f, l, shared)
		for _, want := range []string{want, "--controllers=*,-ttl", "--cluster-cidr=10.1.0.0/16", "--secure-port=0"} {
			if !slices.Contains(controllers, want) {
				t.Errorf("kube-controller-manager (shared %t) lacks %s", shared, want)
			}
		}
	}
	if _, err := parseAPIServer(append(api, "--no-such-flag=1")); err == nil {
		t.Error("an unknown flag of kube-apiserver was accepted")
	}
}

func TestProcessWideArgumentsMove(t *testing.T) {
	process, own := splitProcessWide([]string{"controllers=*", "--feature-gates=A=true", "v=1"})
	if !slices.Equal(process, []string{"--feature-gates=A=true"}) || !slices.Equal(own, []string{"controllers=*", "v=1"}) {
		t.Errorf("got %q and %q", process, own)
	}
}

func TestServingNames(t *testing.T) {
	f := &flags.Server{ServiceCIDRs: []string{"10.2.0.0/16"}, ClusterDomain: "a.b", BindAddress: "192.0.2.8", TLSSANs: []string{"vc-demo.ns.svc"}}
	names, err := servingNames(f, net.ParseIP("192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"localhost", "127.0.0.1", "kubernetes.default.svc.a.b", "10.2.0.1", "192.0.2.7", "192.0.2.8", "vc-demo.ns.svc"} {
		if !slices.Contains(names, want) {
			t.Errorf("names %q lack %s", names, want)
		}
	}
}
