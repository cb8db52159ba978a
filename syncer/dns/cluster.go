// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	// What the Corefile names besides the cluster itself.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	"github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/template"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// directive is that of the cluster's own zone. CoreDNS' own set-up of it has the whole process
// log through CoreDNS, and reads a kubeconfig from a file.
const directive = "garret"

func init() {
	caddy.Quiet, dnsserver.Quiet = true, true
	plugin.Register(directive, setUp)
	// The order is that in which plugins see a question.
	at := slices.Index(dnsserver.Directives, "kubernetes")
	dnsserver.Directives = slices.Insert(slices.Clone(dnsserver.Directives), at, directive)
}

// configs are those of running servers, which a Corefile names by number.
var configs struct {
	sync.Map
	last atomic.Int64
}

// shared is the number of a config.
type shared int64

func share(config *rest.Config) shared {
	number := shared(configs.last.Add(1))
	configs.Store(number, config)
	return number
}

func (s shared) drop() { configs.Delete(s) }

// setUp reads the directive: the number of the config, and what the plugin kubernetes has.
func setUp(c *caddy.Controller) error {
	c.Next()
	if !c.NextArg() {
		return plugin.Error(directive, c.ArgErr())
	}
	number, err := strconv.ParseInt(c.Val(), 10, 64)
	if err != nil {
		return plugin.Error(directive, err)
	}
	config, found := configs.Load(shared(number))
	if !found {
		return plugin.Error(directive, fmt.Errorf("no cluster has the number %d", number))
	}
	zone, err := kubernetes.ParseStanza(c)
	if err != nil {
		return plugin.Error(directive, err)
	}
	zone.ClientConfig = access{config.(*rest.Config)}
	start, end, err := zone.InitKubeCache(context.Background())
	if err != nil {
		return plugin.Error(directive, err)
	}
	c.OnStartup(start)
	c.OnShutdown(end)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		zone.Next = next
		return zone
	})
	return nil
}

// access gives CoreDNS a config that no file holds.
type access struct{ config *rest.Config }

var _ clientcmd.ClientConfig = access{}

func (a access) ClientConfig() (*rest.Config, error) { return rest.CopyConfig(a.config), nil }

// Nobody asks for the rest.

func (a access) RawConfig() (clientcmdapi.Config, error) { return clientcmdapi.Config{}, nil }

func (a access) Namespace() (string, bool, error) { return "", false, nil }

func (a access) ConfigAccess() clientcmd.ConfigAccess { return nil }
