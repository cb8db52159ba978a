// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/storage/value"
)

// keyServiceChecks is how the names of the library's checks of key services begin.
const keyServiceChecks = "kms-provider"

// keyServiceRemedy stands beside the reason of such a check in the log.
const keyServiceRemedy = "look at the plugin of the key service and at its socket; nothing that is stored is lost, " +
	"and this process goes on by itself when the plugin answers"

// errKeyService stands before what the library says of an object that cannot be
// encrypted or decrypted while a key service is away, which is that the object is
// corrupt. The reason is not told to whoever asks: it has paths in it.
var errKeyService = errors.New("the key service cannot be asked, garret-apiserver's log says why; no object is lost")

func isKeyServiceCheck(check healthz.HealthChecker) bool {
	return strings.HasPrefix(check.Name(), keyServiceChecks)
}

// explainKeys has errors of storage say that a key service is away, by what
// readiness, which is asked all the time, found out last.
func (c *Config) explainKeys() {
	var asked []interface{ failing() bool }
	for _, check := range c.generic.ReadyzChecks {
		if known, ok := check.(interface{ failing() bool }); ok && isKeyServiceCheck(check) {
			asked = append(asked, known)
		}
	}
	if len(asked) == 0 {
		return
	}
	c.generic.RESTOptionsGetter = explained{c.generic.RESTOptionsGetter, func() bool {
		return slices.ContainsFunc(asked, func(check interface{ failing() bool }) bool { return check.failing() })
	}}
}

// explained gives each resource a transformer that explains its errors.
type explained struct {
	generic.RESTOptionsGetter
	away func() bool
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (e explained) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := e.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil || options.StorageConfig == nil || options.StorageConfig.Transformer == nil {
		return options, err
	}
	config := *options.StorageConfig
	config.Transformer = explaining{config.Transformer, e.away}
	options.StorageConfig = &config
	return options, nil
}

type explaining struct {
	value.Transformer
	away func() bool
}

// TransformFromStorage implements value.Read.
func (e explaining) TransformFromStorage(ctx context.Context, data []byte, in value.Context) ([]byte, bool, error) {
	out, stale, err := e.Transformer.TransformFromStorage(ctx, data, in)
	return out, stale, e.explain(err)
}

// TransformToStorage implements value.Write.
func (e explaining) TransformToStorage(ctx context.Context, data []byte, in value.Context) ([]byte, error) {
	out, err := e.Transformer.TransformToStorage(ctx, data, in)
	return out, e.explain(err)
}

func (e explaining) explain(err error) error {
	if err != nil && e.away() {
		return fmt.Errorf("%w: %w", errKeyService, err)
	}
	return err
}
