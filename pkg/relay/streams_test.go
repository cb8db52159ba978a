// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	clientspdy "k8s.io/client-go/transport/spdy"
	clientwebsocket "k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// TestClientGoOverSPDY uses both ends of the streams of kubectl's older exec
// and port-forward.
func TestClientGoOverSPDY(t *testing.T) {
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, err := httpstream.Handshake(req, w, []string{"v4.channel.k8s.io"}); err != nil {
			t.Errorf("handshake: %v", err)
			return
		}
		streams := make(chan httpstream.Stream, 2)
		conn := spdy.NewResponseUpgrader().UpgradeResponse(w, req, func(stream httpstream.Stream, _ <-chan struct{}) error {
			streams <- stream
			return nil
		})
		if conn == nil {
			t.Error("the server inside could not upgrade")
			return
		}
		defer conn.Close()
		for {
			select {
			case stream := <-streams:
				go func() { io.Copy(stream, stream); stream.Close() }()
			case <-conn.CloseChan():
				return
			}
		}
	}))
	transport, upgrader, err := clientspdy.RoundTripperFor(&rest.Config{Host: f.URL})
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(f.url(execPath))
	if err != nil {
		t.Fatal(err)
	}
	conn, protocol, err := clientspdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target).Dial("v4.channel.k8s.io")
	if err != nil || protocol != "v4.channel.k8s.io" {
		t.Fatalf("dial: %q, %v", protocol, err)
	}
	defer conn.Close()
	// Two streams of a MiB at once, which needs flow control to work both ways.
	payload := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	results := make(chan []byte, 2)
	for _, kind := range []string{corev1.StreamTypeStdin, corev1.StreamTypeStdout} {
		stream, err := conn.CreateStream(http.Header{corev1.StreamType: {kind}})
		if err != nil {
			t.Fatalf("create stream: %v", err)
		}
		go func() { stream.Write(payload); stream.Close() }()
		go func() {
			got, _ := io.ReadAll(stream)
			results <- got
		}()
	}
	for range 2 {
		if got := <-results; !bytes.Equal(got, payload) {
			t.Errorf("got %d bytes back, want the %d sent", len(got), len(payload))
		}
	}
}

// TestClientGoOverWebSocket uses the client of kubectl's present exec and port-forward.
func TestClientGoOverWebSocket(t *testing.T) {
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}, CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, req, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(kind, message); err != nil {
				return
			}
		}
	}))
	transport, holder, err := clientwebsocket.RoundTripperFor(&rest.Config{Host: f.URL})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clientwebsocket.Negotiate(transport, holder, newRequest(t, http.MethodGet, f.url(execPath), nil), "v5.channel.k8s.io")
	if err != nil {
		t.Fatalf("negotiate: %v", err)
	}
	defer conn.Close()
	if conn.Subprotocol() != "v5.channel.k8s.io" {
		t.Errorf("subprotocol is %q", conn.Subprotocol())
	}
	for _, message := range []string{"short", strings.Repeat("long ", 100_000)} {
		if err := conn.WriteMessage(websocket.BinaryMessage, []byte(message)); err != nil {
			t.Fatalf("write: %v", err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || string(got) != message {
			t.Errorf("got %d bytes back, %v; want the %d sent", len(got), err, len(message))
		}
	}
}
