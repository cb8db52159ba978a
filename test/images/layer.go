// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// busybox is where Debian's package busybox-static puts its program.
const busybox = "/bin/busybox"

// directories are in every image; programs expect them.
var directories = []struct {
	path string
	mode int64
}{{"bin", 0o755}, {"etc", 0o755}, {"root", 0o700}, {"tmp", 0o1777}, {"usr", 0o755}, {"usr/local", 0o755}, {"usr/local/bin", 0o755}, {"var", 0o755}}

// accounts name the users that images run as.
var accounts = map[string]string{
	"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nnonroot:x:65532:65532:nonroot:/:/bin/false\n",
	"etc/group":  "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n",
	// Names of /etc/hosts, which the kubelet writes, come before DNS.
	"etc/nsswitch.conf": "hosts: files dns\n",
}

// layer writes the file system of an image.
func layer(image Image, bin string) ([]byte, error) {
	var out bytes.Buffer
	w := &writer{tar: tar.NewWriter(&out), made: map[string]bool{}}
	if image.Base == nil {
		w.foundation(image)
	}
	for _, dir := range image.Directories {
		w.directory(strings.TrimPrefix(dir, "/"), 0o1777)
	}
	needed := map[string]bool{}
	if image.Busybox != "" {
		if err := w.busybox(source(bin, File{From: image.Busybox}), image, needed); err != nil {
			return nil, fmt.Errorf("busybox: %w", err)
		}
	}
	for _, path := range image.Programs {
		if err := w.program(path, path, needed); err != nil {
			return nil, fmt.Errorf("program %s: %w", path, err)
		}
	}
	for _, file := range image.Files {
		if file.Link != "" {
			w.link(file.To, file.Link)
			continue
		}
		if file.Content != "" {
			w.file(file.To, 0o644, int64(len(file.Content)), strings.NewReader(file.Content))
			continue
		}
		mode := file.Mode
		if mode == 0 {
			mode = 0o755
		}
		w.copy(source(bin, file), file.To, mode)
	}
	if w.err == nil {
		w.err = w.tar.Close()
	}
	return out.Bytes(), w.err
}

// foundation makes what programs expect everywhere.
func (w *writer) foundation(image Image) {
	for _, dir := range directories {
		w.directory(dir.path, dir.mode)
	}
	further := map[string][]string{"etc/passwd": image.Users, "etc/group": image.Groups}
	for _, file := range []string{"etc/group", "etc/nsswitch.conf", "etc/passwd"} {
		content := accounts[file]
		for _, line := range further[file] {
			content += line + "\n"
		}
		w.file(file, 0o644, int64(len(content)), strings.NewReader(content))
	}
}

// writer writes an archive that depends on its content alone. It keeps the
// first error, after which it does nothing.
type writer struct {
	tar  *tar.Writer
	made map[string]bool
	err  error
}

func (w *writer) entry(header *tar.Header, content io.Reader) {
	if w.err != nil {
		return
	}
	header.ModTime = time.Unix(0, 0)
	if w.err = w.tar.WriteHeader(header); w.err == nil && content != nil {
		_, w.err = io.Copy(w.tar, content)
	}
}

func (w *writer) directory(path string, mode int64) {
	if path == "." || w.made[path] {
		return
	}
	w.directory(filepath.Dir(path), 0o755)
	w.made[path] = true
	w.entry(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: mode}, nil)
}

func (w *writer) file(path string, mode os.FileMode, size int64, content io.Reader) {
	path = strings.TrimPrefix(path, "/")
	w.directory(filepath.Dir(path), 0o755)
	w.entry(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: int64(mode), Size: size}, content)
}

func (w *writer) link(path, target string) {
	path = strings.TrimPrefix(path, "/")
	w.directory(filepath.Dir(path), 0o755)
	w.entry(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target, Mode: 0o777}, nil)
}

func (w *writer) copy(from, to string, mode os.FileMode) {
	file, err := os.Open(from)
	if err != nil {
		w.fail(err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		w.fail(err)
		return
	}
	w.file(to, mode, info.Size(), file)
}

// busybox copies the program and links every applet that it says it has, except
// those in whose place the image has a program of its own.
func (w *writer) busybox(from string, image Image, needed map[string]bool) error {
	applets, err := exec.Command(from, "--list").Output()
	if err != nil {
		return err
	}
	if err := w.program(from, "/bin/busybox", needed); err != nil {
		return err
	}
	own := map[string]bool{"busybox": true}
	for _, program := range image.Programs {
		own[filepath.Base(program)] = true
	}
	for _, file := range image.Files {
		own[filepath.Base(file.To)] = true
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if !own[applet] {
			w.link("/bin/"+applet, "/bin/busybox")
		}
	}
	return w.err
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
