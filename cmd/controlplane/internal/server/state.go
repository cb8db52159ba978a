package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/klog/v2"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
	"garret.dev/garret/cmd/controlplane/internal/datastore"
)

// renewInterval is how often certificates are looked at while running; they
// have ninety days left when they are renewed.
const renewInterval = 12 * time.Hour

// credentials makes certificates, keys, tokens and kubeconfigs.
func (s *Server) credentials(ctx context.Context) error {
	given, err := s.flags.ReadToken()
	if err != nil {
		return err
	}
	passphrase, err := s.layout.Passphrase(given)
	if err != nil {
		return err
	}
	if s.datastore.Shared {
		if err := s.join(ctx, passphrase); err != nil {
			return err
		}
	}
	issued, err := s.layout.EnsureCredentials(s.sans, s.now())
	if err != nil {
		return err
	}
	if len(issued) > 0 {
		klog.FromContext(ctx).V(1).Info("Certificates issued", "names", issued)
	}
	if err := s.layout.WriteTokens(passphrase); err != nil {
		return err
	}
	return s.layout.WriteKubeconfigs(localURL(s.flags))
}

// renew issues certificates again long before they end. The components read
// their files again by themselves; only the administrator's kubeconfig holds a
// copy.
func (s *Server) renew(ctx context.Context) error {
	ticker := time.NewTicker(renewInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if err := s.renewOnce(ctx); err != nil {
			// The old ones are good for months; the next round tries again.
			klog.FromContext(ctx).Error(err, "Renewing certificates")
		}
	}
}

func (s *Server) renewOnce(ctx context.Context) error {
	issued, err := s.layout.EnsureCredentials(s.sans, s.now())
	if err != nil || len(issued) == 0 {
		return err
	}
	klog.FromContext(ctx).Info("Certificates renewed", "names", issued)
	return s.writeKubeconfig(ctx)
}

// writeKubeconfig writes the administrator's kubeconfig. At its default place,
// which nobody asked for, a folder that cannot be written is not an error: in a
// container the root file system is read-only.
func (s *Server) writeKubeconfig(ctx context.Context) error {
	path, asked := s.flags.KubeconfigPath()
	mode, err := s.flags.KubeconfigMode()
	if err != nil {
		return err
	}
	out := datadir.Output{Path: path, Mode: mode, Group: s.flags.WriteKubeconfigGroup, Context: s.flags.WriteKubeconfigName}
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		err = s.layout.WriteAdminKubeconfig(out, localURL(s.flags))
	}
	if err != nil && !asked {
		klog.FromContext(ctx).V(1).Info("No kubeconfig written at its default place", "path", path, "reason", err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("--write-kubeconfig: %w", err)
	}
	return nil
}

func (s *Server) datastoreConfig() datastore.Config {
	config := datastore.Config{
		Endpoint: s.flags.DatastoreEndpoint,
		Database: s.layout.Database(),
		CAFile:   s.flags.DatastoreCAFile,
		CertFile: s.flags.DatastoreCertFile,
		KeyFile:  s.flags.DatastoreKeyFile,
		Socket:   s.layout.KineSocket(),
	}
	if s.flags.KineTLS {
		config.ServingCertFile = s.layout.Cert(datadir.ServingKine)
		config.ServingKeyFile = s.layout.Key(datadir.ServingKine)
		config.ServingCAFile = s.layout.Cert(datadir.ServerCA)
	}
	return config
}
