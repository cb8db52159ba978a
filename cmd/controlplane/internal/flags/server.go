package flags

import (
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
)

// Server holds the value of every flag that has an effect.
type Server struct {
	ConfigFile string
	Debug      bool
	Verbosity  int

	DataDir string
	Token   string
	// TokenFile names a file whose first line is the token.
	TokenFile string

	BindAddress      string
	HTTPSListenPort  int
	AdvertiseAddress string
	AdvertisePort    int
	TLSSANs          []string

	ClusterCIDRs         []string
	ServiceCIDRs         []string
	ServiceNodePortRange string
	ClusterDNS           []string
	ClusterDomain        string

	DatastoreEndpoint string
	DatastoreCAFile   string
	DatastoreCertFile string
	DatastoreKeyFile  string
	KineTLS           bool

	WriteKubeconfig      string
	WriteKubeconfigMode  string
	WriteKubeconfigGroup string
	WriteKubeconfigName  string

	APIServerArgs         []string
	ControllerManagerArgs []string
	SchedulerArgs         []string

	Disable                  []string
	DisableAgent             bool
	DisableScheduler         bool
	DisableCloudController   bool
	DisableControllerManager bool
	DisableHelmController    bool
	DisableKubeProxy         bool
	DisableNetworkPolicy     bool
	DisableEtcd              bool

	FlannelBackend     string
	EgressSelectorMode string
}

// AddFlags registers every documented flag on fs: those that fill s, and those
// that are known only so that they can be refused with a reason.
func (s *Server) AddFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	s.addGeneral(fs)
	s.addListener(fs)
	s.addCluster(fs)
	s.addDatastore(fs)
	s.addKubeconfig(fs)
	s.addComponents(fs)
	addUnheld(fs)
}

func (s *Server) addGeneral(fs *pflag.FlagSet) {
	fs.StringVarP(&s.ConfigFile, "config", "c", DefaultConfigFile, "(config) Load configuration from `FILE` and from the *.yaml files of FILE.d")
	fs.BoolVar(&s.Debug, "debug", false, "(logging) Turn on debug logs")
	fs.IntVarP(&s.Verbosity, "v", "v", 0, "(logging) Number for the log level verbosity")
	fs.StringVarP(&s.DataDir, "data-dir", "d", defaultDataDir(), "(data) Folder to hold state")
	fs.StringVarP(&s.Token, "token", "t", "", "(cluster) Shared secret used to join a server to a datastore that holds a cluster")
	fs.StringVar(&s.TokenFile, "token-file", "", "(cluster) File containing the token")
}

func (s *Server) addListener(fs *pflag.FlagSet) {
	fs.StringVar(&s.BindAddress, "bind-address", "", "(listener) Address to listen on (default: 0.0.0.0)")
	fs.IntVar(&s.HTTPSListenPort, "https-listen-port", 6443, "(listener) HTTPS listen port")
	fs.StringVar(&s.AdvertiseAddress, "advertise-address", "", "(listener) IPv4 or IPv6 address on which members of the cluster reach the API server (default: the address of the default route's interface)")
	fs.IntVar(&s.AdvertisePort, "advertise-port", 0, "(listener) Port on which members of the cluster reach the API server (default: the listen port)")
	fs.StringSliceVar(&s.TLSSANs, "tls-san", nil, "(listener) Further host names or addresses for the serving certificate")
}

func (s *Server) addCluster(fs *pflag.FlagSet) {
	fs.StringSliceVar(&s.ClusterCIDRs, "cluster-cidr", []string{"10.42.0.0/16"}, "(networking) IPv4/IPv6 ranges of pod addresses")
	fs.StringSliceVar(&s.ServiceCIDRs, "service-cidr", []string{"10.43.0.0/16"}, "(networking) IPv4/IPv6 ranges of service addresses")
	fs.StringVar(&s.ServiceNodePortRange, "service-node-port-range", "30000-32767", "(networking) Port range reserved for services with NodePort visibility")
	fs.StringSliceVar(&s.ClusterDNS, "cluster-dns", nil, "(networking) Address of the cluster's DNS service; must lie in service-cidr (default: the tenth address of service-cidr)")
	fs.StringVar(&s.ClusterDomain, "cluster-domain", "cluster.local", "(networking) Cluster domain")
}

func (s *Server) addDatastore(fs *pflag.FlagSet) {
	fs.StringVar(&s.DatastoreEndpoint, "datastore-endpoint", "", "(db) etcd, MySQL, Postgres or SQLite data source name (default: SQLite below data-dir)")
	fs.StringVar(&s.DatastoreCAFile, "datastore-cafile", "", "(db) TLS certificate authority file used to secure the datastore's connection")
	fs.StringVar(&s.DatastoreCertFile, "datastore-certfile", "", "(db) TLS certificate file used to secure the datastore's connection")
	fs.StringVar(&s.DatastoreKeyFile, "datastore-keyfile", "", "(db) TLS key file used to secure the datastore's connection")
	fs.BoolVar(&s.KineTLS, "kine-tls", false, "(db) Use TLS on the socket between kine and the API server")
}

func (s *Server) addKubeconfig(fs *pflag.FlagSet) {
	fs.StringVarP(&s.WriteKubeconfig, "write-kubeconfig", "o", "", "(client) Write an administrator's kubeconfig to this file once the API server is ready (default: "+defaultKubeconfig()+")")
	fs.StringVar(&s.WriteKubeconfigMode, "write-kubeconfig-mode", "", "(client) Write the kubeconfig with this mode (default: 0600)")
	fs.StringVar(&s.WriteKubeconfigGroup, "write-kubeconfig-group", "", "(client) Write the kubeconfig with this group")
	fs.StringVar(&s.WriteKubeconfigName, "write-kubeconfig-name", "", "(client) Name of the context, cluster and user of the kubeconfig (default: default)")
}

// addComponents registers what upstream components get and what is switched
// off. Arguments for components are arrays, not slices: a component's own
// value may hold commas ("controllers=*,-ttl").
func (s *Server) addComponents(fs *pflag.FlagSet) {
	fs.StringArrayVar(&s.APIServerArgs, "kube-apiserver-arg", nil, "(flags) Customised flag for kube-apiserver, as name=value")
	fs.StringArrayVar(&s.ControllerManagerArgs, "kube-controller-manager-arg", nil, "(flags) Customised flag for kube-controller-manager, as name=value")
	fs.StringArrayVar(&s.SchedulerArgs, "kube-scheduler-arg", nil, "(flags) Customised flag for kube-scheduler, as name=value")
	fs.StringSliceVar(&s.Disable, "disable", nil, "(components) Do not deploy packaged components (coredns, servicelb, traefik, local-storage, metrics-server, runtimes)")
	fs.BoolVar(&s.DisableAgent, "disable-agent", false, "(components) Do not run a local agent; required, this binary holds none")
	fs.BoolVar(&s.DisableScheduler, "disable-scheduler", false, "(components) Disable the scheduler; required, this binary holds none")
	fs.BoolVar(&s.DisableCloudController, "disable-cloud-controller", false, "(components) Disable the default cloud controller manager")
	fs.BoolVar(&s.DisableControllerManager, "disable-controller-manager", false, "(components) Disable kube-controller-manager")
	fs.BoolVar(&s.DisableHelmController, "disable-helm-controller", false, "(components) Disable the Helm controller")
	fs.BoolVar(&s.DisableKubeProxy, "disable-kube-proxy", false, "(components) Disable kube-proxy")
	fs.BoolVar(&s.DisableNetworkPolicy, "disable-network-policy", false, "(components) Disable the default network policy controller")
	fs.BoolVar(&s.DisableEtcd, "disable-etcd", false, "(components) Disable running embedded etcd")
	fs.StringVar(&s.FlannelBackend, "flannel-backend", "", "(networking) Backend for flannel; only none can be asked for")
	fs.StringVar(&s.EgressSelectorMode, "egress-selector-mode", "", "(networking) Egress selector mode; only disabled can be asked for")
}

// defaultDataDir is where k3s keeps its state: a system folder for root, one
// below the home for everybody else.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/rancher/k3s"
	}
	return filepath.Join(home(), ".rancher", "k3s")
}

func defaultKubeconfig() string {
	if os.Geteuid() == 0 {
		return "/etc/rancher/k3s/k3s.yaml"
	}
	return filepath.Join(home(), ".kube", "k3s.yaml")
}

func home() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		// No home is usual for a container's numeric user; the working
		// folder then serves, as for any program without one.
		return "."
	}
	return dir
}
