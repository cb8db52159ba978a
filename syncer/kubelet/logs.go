// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

const (
	// maxMessage is how much of an error of the host is passed on.
	maxMessage = 16 << 10
	logBuffer  = 32 << 10
)

// logs streams what a container wrote.
func (s *Server) logs(w http.ResponseWriter, r *http.Request, t *target) error {
	asked := r.URL.Query()
	query := url.Values{"container": {t.container}}
	for _, name := range []string{"follow", "previous", "timestamps", "sinceSeconds", "sinceTime", "tailLines", "limitBytes"} {
		if value := asked.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	// Every log is both streams. Hosts without the choice refuse its mention.
	if stream := asked.Get("stream"); stream != "" && stream != "All" {
		query.Set("stream", stream)
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.location(t, "log", query).String(), nil)
	if err != nil {
		return fmt.Errorf("log of %s: %w", klog.KObj(t.virtual), err)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("log of %s: %w", klog.KObj(t.virtual), err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return refusal(answer, t)
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	if err := copyFlushing(w, answer.Body); err != nil && r.Context().Err() == nil {
		klog.FromContext(r.Context()).V(2).Info("Log ended early", "pod", klog.KObj(t.virtual), "err", err)
	}
	return nil
}

// copyFlushing passes every piece on as it comes: somebody may be waiting for the line.
func copyFlushing(w http.ResponseWriter, source io.Reader) error {
	controller := http.NewResponseController(w)
	// The headers: a follower wants to know at once that it is connected.
	if err := controller.Flush(); err != nil {
		return err
	}
	buffer := make([]byte, logBuffer)
	for {
		n, err := source.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := controller.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// refusal tells what the host said, in the names that are known inside.
func refusal(answer *http.Response, t *target) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxMessage))
	if err != nil {
		return fmt.Errorf("answer of the host: %w", err)
	}
	message := string(body)
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		message = status.Message
	}
	return &statusError{answer.StatusCode, inside(message, t)}
}

func inside(message string, t *target) string {
	return strings.ReplaceAll(t.own.Conceal(message), t.host.Name, t.virtual.Name)
}
