// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"
)

// run runs a command in a container and answers with what it wrote: the
// kubelet's oldest way to do so, which needs no upgrade.
func (s *Server) run(w http.ResponseWriter, r *http.Request, t *target) error {
	command := strings.Fields(r.URL.Query().Get("cmd"))
	if len(command) == 0 {
		return &statusError{http.StatusBadRequest, "cmd is required"}
	}
	location := s.location(t, "exec", url.Values{
		"container": {t.container}, "command": command, "stdout": {"true"}, "stderr": {"true"},
	})
	executor, err := remotecommand.NewWebSocketExecutor(s.hostConfig, http.MethodGet, location.String())
	if err != nil {
		return fmt.Errorf("run in %s: %w", klog.KObj(t.virtual), err)
	}
	output := &serialWriter{writer: w}
	err = executor.StreamWithContext(r.Context(), remotecommand.StreamOptions{Stdout: output, Stderr: output})
	if err != nil && !output.begun() {
		return &statusError{http.StatusInternalServerError, inside(err.Error(), t)}
	}
	if err != nil {
		// The answer has begun: what went wrong is its last line.
		fmt.Fprintln(output, inside(err.Error(), t))
	}
	return nil
}

// serialWriter takes both streams of a command.
type serialWriter struct {
	mutex  sync.Mutex
	writer http.ResponseWriter
	wrote  bool
}

func (w *serialWriter) Write(p []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.wrote = true
	return w.writer.Write(p)
}

func (w *serialWriter) begun() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.wrote
}
