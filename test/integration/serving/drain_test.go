// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

// session is a kubectl exec of cat, which says back what it is told.
type session struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	errors  strings.Builder
}

func newSession(t *testing.T, kubectl framework.Client, pod string) *session {
	t.Helper()
	s := &session{command: kubectl.Command(context.Background(), "kubectl", "exec", "-i", pod, "--", "cat")}
	s.command.Stdin = nil // a pipe takes its place
	var err error
	if s.in, err = s.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out, s.command.Stderr = bufio.NewReader(out), &s.errors
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.command.Process.Kill() })
	return s
}

func (s *session) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.out.ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("said %q, got %q, %v: %s", line, got, err, s.errors.String())
	}
}

// TestStreamsAtTheEnd has garret-apiserver end while two sessions are open
// inside a virtual cluster: one finishes, the other does not.
func TestStreamsAtTheEnd(t *testing.T) {
	const grace = 5 * time.Second
	r := within(t, func(options *apiserver.Options) { options.StreamGrace = grace })
	config, client := inside(t)
	content, err := framework.Kubeconfig(config.Host, config.CAData, clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData})
	if err != nil {
		t.Fatal(err)
	}
	kubectl := framework.WriteClient(t, content)
	kubelet.NewPod(t, shared.virtual.ControlPlane, "ends")
	finishes, stays := newSession(t, kubectl, "ends"), newSession(t, kubectl, "ends")
	finishes.say(t, "before")
	stays.say(t, "before")

	watch, err := client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- r.end() }()
	framework.Eventually(t, "the replica is not ready any more", func(context.Context) (bool, error) { return !shared.service.isReady(r.address), nil })
	for range watch.ResultChan() { // ends at once
	}
	if took := time.Since(begin); took >= grace {
		t.Errorf("the watch ended after %s, want it to end before streams have to", took)
	}
	finishes.say(t, "after")
	stays.say(t, "after")
	finishes.in.Close()
	if rest, err := io.ReadAll(finishes.out); err != nil || len(rest) > 0 {
		t.Errorf("the session that finishes: got %q, %v", rest, err)
	}
	if err := finishes.command.Wait(); err != nil {
		t.Errorf("the session that finishes: %v: %s", err, finishes.errors.String())
	}
	if _, err := io.ReadAll(stays.out); err != nil {
		t.Error(err)
	}
	if err := stays.command.Wait(); err == nil {
		t.Error("the session that stays ended well, want kubectl to say that it was cut")
	}
	if text := stays.errors.String(); strings.Contains(text, "reset") {
		t.Errorf("the session that stays was reset: %s", text)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
	// Less than what the chart gives a pod beyond delay and grace.
	if took := time.Since(begin); took > grace+20*time.Second {
		t.Errorf("the end took %s", took)
	}
}
