package server

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
	"garret.dev/garret/cmd/controlplane/internal/datastore"
	"garret.dev/garret/cmd/controlplane/internal/flags"
)

// serviceAccountIssuer is the issuer of tokens: the address at which pods know
// the API server.
func serviceAccountIssuer(domain string) string {
	return "https://kubernetes.default.svc." + domain
}

// apiServerArgs is kube-apiserver's command line.
func apiServerArgs(f *flags.Server, l datadir.Layout, d *datastore.Datastore, advertise net.IP) []string {
	issuer := serviceAccountIssuer(f.ClusterDomain)
	defaults := map[string]string{
		"advertise-address":               advertise.String(),
		"allow-privileged":                "true",
		"anonymous-auth":                  "false",
		"api-audiences":                   issuer + ",k3s",
		"authorization-mode":              "Node,RBAC",
		"cert-dir":                        l.TemporaryCerts(),
		"client-ca-file":                  l.Cert(datadir.ClientCA),
		"enable-admission-plugins":        "NodeRestriction",
		"enable-aggregator-routing":       "true",
		"etcd-servers":                    strings.Join(d.Endpoints, ","),
		"kubelet-certificate-authority":   l.Cert(datadir.KubeletCA),
		"kubelet-client-certificate":      l.Cert(datadir.ClientAPIServer),
		"kubelet-client-key":              l.Key(datadir.ClientAPIServer),
		"kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
		"profiling":                       "false",
		// Estimating what a list costs by the size of objects asks the datastore for each
		// resource once a minute, and keeps the size of each object. Their number does.
		"feature-gates":                      "SizeBasedListCostEstimate=false",
		"proxy-client-cert-file":             l.Cert(datadir.ClientAuthProxy),
		"proxy-client-key-file":              l.Key(datadir.ClientAuthProxy),
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-client-ca-file":       l.Cert(datadir.RequestHeaderCA),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"service-account-issuer":             issuer,
		"service-account-key-file":           l.ServiceKey(),
		"service-account-signing-key-file":   l.CurrentServiceKey(),
		"service-cluster-ip-range":           strings.Join(f.ServiceCIDRs, ","),
		"service-node-port-range":            f.ServiceNodePortRange,
		"storage-backend":                    "etcd3",
		"tls-cert-file":                      l.Cert(datadir.ServingAPIServer),
		"tls-min-version":                    "VersionTLS12",
		"tls-private-key-file":               l.Key(datadir.ServingAPIServer),
		"v":                                  strconv.Itoa(verbosity(f)),
	}
	for name, file := range map[string]string{"etcd-cafile": d.CAFile, "etcd-certfile": d.CertFile, "etcd-keyfile": d.KeyFile} {
		if file != "" {
			defaults[name] = file
		}
	}
	return arguments(defaults, f.APIServerArgs)
}

// controllerManagerArgs is kube-controller-manager's command line.
func controllerManagerArgs(f *flags.Server, l datadir.Layout, shared bool) []string {
	kubeconfig := l.Kubeconfig("controller")
	defaults := map[string]string{
		"allocate-node-cidrs":       "true",
		"authentication-kubeconfig": kubeconfig,
		"authorization-kubeconfig":  kubeconfig,
		"cert-dir":                  l.TemporaryCerts(),
		"cluster-cidr":              strings.Join(f.ClusterCIDRs, ","),
		"cluster-signing-kube-apiserver-client-cert-file": l.Cert(datadir.ClientCA + ".nochain"),
		"cluster-signing-kube-apiserver-client-key-file":  l.Key(datadir.ClientCA),
		"cluster-signing-kubelet-client-cert-file":        l.Cert(datadir.ClientCA + ".nochain"),
		"cluster-signing-kubelet-client-key-file":         l.Key(datadir.ClientCA),
		// Whoever may approve requests inside gets no certificate of the authority that
		// clients pin. For the legacy signer there is none at all.
		"cluster-signing-kubelet-serving-cert-file": l.Cert(datadir.KubeletCA + ".nochain"),
		"cluster-signing-kubelet-serving-key-file":  l.Key(datadir.KubeletCA),
		"configure-cloud-routes":                    "false",
		"controllers":                               "*,tokencleaner",
		// The API server is in the same process and has its own fairness; the
		// usual limit would stretch the controllers' start over five seconds.
		"kube-api-burst": "400",
		"kube-api-qps":   "200",
		"kubeconfig":     kubeconfig,
		// One server on a database of its own has nobody to compete with; a
		// lease would only be written every two seconds.
		"leader-elect": strconv.FormatBool(shared),
		"profiling":    "false",
		"root-ca-file": l.Cert(datadir.ServerCA),
		// Its metrics and health are the process's, which the API server
		// serves; a port of its own could only collide.
		"secure-port":                      "0",
		"service-account-private-key-file": l.CurrentServiceKey(),
		"service-cluster-ip-range":         strings.Join(f.ServiceCIDRs, ","),
		"use-service-account-credentials":  "true",
		"v":                                strconv.Itoa(verbosity(f)),
	}
	return arguments(defaults, f.ControllerManagerArgs)
}

// arguments joins defaults and what the operator passes, as name=value: a name
// that the operator passes replaces the default of that name, save feature gates, and
// may be passed more than once where the component takes a list.
func arguments(defaults map[string]string, passed []string) []string {
	merged := map[string][]string{}
	for name, value := range defaults {
		merged[name] = []string{value}
	}
	replaced := map[string]bool{}
	for _, arg := range passed {
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !hasValue {
			value = "true"
		}
		// Feature gates of the operator are set besides, and after.
		if !replaced[name] && name != "feature-gates" {
			merged[name] = nil
			replaced[name] = true
		}
		merged[name] = append(merged[name], value)
	}
	var args []string
	for name, values := range merged {
		for _, value := range values {
			args = append(args, fmt.Sprintf("--%s=%s", name, value))
		}
	}
	// Stable: the order of two values of one name matters, and a map has none.
	slices.SortStableFunc(args, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	})
	return args
}

// splitProcessWide parts what belongs to the process from kube-controller-
// manager's own arguments: both components share one set of feature gates and
// one emulated version, and the API server's command line sets them.
func splitProcessWide(args []string) (processWide, own []string) {
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch name {
		case "feature-gates", "emulated-version", "min-compatibility-version", "emulation-forward-compatible":
			processWide = append(processWide, arg)
		default:
			own = append(own, arg)
		}
	}
	return processWide, own
}

// verbosity is the log level: --debug asks for one that shows requests.
func verbosity(f *flags.Server) int {
	if f.Debug && f.Verbosity < 4 {
		return 4
	}
	return f.Verbosity
}
