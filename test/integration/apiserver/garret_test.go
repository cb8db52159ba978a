// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os"
	"path/filepath"
	"time"

	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/aggregation"
)

// garret is the garret-apiserver that all tests share, in this process.
type garret struct {
	*aggregation.Garret
	auditLog string
}

// requestTimeout ends requests that are neither watches nor streams. It is
// short, so that a test can outlast it.
const requestTimeout = 10 * time.Second

// auditPolicy would record every body.
const auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"

// startGarret puts garret-apiserver behind the host.
func startGarret(stage *framework.Stage) (*garret, error) {
	g := &garret{auditLog: filepath.Join(stage.Dir, "audit.log")}
	policy := filepath.Join(stage.Dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	var err error
	g.Garret, err = aggregation.Serve(stage, shared.host, func(options *apiserver.Options) {
		options.Recommended.Audit.PolicyFile = policy
		options.Recommended.Audit.LogOptions.Path = g.auditLog
		options.RequestTimeout = requestTimeout
		options.Dial = access.Dialer(shared.virtual.Dial)
	})
	return g, err
}
