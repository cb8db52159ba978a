// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"net"

	"golang.org/x/sys/unix"
)

// hungUp says whether the client sends nothing more. It reads nothing: what the client sent is
// for the pod. A client that only says so early, and still listens, counts as gone, too.
func hungUp(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		look := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(look, 0)
		gone = err == nil && n > 0 && look[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}
