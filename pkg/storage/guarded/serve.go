// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// notifyInterval is how often an idle watch hears the current revision. The watch
	// cache asks for it when a consistent read waits. It is far below what a compaction
	// leaves, five minutes: a watch that ended can go on from what it heard last.
	notifyInterval = time.Minute
	// emulatedVersion is an etcd that answers requests for progress, as kine does.
	emulatedVersion = "3.6.11"
	// maxRequestBytes is more than the 3 MiB that the API server takes in a body.
	maxRequestBytes = 4 << 20
	// maxSocketPath is what fits into sockaddr_un on Linux, without its final zero.
	maxSocketPath = 107
)

// Listen binds a unix socket that this user alone can connect to. One that is
// there already is replaced: a killed process left it behind, and whoever calls
// this holds a lock that says that nobody else uses it.
func Listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		// A path that is too long is refused with no more than "invalid argument".
		return nil, fmt.Errorf("socket %s (%d bytes, at most %d are possible): %w", socket, len(socket), maxSocketPath, err)
	}
	// The directory is ours alone already; the socket should not depend on that.
	if err := os.Chmod(socket, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	return listener, nil
}

// NewServer offers etcd's API for a backend, to be served on a socket from
// Listen; with TLS if there are credentials. The backend is one from Guard.
func NewServer(backend server.Backend, serving credentials.TransportCredentials) *grpc.Server {
	options := []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		// A list of everything may be larger than any limit worth setting.
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.UnaryInterceptor(surviveUnary),
		grpc.StreamInterceptor(surviveStream),
	}
	scheme := "unix"
	if serving != nil {
		scheme = "unixs"
		options = append(options, grpc.Creds(serving))
	}
	grpcServer := grpc.NewServer(options...)
	server.New(backend, scheme, notifyInterval, emulatedVersion).Register(grpcServer)
	return grpcServer
}
