package datadir

import (
	"fmt"
	"os"
	"path/filepath"
)

// Layout names the files of a data directory.
type Layout struct {
	// Root is the value of --data-dir, made absolute.
	Root string
}

// New returns the layout below root and makes its folders.
func New(root string) (Layout, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return Layout{}, fmt.Errorf("data directory %s: %w", root, err)
	}
	l := Layout{Root: abs}
	for _, dir := range []string{l.Server(), l.Cred(), l.TLS(), l.DB(), l.tls("temporary-certs"), l.tls("kube-controller-manager"), l.tls("kube-scheduler")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return Layout{}, fmt.Errorf("data directory %s: %w", abs, err)
		}
	}
	return l, nil
}

// Server is the folder that holds all of a server's state.
func (l Layout) Server() string { return filepath.Join(l.Root, "server") }

// Cred holds kubeconfigs.
func (l Layout) Cred() string { return filepath.Join(l.Server(), "cred") }

// TLS holds certificates and keys.
func (l Layout) TLS() string { return filepath.Join(l.Server(), "tls") }

// DB holds the embedded database.
func (l Layout) DB() string { return filepath.Join(l.Server(), "db") }

// Database is the embedded SQLite database.
func (l Layout) Database() string { return filepath.Join(l.DB(), "state.db") }

// KineSocket is where kine serves etcd's API.
func (l Layout) KineSocket() string { return filepath.Join(l.Server(), "kine.sock") }

// Token holds the server's join token.
func (l Layout) Token() string { return filepath.Join(l.Server(), "token") }

// NodeToken holds the agents' join token, which is the server's here.
func (l Layout) NodeToken() string { return filepath.Join(l.Server(), "node-token") }

// TemporaryCerts is kube-apiserver's --cert-dir.
func (l Layout) TemporaryCerts() string { return l.tls("temporary-certs") }

// Kubeconfig is the kubeconfig of the named identity: admin, controller,
// scheduler, api-server or supervisor.
func (l Layout) Kubeconfig(identity string) string {
	return filepath.Join(l.Cred(), identity+".kubeconfig")
}

// Cert and Key are the two files of a certificate; its name may hold a folder.
func (l Layout) Cert(name string) string { return l.tls(name + ".crt") }

// Key is the private key that belongs to Cert of the same name.
func (l Layout) Key(name string) string { return l.tls(name + ".key") }

// ServiceKey verifies ServiceAccount tokens; it may hold several keys after a
// rotation by the operator.
func (l Layout) ServiceKey() string { return l.tls("service.key") }

// CurrentServiceKey is the one key that signs ServiceAccount tokens.
func (l Layout) CurrentServiceKey() string { return l.tls("service.current.key") }

func (l Layout) tls(name string) string { return filepath.Join(l.TLS(), name) }
