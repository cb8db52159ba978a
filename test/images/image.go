// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package images builds container images out of static binaries, without a
// container engine.
//
// An image is one layer over those of its base, not compressed: it is imported
// on the machine that built it, where compressing costs seconds and saves
// nothing. The same input gives the same image, bit by bit.
package images

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image says what goes into an image.
type Image struct {
	// Name of the archive, without an ending.
	Name string
	// Tags are full names of the image.
	Tags []string
	// Files are what the image holds.
	Files []File
	// Busybox adds a busybox with all its applets: the path of a static one, or
	// of a dynamic one, which comes with its libraries.
	Busybox string
	// Programs are dynamic programs of this machine. They come under their own
	// paths, with the libraries that they load.
	Programs []string
	// Directories are made besides those that every image has.
	Directories []string
	// Users and Groups are further lines of /etc/passwd and /etc/group.
	Users, Groups       []string
	Entrypoint, Command []string
	// User is "uid:gid"; empty means root.
	User string
	// Base is what the image stands on, if it does not stand alone. It shares
	// its layers, and gives the command where the image has none.
	Base *Image
	// AddOn says that only some tests want the image, and load it themselves.
	AddOn bool
	// ByName says that the image is built only where it is named.
	ByName bool
}

// File is one file of an image: a copy, a text, or a symbolic link.
type File struct {
	// From is the file to copy; Link, if set, is where a symbolic link points;
	// Content, if set, is what the file holds.
	From, Link, Content string
	// To is the path in the image.
	To string
	// Mode of a copy, 0755 if zero.
	Mode os.FileMode
}

// searchPath is where Linux programs look for others.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Build makes the image from binaries in bin.
func Build(image Image, bin string) (v1.Image, error) {
	layer, err := layer(image, bin)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", image.Name, err)
	}
	base := empty.Image
	if image.Base != nil {
		if base, err = Build(*image.Base, bin); err != nil {
			return nil, err
		}
	}
	built, err := mutate.AppendLayers(base, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", image.Name, err)
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", image.Name, err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	entrypoint, command := image.Entrypoint, image.Command
	if entrypoint == nil && command == nil {
		entrypoint, command = config.Config.Entrypoint, config.Config.Cmd
	}
	config.Config = v1.Config{Entrypoint: entrypoint, Cmd: command, User: image.User, Env: []string{"PATH=" + searchPath}}
	return mutate.ConfigFile(built, config)
}

// Write builds the image and writes it as an archive into dir, unless the
// archive there is newer than all that it is made from. It reports the
// archive's path and whether it was written.
func Write(image Image, bin, dir string) (string, bool, error) {
	return WriteAll(image.Name, []Image{image}, bin, dir)
}

// WriteAll does the same for several images in one archive, which holds the
// layers that they share once.
func WriteAll(file string, images []Image, bin, dir string) (string, bool, error) {
	archive := filepath.Join(dir, file+".tar")
	var sources []string
	for _, image := range images {
		sources = append(sources, image.sources(bin)...)
	}
	current, err := upToDate(archive, sources)
	if err != nil || current {
		return archive, false, err
	}
	refs := map[name.Reference]v1.Image{}
	for _, image := range images {
		built, err := Build(image, bin)
		if err != nil {
			return "", false, err
		}
		for _, tag := range image.Tags {
			ref, err := name.NewTag(tag)
			if err != nil {
				return "", false, fmt.Errorf("image %s: %w", image.Name, err)
			}
			refs[ref] = built
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", false, err
	}
	// A half-written archive must not pass for a current one.
	partial := fmt.Sprintf("%s.%d.partial", archive, os.Getpid())
	if err := tarball.MultiRefWriteToFile(partial, refs); err != nil {
		return "", false, fmt.Errorf("archive %s: %w", archive, err)
	}
	return archive, true, os.Rename(partial, archive)
}

// sources are the files that the image is made from, with the program that
// makes it, in which the catalogue is.
func (i Image) sources(bin string) []string {
	var files []string
	if self, err := os.Executable(); err == nil {
		files = append(files, self)
	}
	for _, file := range i.Files {
		if file.From != "" {
			files = append(files, source(bin, file))
		}
	}
	if i.Busybox != "" {
		files = append(files, source(bin, File{From: i.Busybox}))
	}
	files = append(files, i.Programs...)
	if i.Base != nil {
		files = append(files, i.Base.sources(bin)...)
	}
	return files
}

func source(bin string, file File) string {
	if filepath.IsAbs(file.From) {
		return file.From
	}
	return filepath.Join(bin, file.From)
}

func upToDate(archive string, sources []string) (bool, error) {
	have, err := os.Stat(archive)
	if os.IsNotExist(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	for _, file := range sources {
		info, err := os.Stat(file)
		if err != nil {
			return false, err
		}
		if info.ModTime().After(have.ModTime()) {
			return false, nil
		}
	}
	return true, nil
}
