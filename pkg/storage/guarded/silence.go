// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/k3s-io/kine/pkg/dialer"
	"github.com/k3s-io/kine/pkg/drivers"
	"golang.org/x/sys/unix"
)

const (
	// silence is after what time a connection whose other end acknowledges
	// nothing is given up; TCP by itself goes on for a quarter of an hour.
	silence = 20 * time.Second
	// abandoned is after what time MySQL undoes a transaction in which nothing is
	// asked for: its writer hangs, or has silently gone. Until then its
	// revision stands between all watches and what comes after it. It is less than
	// rowWait, since kine passes a revision over that it could not fill, and less
	// than gapLife. PostgreSQL needs none of this: there kine writes by statements
	// that commit by themselves.
	abandoned = 20 * time.Second
	rowWait   = 50 * time.Second
	// idle is how long a connection to MySQL is kept that nobody uses: the server ends it after abandoned.
	idle = abandoned / 2
)

// boundSilence has connections to a database server, and transactions on them,
// end that nothing is heard of: kine reads the log without a time limit.
func boundSilence(config *drivers.Config) error {
	boundDialer()
	scheme, address, _ := strings.Cut(config.Endpoint, "://")
	if scheme != "mysql" || address == "" {
		return nil
	}
	session, err := withSession(address)
	if err != nil {
		return err
	}
	config.Endpoint = scheme + "://" + session
	config.ConnectionPoolConfig.MaxIdleTime = min(config.ConnectionPoolConfig.MaxIdleTime, idle)
	return nil
}

// boundDialer changes the one dialer that kine has for all databases.
var boundDialer = sync.OnceFunc(func() {
	// Where something is on its way the limit of the user counts, and the probes where nothing is.
	dialer.CachingDialer.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 4, Count: 2}
	dialer.CachingDialer.Control = func(network, _ string, connection syscall.RawConn) error {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		var failure error
		err := connection.Control(func(fd uintptr) {
			failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
		})
		if err == nil {
			err = failure
		}
		return err
	}
})

// withSession adds what each session of MySQL begins with, unless the data source name says otherwise.
func withSession(dsn string) (string, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return "", err
	}
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	for name, limit := range map[string]time.Duration{"wait_timeout": abandoned, "innodb_lock_wait_timeout": rowWait} {
		if _, chosen := config.Params[name]; !chosen {
			config.Params[name] = fmt.Sprint(int(limit.Seconds()))
		}
	}
	return config.FormatDSN(), nil
}
