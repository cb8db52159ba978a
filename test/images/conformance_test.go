// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// A dynamic program is of no use without the libraries that it loads, and those
// that they load.
func TestProgramsComeWithTheirLibraries(t *testing.T) {
	built, err := Build(Image{Name: "programs", Programs: []string{"/usr/bin/mount", "/usr/bin/umount"}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	found := contents(t, built)
	for _, name := range []string{"usr/bin/mount", "usr/bin/umount", "lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6",
		"lib/x86_64-linux-gnu/libmount.so.1", "lib/x86_64-linux-gnu/libblkid.so.1"} {
		if h := found[name]; h == nil || h.Size == 0 || h.Mode != 0o755 {
			t.Errorf("%s: got %+v, want a program with mode 0755", name, h)
		}
	}
	if _, err := Build(Image{Name: "script", Programs: []string{"/etc/passwd"}}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "/etc/passwd") {
		t.Errorf("what is no program: got %v, want an error that names it", err)
	}
}

func TestImagesShareTheirBase(t *testing.T) {
	base, bin := sample(t)
	base.Command = []string{"serve"}
	above := Image{Name: "above", Tags: []string{"example.com/above:v1"}, Base: &base, User: "1234",
		Files: []File{{Content: "words", To: "/words"}}}
	archive, _, err := WriteAll("both", []Image{base, above}, bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		t.Fatal(err)
	}
	layers := map[string][]string{}
	for _, image := range manifest {
		for _, tag := range image.RepoTags {
			layers[tag] = image.Layers
		}
	}
	below, top := layers["example.com/sample:v1"], layers["example.com/above:v1"]
	if len(below) != 1 || len(top) != 2 || top[0] != below[0] {
		t.Errorf("layers: got %q below and %q above, want the first shared", below, top)
	}
	built, err := Build(above, bin)
	if err != nil {
		t.Fatal(err)
	}
	if h := contents(t, built)["words"]; h == nil || h.Size != 5 {
		t.Errorf("words: got %+v, want 5 bytes", h)
	}
	config, err := built.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Config; got.User != "1234" || !slices.Equal(got.Entrypoint, base.Entrypoint) || !slices.Equal(got.Cmd, base.Command) {
		t.Errorf("config: got %+v, want the command of the base and user 1234", got)
	}
}
