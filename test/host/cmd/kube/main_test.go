// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	known := map[string]program{"kubelet": func() int { return 1 }, "kube-proxy": func() int { return 2 }}
	for name, tt := range map[string]struct {
		args, want []string
		code       int
		failed     string
	}{
		"by argument":                    {args: []string{"/bin/kube", "kubelet", "--v=2"}, want: []string{"kubelet", "--v=2"}, code: 1},
		"by the binary's name":           {args: []string{"/bin/kube-proxy", "--v=2"}, want: []string{"/bin/kube-proxy", "--v=2"}, code: 2},
		"by name, with a program's name": {args: []string{"kube-proxy", "kubelet"}, want: []string{"kube-proxy", "kubelet"}, code: 2},
		"nothing":                        {args: []string{"kube"}, failed: "kube-proxy kubelet"},
		"something unknown":              {args: []string{"kube", "dockerd"}, failed: "name a program"},
	} {
		t.Run(name, func(t *testing.T) {
			run, args, err := choose(tt.args, known)
			if tt.failed != "" {
				if err == nil || !strings.Contains(err.Error(), tt.failed) {
					t.Errorf("got %v, want an error with %q", err, tt.failed)
				}
				return
			}
			if err != nil || !slices.Equal(args, tt.want) || run() != tt.code {
				t.Errorf("got %q, %v; want %q", args, err, tt.want)
			}
		})
	}
}
