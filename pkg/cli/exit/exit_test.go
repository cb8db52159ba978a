// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package exit

import (
	"context"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestOf(t *testing.T) {
	resource := schema.GroupResource{Resource: "virtualclusters"}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"no error":                    {t.Context(), nil, 0},
		"anything else":               {t.Context(), errors.New("no"), 1},
		"a wrong flag":                {t.Context(), With(Usage, errors.New("no")), 2},
		"wrapped":                     {t.Context(), fmt.Errorf("create: %w", With(Usage, errors.New("no"))), 2},
		"no right":                    {t.Context(), apierrors.NewForbidden(resource, "demo", nil), 3},
		"no credential":               {t.Context(), apierrors.NewUnauthorized("no"), 3},
		"an invalid value":            {t.Context(), apierrors.NewInvalid(schema.GroupKind{}, "demo", nil), 3},
		"it is there already":         {t.Context(), apierrors.NewAlreadyExists(resource, "demo"), 3},
		"it is not there":             {t.Context(), fmt.Errorf("use: %w", apierrors.NewNotFound(resource, "demo")), 4},
		"not ready yet":               {t.Context(), apierrors.NewServiceUnavailable("no"), 5},
		"time is over":                {t.Context(), With(NotReady, context.DeadlineExceeded), 5},
		"interrupted":                 {stopped, errors.New("no"), 130},
		"interrupted, as a child was": {stopped, fmt.Errorf("x: %w", HandOn(7)), 7},
		"interrupted while it waited": {stopped, With(NotReady, errors.New("no")), 130},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Of(test.ctx, test.err); got != test.want {
				t.Errorf("got exit code %d, want %d", got, test.want)
			}
		})
	}
}
