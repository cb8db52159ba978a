// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/metrics"
)

// prepared is a dialect that parses the query for a single key once for each connection.
// It is what an API server asks most, and SQLite parses it for longer than it looks for a row.
type prepared struct {
	*generic.Generic
	single *sql.Stmt
}

const (
	// byName is the condition by which kine finds a key. An index of kine's is for some names only.
	// To see whether it serves, SQLite looks at the value of a parameter, and then parses the
	// query again for each value. It does not look into an expression.
	byName       = "WHERE name = ?"
	byExpression = "WHERE name = CAST(? AS TEXT)"
)

// prepare makes the dialect, whose statement ends with its database.
func prepare(ctx context.Context, dialect *generic.Generic) (*prepared, error) {
	single, err := dialect.DB.PrepareContext(ctx, singleQuery(dialect))
	if err != nil {
		return nil, fmt.Errorf("query for a single key: %w", err)
	}
	return &prepared{Generic: dialect, single: single}, nil
}

// singleQuery is kine's query for a single key, in words that SQLite parses once.
func singleQuery(dialect *generic.Generic) string {
	return strings.Replace(dialect.GetSingleValSQL.Query, byName, byExpression, 1)
}

// ListCurrent returns the newest rows of a key, or of those up to end.
func (p *prepared) ListCurrent(ctx context.Context, key, end string, limit int64, includeDeleted, keysOnly bool) (rows *sql.Rows, err error) {
	if key == "" || end != "" || keysOnly {
		return p.Generic.ListCurrent(ctx, key, end, limit, includeDeleted, keysOnly)
	}
	begun := time.Now()
	defer func() {
		metrics.ObserveSQL(begun, p.ErrCode(err), 0, p.GetSingleValSQL.Fill([]any{key, includeDeleted}))
	}()
	return p.single.QueryContext(ctx, key, includeDeleted)
}
