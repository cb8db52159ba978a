// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// notifyInterval is how often an idle watch hears the current revision: the
	// watch cache asks for progress to answer consistent reads.
	notifyInterval = 5 * time.Second
	// emulatedVersion is an etcd that answers requests for progress, as kine does.
	emulatedVersion = "3.6.11"
	// maxRequestBytes is more than the 3 MiB that the API server takes in a body.
	maxRequestBytes = 4 << 20
)

// serve offers etcd's API on the socket.
func serve(backend server.Backend, socket string, wait *sync.WaitGroup) (*grpc.Server, error) {
	// One that a killed process left behind; the lock says that nobody else uses it.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	// The directory is ours alone already; the socket should not depend on that.
	if err := os.Chmod(socket, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	grpcServer := grpc.NewServer(
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		// A list of everything may be larger than any limit worth setting.
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.UnaryInterceptor(surviveUnary),
		grpc.StreamInterceptor(surviveStream),
	)
	server.New(backend, "unix", notifyInterval, emulatedVersion).Register(grpcServer)
	wait.Go(func() { _ = grpcServer.Serve(listener) })
	return grpcServer, nil
}

// surviveUnary and surviveStream turn kine's decision to end the process, which
// it takes when a transaction cannot be ended, into the failure of one request.
func surviveUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
	defer func() {
		if gaveUp := asGivenUp(recover()); gaveUp != nil {
			answer, err = nil, status.Error(codes.Internal, gaveUp.Error())
		}
	}()
	return handle(ctx, request)
}

func surviveStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if gaveUp := asGivenUp(recover()); gaveUp != nil {
			err = status.Error(codes.Internal, gaveUp.Error())
		}
	}()
	return handle(service, stream)
}
