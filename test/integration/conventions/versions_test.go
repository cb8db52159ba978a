// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

// replica is a garret-apiserver of its own, as the binary, reached directly.
type replica struct {
	dir    string
	config *rest.Config
	client *http.Client
}

func newReplica(t *testing.T) (*replica, int) {
	t.Helper()
	port, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	// Short, because the path of a socket below it may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "conv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &replica{dir: dir}
	if r.config, err = aggregation.Direct(t.Context(), shared.host, fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
		t.Fatal(err)
	}
	if r.client, err = rest.HTTPClientFor(r.config); err != nil {
		t.Fatal(err)
	}
	return r, port
}

// start runs it with further flags until the function that it returns is
// called, or the test ends.
func (r *replica) start(t *testing.T, port int, flags ...string) func() {
	t.Helper()
	process, err := framework.Start(r.dir, "garret-apiserver", append([]string{"--kubeconfig=" + shared.garret.Kubeconfig,
		"--data-dir=" + filepath.Join(r.dir, "data"), fmt.Sprintf("--secure-port=%d", port), "--bind-address=127.0.0.1"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = process.End(syscall.SIGTERM) }
	t.Cleanup(stop)
	framework.Eventually(t, "the replica is ready", func(context.Context) (bool, error) {
		if err := process.Ended(); err != nil {
			return false, err
		}
		response, err := r.client.Get(r.config.Host + "/readyz")
		if err != nil {
			return false, nil
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK, nil
	})
	return stop
}

// TestEmulatedVersion: what is asked for is what /version, the features and the metrics say.
func TestEmulatedVersion(t *testing.T) {
	t.Parallel()
	r, port := newReplica(t)
	r.start(t, port, "--emulated-version=kube=1.35", "--feature-gates=kube:APIResponseCompression=false")
	s := &subject{T: t, kind: virtualClusterTemplate(), id: "emulated"}

	var info version.Info
	s.decode(s.expect(http.StatusOK, s.sendTo(r.client, r.config.Host, "GET", "/version", nil)), &info)
	if info.EmulationMajor != "1" || info.EmulationMinor != "35" {
		t.Errorf("/version: got %+v, want the emulation of 1.35", info)
	}
	metrics := string(s.expect(http.StatusOK, s.sendTo(r.client, r.config.Host, "GET", "/metrics", nil)).body)
	for _, want := range []string{
		`kubernetes_feature_enabled{name="APIResponseCompression",stage="BETA"} 0`,
		// Mutating admission policies are on by default since 1.36 alone.
		`kubernetes_feature_enabled{name="MutatingAdmissionPolicy",stage="BETA"} 0`,
		`version_info{binary="1.37",component="kube",emulation="1.35",min_compat="1.34"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics lacks %s; it has\n%s", want, lines(metrics, "APIResponseCompression", "MutatingAdmissionPolicy", "version_info"))
		}
	}

	// The feature that is off: a large answer comes as it is.
	object := s.object("a")
	object.SetAnnotations(map[string]string{"a": strings.Repeat("x", 200<<10)})
	s.expect(http.StatusCreated, s.sendTo(r.client, r.config.Host, "POST", s.collection(), body(object)))
	got := s.expect(http.StatusOK, s.sendTo(r.client, r.config.Host, "GET", s.collection(), nil, "Accept-Encoding", "gzip"))
	if encoding := got.header.Get("Content-Encoding"); encoding != "" {
		t.Errorf("compression is off: got the encoding %s", encoding)
	}
}

// TestRefusedVersions: a version that cannot be emulated, or a feature that there is not, keeps it from starting.
func TestRefusedVersions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ flag, want string }{
		"too old":         {"--emulated-version=kube=1.20", "emulation version 1.20"},
		"of the future":   {"--emulated-version=kube=1.99", "emulation version 1.99"},
		"no component":    {"--emulated-version=moon=1.0", "moon"},
		"no such feature": {"--feature-gates=kube:NoSuchFeature=true", "NoSuchFeature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, port := newReplica(t)
			process, err := framework.Start(r.dir, "garret-apiserver", "--kubeconfig="+shared.garret.Kubeconfig,
				"--data-dir="+filepath.Join(r.dir, "data"), fmt.Sprintf("--secure-port=%d", port), test.flag)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = process.End(os.Kill) })
			framework.Eventually(t, "it has ended", func(context.Context) (bool, error) { return process.Ended() != nil, nil })
			if log := process.Log(); !strings.Contains(log, test.want) {
				t.Errorf("got %q, want %q in it", log, test.want)
			}
		})
	}
}

// lines are those of a text that hold one of the parts.
func lines(text string, parts ...string) string {
	var found []string
	for line := range strings.Lines(text) {
		for _, part := range parts {
			if strings.Contains(line, part) {
				found = append(found, line)
			}
		}
	}
	return strings.Join(found, "")
}
