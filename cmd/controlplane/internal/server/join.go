package server

import (
	"context"
	"fmt"

	"garret.dev/garret/cmd/controlplane/internal/datastore"
)

// join makes this server one of the cluster that a shared datastore holds: it
// takes the cluster's authorities from there, or puts its own there when it is
// the first. They are encrypted with the token's passphrase.
func (s *Server) join(ctx context.Context, passphrase string) error {
	client, err := s.datastore.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	shared := datastore.NewShared(client, passphrase)
	files, err := shared.Load(ctx)
	if err != nil {
		return err
	}
	if files == nil {
		// The first server makes the authorities; of two first ones, that
		// which stores them earlier.
		if _, err := s.layout.EnsureCredentials(s.sans, s.now()); err != nil {
			return err
		}
		own, err := s.layout.Identity()
		if err != nil {
			return err
		}
		if files, err = shared.Store(ctx, own); err != nil {
			return err
		}
	}
	if err := s.layout.AdoptIdentity(files); err != nil {
		return fmt.Errorf("authorities of the cluster in the datastore: %w", err)
	}
	return nil
}
