package datadir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// identityFiles are the files that make a cluster this cluster: who signs, and
// which tokens are believed. All servers of a cluster have the same ones.
func (l Layout) identityFiles() []string {
	files := []string{l.ServiceKey()}
	for _, name := range sharedAuthorities() {
		files = append(files, l.Cert(name), l.Key(name))
	}
	return files
}

// Identity returns the cluster's identity by file name.
func (l Layout) Identity() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, path := range l.identityFiles() {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("cluster identity: %w", err)
		}
		files[filepath.Base(path)] = raw
	}
	return files, nil
}

// AdoptIdentity writes the identity that another server of the cluster has
// made. What differs is replaced, and with it every certificate that the old
// authorities have signed is issued again by EnsureCredentials.
func (l Layout) AdoptIdentity(files map[string][]byte) error {
	for _, path := range l.identityFiles() {
		content, ok := files[filepath.Base(path)]
		if !ok || len(bytes.TrimSpace(content)) == 0 {
			return fmt.Errorf("cluster identity: %s is missing", filepath.Base(path))
		}
		mode := os.FileMode(0o600)
		if strings.HasSuffix(path, ".crt") {
			mode = 0o644
		}
		if err := writeIfChanged(path, content, mode); err != nil {
			return err
		}
	}
	return nil
}
