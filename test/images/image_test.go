// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// sample is an image of one file, and the folder that the file is in.
func sample(t *testing.T) (Image, string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "program"), []byte("content"), 0o700); err != nil {
		t.Fatal(err)
	}
	return Image{
		Name: "sample", Tags: []string{"example.com/sample:v1", "example.com/other:v2"},
		Files:      []File{{From: "program", To: "/opt/bin/program"}, {Link: "/opt/bin/program", To: "/bin/alias"}},
		Entrypoint: []string{"/opt/bin/program"}, User: user,
	}, bin
}

// contents lists what is in the file system of an image.
func contents(t *testing.T, built v1.Image) map[string]*tar.Header {
	t.Helper()
	found := map[string]*tar.Header{}
	content := mutate.Extract(built)
	defer content.Close()
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found[header.Name] = header
	}
}

func TestBuildHoldsFiles(t *testing.T) {
	image, bin := sample(t)
	built, err := Build(image, bin)
	if err != nil {
		t.Fatal(err)
	}
	found := contents(t, built)
	if h := found["opt/bin/program"]; h == nil || h.Mode != 0o755 || h.Size != 7 {
		t.Errorf("program: got %+v, want 7 bytes with mode 0755", h)
	}
	if h := found["bin/alias"]; h == nil || h.Linkname != "/opt/bin/program" {
		t.Errorf("alias: got %+v, want a link", h)
	}
	if h := found["tmp"]; h == nil || h.Mode&0o777 != 0o777 {
		t.Errorf("tmp: got %+v, want a folder that all may write", h)
	}
	config, err := built.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != user || config.Config.Entrypoint[0] != "/opt/bin/program" {
		t.Errorf("config: got %+v", config.Config)
	}
}

func TestBuildIsReproducible(t *testing.T) {
	image, bin := sample(t)
	first, err := Build(image, bin)
	if err != nil {
		t.Fatal(err)
	}
	// Another time stamp is the same content.
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(bin, "program"), later, later); err != nil {
		t.Fatal(err)
	}
	second, err := Build(image, bin)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := first.Digest()
	if b, _ := second.Digest(); a != b {
		t.Errorf("digests of the same content: got %s and %s", a, b)
	}
}

func TestWriteOnlyWhatChanged(t *testing.T) {
	image, bin := sample(t)
	out := t.TempDir()
	archive, written, err := Write(image, bin, out)
	if err != nil || !written {
		t.Fatalf("first: got written=%t, %v; want it written", written, err)
	}
	if _, written, err = Write(image, bin, out); err != nil || written {
		t.Errorf("again: got written=%t, %v; want it left", written, err)
	}
	old := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(archive, old, old); err != nil {
		t.Fatal(err)
	}
	if _, written, err = Write(image, bin, out); err != nil || !written {
		t.Errorf("with a newer binary: got written=%t, %v; want it written", written, err)
	}
}

func TestWriteNamesWhatIsMissing(t *testing.T) {
	image, bin := sample(t)
	image.Files[0].From = "absent"
	if _, _, err := Write(image, bin, t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}
