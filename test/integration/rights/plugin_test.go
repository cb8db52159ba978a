// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"garret.dev/garret/hack/krew/plugin"
	"garret.dev/garret/test/framework"
)

// TestPluginOfKrew packs the program as make krew does, unpacks it as krew does, and has
// kubectl run it as its plugin.
func TestPluginOfKrew(t *testing.T) {
	t.Parallel()
	garret, err := framework.Binary("garret")
	if err != nil {
		t.Fatal(err)
	}
	out, target := t.TempDir(), runtime.GOOS+"/"+runtime.GOARCH
	root, err := framework.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := plugin.Write(root, "v0.1.0", "https://example.com/v0.1.0", out, []string{target + "=" + garret}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(out, "garret.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Version, ShortDescription, Description string
			Platforms                              []struct {
				Selector         struct{ MatchLabels map[string]string }
				URI, SHA256, Bin string
				Files            []struct{ From, To string }
			}
		}
	}
	if err := yaml.Unmarshal(content, &manifest); err != nil || manifest.Metadata.Name != "garret" || manifest.Kind != "Plugin" || len(manifest.Spec.Platforms) != 1 {
		t.Fatalf("got manifest %s (%v)", content, err)
	}
	platform := manifest.Spec.Platforms[0]
	archive, err := os.ReadFile(filepath.Join(out, filepath.Base(platform.URI)))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != platform.SHA256 || platform.Selector.MatchLabels["os"] != runtime.GOOS || platform.Selector.MatchLabels["arch"] != runtime.GOARCH {
		t.Errorf("got %+v, want the checksum and the platform of the archive", platform)
	}
	store, bin := t.TempDir(), t.TempDir()
	if said, err := exec.CommandContext(t.Context(), "tar", "-xzf", filepath.Join(out, filepath.Base(platform.URI)), "-C", store).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, file := range platform.Files {
		if _, err := os.Stat(filepath.Join(store, file.From)); err != nil || file.To != "." {
			t.Errorf("the archive lacks %s: %v", file.From, err)
		}
	}
	if err := os.Symlink(filepath.Join(store, platform.Bin), filepath.Join(bin, "kubectl-garret")); err != nil {
		t.Fatal(err)
	}
	kubectl := shared.host.Kubectl().With("PATH=" + bin + ":" + os.Getenv("PATH"))
	if got := kubectl.Do(t, "garret", "list", "--namespace", namespace, "-o", "name"); !strings.Contains(got, "/"+name) {
		t.Errorf("kubectl garret list: got %q, want %s", got, name)
	}
	if got := kubectl.Do(t, "garret", "list", "--help"); !strings.Contains(got, "kubectl garret list") {
		t.Errorf("kubectl garret list --help: got %s, want examples of the plugin", got)
	}
}

// TestInterruptedWatch has commands that run until they are interrupted end with 130.
func TestInterruptedWatch(t *testing.T) {
	t.Parallel()
	for what, args := range map[string][]string{
		"all":     {"list", "--namespace", namespace, "--watch"},
		"by name": {"list", name, "--namespace", namespace, "-w", "-o", "name"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		command := shared.host.Kubectl().Command(ctx, "garret", args...)
		var said bytes.Buffer
		command.Stderr = &said
		stdout, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for lines.Scan() && !strings.Contains(lines.Text(), name) {
			continue
		}
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			continue
		}
		var ended *exec.ExitError
		if err := command.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 130 || strings.Contains(said.String(), "error") {
			t.Errorf("%s: got %v and %q, want exit code 130", what, err, said.String())
		}
	}
}
