package datadir

import (
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfigs writes the kubeconfigs of cred/. They name the files of certificates instead
// of holding them, so that their readers notice a renewal.
func (l Layout) WriteKubeconfigs(server string) error {
	for identity, name := range map[string]string{
		"admin":      ClientAdmin,
		"supervisor": ClientSupervisor,
		// What the API server is to kubelets it is not to itself.
		"api-server": ClientSupervisor,
		"controller": ClientController,
		"scheduler":  ClientScheduler,
	} {
		config := kubeconfig("default", server)
		config.Clusters["default"].CertificateAuthority = l.Cert(ServerCA)
		// Their readers run beside the API server. It compresses each first list that is streamed
		// to who takes that, and each bookmark of such a watch later.
		config.Clusters["default"].DisableCompression = true
		config.AuthInfos["default"].ClientCertificate = l.Cert(name)
		config.AuthInfos["default"].ClientKey = l.Key(name)
		raw, err := clientcmd.Write(*config)
		if err != nil {
			return fmt.Errorf("kubeconfig of %s: %w", identity, err)
		}
		if err := writeIfChanged(l.Kubeconfig(identity), raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// AdminKubeconfig is the administrator's kubeconfig with everything in it, so
// that it can be carried elsewhere.
func (l Layout) AdminKubeconfig(contextName, server string) ([]byte, error) {
	ca, err := l.CA(ServerCA)
	if err != nil {
		return nil, err
	}
	certPEM, keyPEM, err := l.readPair(ClientAdmin)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of admin: %w", err)
	}
	config := kubeconfig(contextName, server)
	config.Clusters[contextName].CertificateAuthorityData = ca
	config.AuthInfos[contextName].ClientCertificateData = certPEM
	config.AuthInfos[contextName].ClientKeyData = keyPEM
	return clientcmd.Write(*config)
}

// Output is where and how the administrator's kubeconfig is written.
type Output struct {
	Path, Group, Context string
	Mode                 os.FileMode
}

// WriteAdminKubeconfig writes the administrator's kubeconfig to out.
func (l Layout) WriteAdminKubeconfig(out Output, server string) error {
	name := out.Context
	if name == "" {
		name = "default"
	}
	raw, err := l.AdminKubeconfig(name, server)
	if err != nil {
		return err
	}
	if out.Group == "" {
		return WriteFile(out.Path, raw, out.Mode)
	}
	// The group is set before the group may read: a file is never open to
	// the group that it happened to be born with.
	if err := WriteFile(out.Path, raw, out.Mode&^0o077); err != nil {
		return err
	}
	if err := SetGroup(out.Path, out.Group); err != nil {
		return err
	}
	return os.Chmod(out.Path, out.Mode)
}

func kubeconfig(name, server string) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return config
}
