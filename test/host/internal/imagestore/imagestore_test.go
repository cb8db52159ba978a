// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"archive/tar"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes an archive with one file besides the index.
func write(t *testing.T, files ...[2]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := tar.NewWriter(out)
	for _, file := range files {
		if err := w.WriteHeader(&tar.Header{Name: file[0], Size: int64(len(file[1])), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIDs(t *testing.T) {
	for name, tt := range map[string]struct {
		files  [][2]string
		want   map[string]string
		failed string
	}{
		"as we write it":       {files: [][2]string{{"layer.tar", "x"}, {"manifest.json", `[{"Config":"sha256:ab","RepoTags":["e.com/a:1","e.com/b:2"]}]`}}, want: map[string]string{"e.com/a:1": "sha256:ab", "e.com/b:2": "sha256:ab"}},
		"as docker writes it":  {files: [][2]string{{"manifest.json", `[{"Config":"ab.json","RepoTags":["e.com/a:1"]}]`}}, want: map[string]string{"e.com/a:1": "sha256:ab"}},
		"in a folder of blobs": {files: [][2]string{{"./manifest.json", `[{"Config":"blobs/sha256/ab","RepoTags":["e.com/a:1"]}]`}}, want: map[string]string{"e.com/a:1": "sha256:ab"}},
		"two images":           {files: [][2]string{{"manifest.json", `[{"Config":"ab","RepoTags":["e.com/a:1"]},{"Config":"cd","RepoTags":["e.com/b:1"]}]`}}, want: map[string]string{"e.com/a:1": "sha256:ab", "e.com/b:1": "sha256:cd"}},
		"no index":             {files: [][2]string{{"layer.tar", "x"}}, failed: "no manifest.json"},
		"a bad index":          {files: [][2]string{{"manifest.json", "{"}}, failed: "manifest.json"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := IDs(write(t, tt.files...))
			if tt.failed != "" {
				if err == nil || !strings.Contains(err.Error(), tt.failed) {
					t.Errorf("got %v, %v; want an error with %q", got, err, tt.failed)
				}
				return
			}
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestHolds(t *testing.T) {
	index := archive{{Config: "sha256:ab", RepoTags: []string{"e.com/a:1", "e.com/b:1"}}}
	for name, tt := range map[string]struct {
		have map[string]string
		want bool
	}{
		"nothing":          {nil, false},
		"all":              {map[string]string{"e.com/a:1": "sha256:ab", "e.com/b:1": "sha256:ab"}, true},
		"one name less":    {map[string]string{"e.com/a:1": "sha256:ab"}, false},
		"an older content": {map[string]string{"e.com/a:1": "sha256:ab", "e.com/b:1": "sha256:00"}, false},
	} {
		if got := holds(tt.have, index); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
}
