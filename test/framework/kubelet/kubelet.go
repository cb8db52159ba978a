// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubelet is a kubelet for the control planes of package framework, whose
// every container is the machine of the tests: it serves the streams of one, with
// the code that container runtimes serve them with.
package kubelet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/clock"
	utilexec "k8s.io/utils/exec"

	"garret.dev/garret/syncer/kubelet"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/test/framework"
)

// Streams are those of one node.
type Streams struct {
	// More has a log that is followed go on.
	More chan struct{}
}

// NewPod makes, until the test ends, a node that is served here, and a pod on it
// in the namespace default.
func NewPod(tb testing.TB, plane *framework.ControlPlane, pod string) *Streams {
	tb.Helper()
	s := &Streams{More: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	trust := kubelet.TrustIn(plane.Dir)
	serving := pki.NewServing(trust.Authority, "kubelet", []string{"127.0.0.1"}, clock.RealClock{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := pki.Serve(ctx, "kubelet", listener, pki.ServerConfig(serving, trust.Callers), s); err != nil {
			tb.Errorf("kubelet: %v", err)
		}
	}()
	tb.Cleanup(func() { cancel(); <-done })
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: pod + "-node"}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(listener.Addr().(*net.TCPAddr).Port)
	create(tb, plane, node, pod)
	return s
}

func create(tb testing.TB, plane *framework.ControlPlane, node *corev1.Node, pod string) {
	tb.Helper()
	core := plane.Client.CoreV1()
	if _, err := core.Nodes().Create(tb.Context(), node, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod}}
	object.Spec.NodeName = node.Name
	object.Spec.Containers = []corev1.Container{{Name: "main", Image: "none"}}
	if _, err := core.Pods(metav1.NamespaceDefault).Create(tb.Context(), object, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	status := `{"status":{"phase":"Running","containerStatuses":[{"name":"main","ready":true,"image":"none","imageID":"","state":{"running":{}}}]}}`
	if _, err := core.Pods(metav1.NamespaceDefault).Patch(tb.Context(), pod, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		now := int64(0)
		for _, err := range []error{
			core.Pods(metav1.NamespaceDefault).Delete(context.Background(), pod, metav1.DeleteOptions{GracePeriodSeconds: &now}),
			core.Nodes().Delete(context.Background(), node.Name, metav1.DeleteOptions{}),
		} {
			if err != nil && !apierrors.IsNotFound(err) {
				tb.Error(err)
			}
		}
	})
}

// ServeHTTP is the kubelet's API.
func (s *Streams) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch parts[0] {
	case "containerLogs":
		fmt.Fprintln(w, "first line")
		if req.URL.Query().Get("follow") == "true" {
			http.NewResponseController(w).Flush()
			select {
			case <-s.More:
			case <-req.Context().Done():
			}
			fmt.Fprintln(w, "second line")
		}
	case "exec":
		options, err := remotecommand.NewOptions(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		remotecommand.ServeExec(w, req, s, parts[2], "", parts[3], req.URL.Query()["command"], options, time.Minute, time.Minute, remotecommand.SupportedStreamingProtocols)
	case "portForward":
		options, err := portforward.NewV4Options(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		portforward.ServePortForward(w, req, s, parts[2], "", options, time.Minute, time.Minute, portforward.SupportedProtocols)
	default:
		http.NotFound(w, req)
	}
}

// ExecInContainer runs the command here.
func (s *Streams) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	process.Stdin, process.Stdout, process.Stderr = in, out, errOut
	// The caller may keep its input open when the process is gone.
	process.WaitDelay = time.Second
	err := process.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return &utilexec.ExitErrorWrapper{ExitError: exit}
	}
	return err
}

// PortForward connects to the port here.
func (s *Streams) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}
