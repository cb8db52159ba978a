#!/usr/bin/env bash
# Prepares the source of Traefik in the current folder for the build: it adds the web
# interface that the module lacks, and leaves out the clients of a hundred DNS services.
set -euo pipefail

mkdir -p webui/static internal/nodns
echo '<!doctype html>' >webui/static/index.html

cat >internal/nodns/nodns.go <<'END'
// Package nodns stands for the DNS services that certificates can be asked for by.
package nodns

import (
	"fmt"

	"github.com/go-acme/lego/v4/challenge"
)

// NewDNSChallengeProviderByName knows none.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("this build has no DNS service, and so not %q", name)
}
END
sed -i 's#"github.com/go-acme/lego/v4/providers/dns"#dns "github.com/traefik/traefik/v3/internal/nodns"#' pkg/provider/acme/provider.go
