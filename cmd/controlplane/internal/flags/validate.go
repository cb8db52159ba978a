package flags

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	netutils "k8s.io/utils/net"
)

// Validate reports every value that cannot be honoured, each error naming its
// flag and what to do. The warnings name what was left to its default although
// k3s would start something for it that this binary does not hold.
func (s *Server) Validate(fs *pflag.FlagSet) (warnings []string, err error) {
	errs := refusals(fs)
	errs = append(errs, s.validateComponents()...)
	errs = append(errs, s.validateListener()...)
	errs = append(errs, s.validateCluster()...)
	errs = append(errs, s.validateFiles()...)
	for _, list := range []struct {
		flag string
		args []string
	}{
		{"kube-apiserver-arg", s.APIServerArgs},
		{"kube-controller-manager-arg", s.ControllerManagerArgs},
		{"kube-scheduler-arg", s.SchedulerArgs},
	} {
		for _, arg := range list.args {
			if name, _, _ := strings.Cut(arg, "="); strings.TrimLeft(name, "-") == "" {
				errs = append(errs, fmt.Errorf("--%s=%s: want name=value", list.flag, arg))
			}
		}
	}
	return s.warnings(), errors.Join(errs...)
}

// packaged names what k3s deploys by itself and this binary never does.
func packaged() []string {
	return []string{"coredns", "local-storage", "metrics-server", "runtimes", "servicelb", "traefik"}
}

func (s *Server) validateComponents() []error {
	var errs []error
	if !s.DisableAgent {
		errs = append(errs, errors.New("--disable-agent is required: this binary holds no kubelet and no container runtime"))
	}
	if !s.DisableScheduler {
		errs = append(errs, errors.New("--disable-scheduler is required: this binary holds no scheduler; pods are placed by the host cluster"))
	}
	for _, name := range s.Disable {
		if !slices.Contains(packaged(), name) {
			errs = append(errs, fmt.Errorf("--disable=%s: unknown component, want one of %s", name, strings.Join(packaged(), ", ")))
		}
	}
	if s.FlannelBackend != "" && s.FlannelBackend != "none" {
		errs = append(errs, fmt.Errorf("--flannel-backend=%s: this binary does not hold flannel: pass none", s.FlannelBackend))
	}
	if s.EgressSelectorMode != "" && s.EgressSelectorMode != "disabled" {
		errs = append(errs, fmt.Errorf("--egress-selector-mode=%s: this binary does not hold an egress tunnel: pass disabled", s.EgressSelectorMode))
	}
	return errs
}

func (s *Server) validateListener() []error {
	var errs []error
	if s.HTTPSListenPort < 1 || s.HTTPSListenPort > 65535 {
		errs = append(errs, fmt.Errorf("--https-listen-port=%d: want a port from 1 to 65535", s.HTTPSListenPort))
	}
	if s.AdvertisePort < 0 || s.AdvertisePort > 65535 {
		errs = append(errs, fmt.Errorf("--advertise-port=%d: want a port from 1 to 65535", s.AdvertisePort))
	}
	if s.BindAddress != "" && net.ParseIP(s.BindAddress) == nil {
		errs = append(errs, fmt.Errorf("--bind-address=%s: want an IP address", s.BindAddress))
	}
	if s.AdvertiseAddress != "" {
		if ip := net.ParseIP(s.AdvertiseAddress); ip == nil || ip.IsUnspecified() || ip.IsLoopback() {
			errs = append(errs, fmt.Errorf("--advertise-address=%s: want an IP address that members of the cluster can reach", s.AdvertiseAddress))
		}
	}
	if s.WriteKubeconfigMode != "" {
		if _, err := s.KubeconfigMode(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (s *Server) validateCluster() []error {
	var errs []error
	for flag, cidrs := range map[string][]string{"cluster-cidr": s.ClusterCIDRs, "service-cidr": s.ServiceCIDRs} {
		parsed, err := netutils.ParseCIDRs(cidrs)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s=%s: want IP ranges such as 10.43.0.0/16: %w", flag, strings.Join(cidrs, ","), err))
			continue
		}
		dual, err := netutils.IsDualStackCIDRs(parsed)
		if len(parsed) == 0 || len(parsed) > 2 || err != nil || (len(parsed) == 2 && !dual) {
			errs = append(errs, fmt.Errorf("--%s=%s: want one range, or one of each IP family", flag, strings.Join(cidrs, ",")))
		}
	}
	if _, err := utilnet.ParsePortRange(s.ServiceNodePortRange); err != nil {
		errs = append(errs, fmt.Errorf("--service-node-port-range=%s: want a range such as 30000-32767: %w", s.ServiceNodePortRange, err))
	}
	for _, dns := range s.ClusterDNS {
		ip, err := netip.ParseAddr(dns)
		if err != nil {
			errs = append(errs, fmt.Errorf("--cluster-dns=%s: want an IP address", dns))
			continue
		}
		if !slices.ContainsFunc(s.ServiceCIDRs, func(cidr string) bool {
			prefix, err := netip.ParsePrefix(cidr)
			return err == nil && prefix.Contains(ip)
		}) {
			errs = append(errs, fmt.Errorf("--cluster-dns=%s: not in --service-cidr=%s", dns, strings.Join(s.ServiceCIDRs, ",")))
		}
	}
	if s.ClusterDomain == "" {
		errs = append(errs, errors.New("--cluster-domain: must not be empty"))
	}
	return errs
}

func (s *Server) validateFiles() []error {
	var errs []error
	if s.DataDir == "" {
		errs = append(errs, errors.New("--data-dir: must not be empty"))
	}
	if s.Token != "" && s.TokenFile != "" {
		errs = append(errs, errors.New("--token and --token-file: give one of them"))
	}
	if (s.DatastoreCertFile == "") != (s.DatastoreKeyFile == "") {
		errs = append(errs, errors.New("--datastore-certfile and --datastore-keyfile: give both or none"))
	}
	if s.KineTLS && s.DatastoreEndpoint != "" {
		errs = append(errs, errors.New("--kine-tls with --datastore-endpoint: the socket would need a certificate before the datastore tells who signs it: leave --kine-tls out, only this user can open the socket"))
	}
	return errs
}

// warnings names what k3s would do unless told otherwise and this binary
// cannot: the operator learns that it is absent, whether or not it is missed.
func (s *Server) warnings() []string {
	var all []string
	for _, c := range []struct {
		flag     string
		given    bool
		function string
	}{
		{"disable-cloud-controller", s.DisableCloudController, "a cloud controller manager"},
		{"disable-helm-controller", s.DisableHelmController, "a Helm controller"},
		{"disable-kube-proxy", s.DisableKubeProxy, "kube-proxy"},
		{"disable-network-policy", s.DisableNetworkPolicy, "a network policy controller"},
		{"flannel-backend=none", s.FlannelBackend == "none", "flannel"},
		{"egress-selector-mode=disabled", s.EgressSelectorMode == "disabled", "an egress tunnel"},
	} {
		if !c.given {
			all = append(all, fmt.Sprintf("this binary holds no %s; pass --%s to say that none is wanted", strings.TrimPrefix(strings.TrimPrefix(c.function, "a "), "an "), c.flag))
		}
	}
	if len(s.SchedulerArgs) > 0 {
		all = append(all, "--kube-scheduler-arg has no effect, the scheduler is disabled")
	}
	return all
}

// KubeconfigPath is where the administrator's kubeconfig goes, and whether
// somebody asked for it.
func (s *Server) KubeconfigPath() (path string, asked bool) {
	if s.WriteKubeconfig != "" {
		return s.WriteKubeconfig, true
	}
	return defaultKubeconfig(), false
}

// KubeconfigMode is the mode of the administrator's kubeconfig.
func (s *Server) KubeconfigMode() (os.FileMode, error) {
	if s.WriteKubeconfigMode == "" {
		return 0o600, nil
	}
	mode, err := strconv.ParseUint(s.WriteKubeconfigMode, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("--write-kubeconfig-mode=%s: want an octal mode such as 0600", s.WriteKubeconfigMode)
	}
	return os.FileMode(mode), nil
}

// ReadToken is the token that was given, in whichever way; empty when none was.
func (s *Server) ReadToken() (string, error) {
	if s.TokenFile == "" {
		return s.Token, nil
	}
	raw, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("--token-file=%s: the file is empty", s.TokenFile)
	}
	return line, nil
}
