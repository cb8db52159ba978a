// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package imagestore brings image archives into a node's container runtime.
package imagestore

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Store is the image store of one node.
type Store struct {
	// Socket is the path of the runtime's socket, CTR of containerd's client.
	Socket, CTR string
}

// archive is what the index of a docker-format archive says.
type archive []struct {
	Config   string
	RepoTags []string
}

// Answers tells whether the runtime does.
func (s Store) Answers(ctx context.Context) error {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := runtimeapi.NewRuntimeServiceClient(conn).Version(ctx, &runtimeapi.VersionRequest{}); err != nil {
		return fmt.Errorf("container runtime at %s: %w", s.Socket, err)
	}
	return nil
}

// Load imports each archive whose images the node does not have yet, and
// returns those that it imported.
func (s Store) Load(ctx context.Context, files ...string) ([]string, error) {
	have, err := s.ids(ctx)
	if err != nil {
		return nil, err
	}
	var loaded []string
	for _, file := range files {
		index, err := readIndex(file)
		if err != nil {
			return loaded, err
		}
		if holds(have, index) {
			continue
		}
		// --local spares the way through containerd's transfer service, which
		// takes three times as long.
		cmd := exec.CommandContext(ctx, s.CTR, "--address", s.Socket, "--namespace", "k8s.io", "images", "import", "--local", file)
		if out, err := cmd.CombinedOutput(); err != nil {
			return loaded, fmt.Errorf("import %s: %w: %s", file, err, strings.TrimSpace(string(out)))
		}
		loaded = append(loaded, file)
	}
	return loaded, nil
}

// ids maps the name of each image on the node to its id, which is the digest
// of its configuration.
func (s Store) ids(ctx context.Context) (map[string]string, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	list, err := runtimeapi.NewImageServiceClient(conn).ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("images at %s: %w", s.Socket, err)
	}
	ids := map[string]string{}
	for _, image := range list.Images {
		for _, tag := range image.RepoTags {
			ids[tag] = image.Id
		}
	}
	return ids, nil
}

func (s Store) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+s.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func holds(have map[string]string, index archive) bool {
	for _, image := range index {
		for _, tag := range image.RepoTags {
			if have[tag] != image.Config {
				return false
			}
		}
	}
	return true
}

// IDs maps the name of each image in an archive to its id.
func IDs(file string) (map[string]string, error) {
	index, err := readIndex(file)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, image := range index {
		for _, tag := range image.RepoTags {
			ids[tag] = image.Config
		}
	}
	return ids, nil
}

func readIndex(file string) (archive, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reader := tar.NewReader(f)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s is no docker-format image archive: it has no manifest.json", file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if filepath.Clean(header.Name) != "manifest.json" {
			continue
		}
		var index archive
		if err := json.NewDecoder(reader).Decode(&index); err != nil {
			return nil, fmt.Errorf("%s: manifest.json: %w", file, err)
		}
		for i := range index {
			// Some writers say "<hex>.json", some "sha256:<hex>".
			hex := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(index[i].Config), ".json"), "sha256:")
			index[i].Config = "sha256:" + hex
		}
		return index, nil
	}
}
