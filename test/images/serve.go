// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Serve is a registry at the address that holds these images in memory, until ctx
// ends. It speaks plain HTTP, for nodes of this machine.
func Serve(ctx context.Context, images []Image, bin, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return serve(ctx, listener, images, bin)
}

func serve(ctx context.Context, listener net.Listener, images []Image, bin string) error {
	server := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	defer server.Close()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	for _, image := range images {
		if _, err := Push(ctx, image, bin, listener.Addr().String()); ctx.Err() != nil {
			return nil // it was ended
		} else if err != nil {
			return err
		}
	}
	select {
	case err := <-ended:
		return fmt.Errorf("registry: %w", err)
	case <-ctx.Done():
		return nil
	}
}
