// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"bufio"
	"context"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

const (
	// ageTimeout is how long the API server has to tell its metrics.
	ageTimeout = 10 * time.Second
	// startMetric is when a process began, in seconds of the Unix epoch. Every API server has it,
	// whichever distribution it is of.
	startMetric = "process_start_time_seconds "
	// longestLine bounds what is held of the metrics.
	longestLine = 64 << 10
)

// AgeOf returns what asks an API server for how long its process has run. The server runs on the
// same machine, so that both go by one clock.
func AgeOf(server rest.Interface) func(context.Context) (time.Duration, bool) {
	return func(ctx context.Context) (time.Duration, bool) {
		ctx, cancel := context.WithTimeout(ctx, ageTimeout)
		defer cancel()
		// Nothing is gained by compression on loopback.
		metrics, err := server.Get().AbsPath("/metrics").SetHeader("Accept-Encoding", "identity").Stream(ctx)
		if err != nil {
			klog.FromContext(ctx).V(1).Info("The API server does not tell its age", "err", err)
			return 0, false
		}
		defer metrics.Close()
		lines := bufio.NewScanner(metrics)
		lines.Buffer(nil, longestLine)
		for lines.Scan() {
			value, found := strings.CutPrefix(lines.Text(), startMetric)
			if !found {
				continue
			}
			start, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, false
			}
			age := time.Since(time.UnixMilli(int64(start * 1000)))
			return age, age >= 0
		}
		return 0, false
	}
}
