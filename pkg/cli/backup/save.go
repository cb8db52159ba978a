// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// summary is the line that garret-apiserver writes about a backup or a restore.
type summary struct {
	Revision, Objects, Bytes int64
	SHA256                   string
}

// save takes a backup inside the running pod.
func (i *installation) save(ctx context.Context, output string) error {
	// Never over another backup, and under this name only once it is whole.
	partial := output + ".partial"
	if _, err := os.Stat(output); err == nil {
		return host.Advise(fmt.Errorf("%s exists", output), "choose another file, or remove it")
	}
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(partial)
	defer file.Close()
	hash := sha256.New()
	var told bytes.Buffer
	err = i.run(ctx, podName, corev1.PodExecOptions{Container: containerName, Command: []string{binary, "backup"}, Stdout: true, Stderr: true},
		remotecommand.StreamOptions{Stdout: io.MultiWriter(file, hash), Stderr: &told})
	if err != nil {
		return host.Advise(fmt.Errorf("backup in the pod %s: %w: %s", podName, err, lastLine(told.Bytes())),
			"look at: kubectl -n %s get pod %s", tenancyv1.SystemNamespace, podName)
	}
	var s summary
	if err := json.Unmarshal(lastLine(told.Bytes()), &s); err != nil {
		return fmt.Errorf("backup in the pod %s said %q: %w", podName, told.String(), err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != s.SHA256 {
		return fmt.Errorf("the backup did not arrive whole: SHA-256 is %s, want %s", got, s.SHA256)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial, output); err != nil {
		return err
	}
	i.say("saved %d objects up to revision %d in %s (%d bytes)", s.Objects, s.Revision, output, s.Bytes)
	return nil
}

// run executes a command in a pod, over WebSockets or, on an older host, SPDY.
func (i *installation) run(ctx context.Context, pod string, options corev1.PodExecOptions, streams remotecommand.StreamOptions) error {
	return i.stream(ctx, pod, "exec", &options, streams)
}

// stream opens the streams of a subresource of a pod.
func (i *installation) stream(ctx context.Context, pod, subresource string, options any, streams remotecommand.StreamOptions) error {
	request := i.client.CoreV1().RESTClient().Post().Namespace(tenancyv1.SystemNamespace).Resource("pods").Name(pod).SubResource(subresource)
	switch options := options.(type) {
	case *corev1.PodExecOptions:
		request = request.VersionedParams(options, scheme.ParameterCodec)
	case *corev1.PodAttachOptions:
		request = request.VersionedParams(options, scheme.ParameterCodec)
	}
	overSPDY, err := remotecommand.NewSPDYExecutor(i.config, http.MethodPost, request.URL())
	if err != nil {
		return err
	}
	overWebSocket, err := remotecommand.NewWebSocketExecutor(i.config, http.MethodGet, request.URL().String())
	if err != nil {
		return err
	}
	executor, err := remotecommand.NewFallbackExecutor(overWebSocket, overSPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, streams)
}

func lastLine(text []byte) []byte {
	text = bytes.TrimSpace(text)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}
