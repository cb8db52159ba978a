// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"

	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ForwardExit makes a logger panic where it would end the process. kine knows
// only the standard logger of logrus, which nothing else in our processes uses.
// It asks for the end when a transaction can be neither committed nor rolled
// back, such as when the database goes away in the middle of a compaction. Where
// a request asked for it, only that request fails. Anywhere else the process
// ends with a stack trace, and starts again with what is in the database.
func ForwardExit(logger *logrus.Logger) {
	logger.ExitFunc = func(int) { panic(givenUp{}) }
}

// givenUp is what kine panics with instead of ending the process.
type givenUp struct{}

func (givenUp) Error() string {
	return "the datastore driver gave up, for the reason that it logged before"
}

// asGivenUp returns what kine panicked with, and panics with anything else.
func asGivenUp(recovered any) error {
	switch cause := recovered.(type) {
	case nil:
		return nil
	case givenUp:
		return cause
	default:
		panic(recovered)
	}
}

// surviveUnary and surviveStream turn kine's decision to end the process into
// the failure of one request.
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
