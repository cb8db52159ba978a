// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin packs builds of the command line into release archives, and writes the
// manifest with which krew installs them as kubectl garret.
package plugin

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// manifest is krew's.
type manifest struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string     `json:"version"`
		Homepage         string     `json:"homepage"`
		ShortDescription string     `json:"shortDescription"`
		Description      string     `json:"description"`
		Platforms        []platform `json:"platforms"`
	} `json:"spec"`
}

// platform is one archive.
type platform struct {
	Selector metav1.LabelSelector `json:"selector"`
	URI      string               `json:"uri"`
	SHA256   string               `json:"sha256"`
	Files    []file               `json:"files"`
	Bin      string               `json:"bin"`
}

// file is one of the archive that krew keeps.
type file struct {
	From string `json:"from"`
	To   string `json:"to"`
}

const (
	short       = "Create, enter and delete virtual Kubernetes clusters"
	description = `Garret gives a team its own Kubernetes cluster inside one namespace of a shared one.
kubectl garret creates virtual clusters, writes contexts that lead into them, puts them to
sleep, upgrades and deletes them. Garret itself is installed once by an administrator:
kubectl garret install.
`
	license = "LICENSE"
)

// Write packs builds, each given as OS/ARCH=FILE, into the folder out, together with the
// license of the tree at root. The archives will be at the url.
func Write(root, version, url, out string, builds []string) error {
	if version == "" || url == "" || out == "" || len(builds) == 0 {
		return fmt.Errorf("want --version, --url, --out and at least one OS/ARCH=FILE")
	}
	made := manifest{TypeMeta: metav1.TypeMeta{APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin"}}
	made.Metadata.Name = "garret"
	made.Spec.Version, made.Spec.Homepage = version, "https://garret.dev"
	made.Spec.ShortDescription, made.Spec.Description = short, description
	for _, build := range builds {
		target, program, found := strings.Cut(build, "=")
		system, arch, both := strings.Cut(target, "/")
		if !found || !both {
			return fmt.Errorf("%s: want OS/ARCH=FILE", build)
		}
		name, bin := fmt.Sprintf("garret_%s_%s_%s.tar.gz", version, system, arch), "garret"
		if system == "windows" {
			bin += ".exe"
		}
		sum, err := pack(filepath.Join(out, name), map[string]string{bin: program, license: filepath.Join(root, license)}, []string{bin, license})
		if err != nil {
			return err
		}
		made.Spec.Platforms = append(made.Spec.Platforms, platform{
			Selector: metav1.LabelSelector{MatchLabels: map[string]string{"os": system, "arch": arch}},
			URI:      url + "/" + name, SHA256: sum, Bin: bin, Files: []file{{bin, "."}, {license, "."}},
		})
	}
	content, err := yaml.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "garret.yaml"), content, 0o644)
}

// pack writes an archive of files in this order, and returns its SHA-256. The same files
// make the same archive.
func pack(archive string, files map[string]string, order []string) (string, error) {
	target, err := os.Create(archive)
	if err != nil {
		return "", err
	}
	defer target.Close()
	sum := sha256.New()
	zipped := gzip.NewWriter(io.MultiWriter(target, sum))
	tarred := tar.NewWriter(zipped)
	for _, name := range order {
		if err := add(tarred, name, files[name]); err != nil {
			return "", err
		}
	}
	for _, closer := range []io.Closer{tarred, zipped, target} {
		if err := closer.Close(); err != nil {
			return "", fmt.Errorf("%s: %w", archive, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func add(archive *tar.Writer, name, path string) error {
	source, err := os.Open(path)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o755)
	if name == license {
		mode = 0o644
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: info.Size(), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(archive, source)
	return err
}
