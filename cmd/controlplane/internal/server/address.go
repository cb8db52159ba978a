package server

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	netutils "k8s.io/utils/net"

	"garret.dev/garret/cmd/controlplane/internal/flags"
)

// listen binds the API server's port. It is done before anything else: a port
// that is taken is the commonest reason for which a start fails.
func listen(f *flags.Server) (net.Listener, error) {
	host := f.BindAddress
	if host == "" {
		host = "0.0.0.0"
	}
	address := net.JoinHostPort(host, strconv.Itoa(f.HTTPSListenPort))
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another process has this port: stop it, or pass another --https-listen-port", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener, nil
}

// advertisedListener is the listener with the port that members of the cluster
// use, which differs where something in between translates it.
type advertisedListener struct {
	net.Listener
	port int
}

func (l advertisedListener) Addr() net.Addr {
	addr := *l.Listener.Addr().(*net.TCPAddr)
	addr.Port = l.port
	return &addr
}

// advertiseAddress is the address in the endpoints of the kubernetes Service.
func advertiseAddress(f *flags.Server) (net.IP, error) {
	if f.AdvertiseAddress != "" {
		return netutils.ParseIPSloppy(f.AdvertiseAddress), nil
	}
	bind := net.ParseIP(f.BindAddress)
	if bind != nil && !bind.IsUnspecified() && !bind.IsLoopback() {
		return bind, nil
	}
	if ip, err := utilnet.ChooseHostInterface(); err == nil {
		return ip, nil
	}
	// A machine without a default route still has an address that its
	// neighbours know.
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("find an address to advertise: %w", err)
	}
	for _, addr := range addrs {
		if network, ok := addr.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP, nil
		}
	}
	return nil, errors.New("no network interface has an address that others can reach: pass --advertise-address")
}

// localURL is the API server's address for clients on this machine.
func localURL(f *flags.Server) string {
	host := "127.0.0.1"
	if ip := net.ParseIP(f.BindAddress); ip != nil && !ip.IsUnspecified() {
		host = ip.String()
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(f.HTTPSListenPort))
}

// servingNames are the names and addresses of the serving certificate.
func servingNames(f *flags.Server, advertise net.IP) ([]string, error) {
	names := []string{
		"localhost", "127.0.0.1", "::1",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + f.ClusterDomain,
		advertise.String(),
	}
	for _, cidr := range f.ServiceCIDRs {
		_, network, err := netutils.ParseCIDRSloppy(cidr)
		if err != nil {
			return nil, fmt.Errorf("--service-cidr=%s: %w", cidr, err)
		}
		first, err := netutils.GetIndexedIP(network, 1)
		if err != nil {
			return nil, fmt.Errorf("--service-cidr=%s: %w", cidr, err)
		}
		names = append(names, first.String())
	}
	if bind := net.ParseIP(f.BindAddress); bind != nil && !bind.IsUnspecified() {
		names = append(names, bind.String())
	}
	return append(names, f.TLSSANs...), nil
}
