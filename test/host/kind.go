// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
)

type kindProvider struct{}

func newKind(*state, *progress) *kindProvider { return &kindProvider{} }

func (kindProvider) up(context.Context, []string) error { return errors.New("x") }
func (kindProvider) kubeconfig() string                 { return "" }
func (kindProvider) user(string, []string) (string, error) {
	return "", nil
}
func (kindProvider) load(context.Context, []string) error              { return nil }
func (kindProvider) restart(context.Context, string) error             { return nil }
func (kindProvider) logs(string) (string, error)                       { return "", nil }
func (kindProvider) status(context.Context) ([]ComponentStatus, error) { return nil, nil }
func (kindProvider) down(context.Context) error                        { return nil }
