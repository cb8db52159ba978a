package seed

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// format changes when an earlier seed can no longer be installed.
const format = 1

// kept names what is the same in every cluster of a version, as prefixes of
// etcd keys. Whatever is not named is dropped: addresses, leases,
// certificates, events and all that depends on flags.
func kept() []string {
	return []string{
		"/registry/apiregistration.k8s.io/apiservices/",
		"/registry/clusterrolebindings/",
		"/registry/clusterroles/",
		"/registry/flowschemas/",
		"/registry/namespaces/",
		"/registry/priorityclasses/",
		"/registry/prioritylevelconfigurations/",
		"/registry/rolebindings/",
		"/registry/roles/",
		"/registry/serviceaccounts/",
	}
}

// Prune reduces the database of a stopped server to a seed, stamped with
// version, and returns how many objects it holds.
func Prune(ctx context.Context, database, version string) (objects int, err error) {
	db, err := sql.Open("sqlite", database)
	if err != nil {
		return 0, fmt.Errorf("seed %s: %w", database, err)
	}
	defer db.Close()
	// Pragmas and the transaction must meet the same connection.
	db.SetMaxOpenConns(1)

	var conditions []string
	var arguments []any
	for _, prefix := range kept() {
		conditions = append(conditions, "name LIKE ? || '%'")
		arguments = append(arguments, prefix)
	}
	steps := []struct {
		statement string
		arguments []any
	}{
		{"PRAGMA journal_mode=DELETE", nil},
		// Only the newest row of a key counts, and only if it is no deletion.
		{"DELETE FROM kine WHERE name <> 'compact_rev_key' AND (deleted <> 0 OR id NOT IN (SELECT MAX(id) FROM kine GROUP BY name))", nil},
		{"DELETE FROM kine WHERE name <> 'compact_rev_key' AND NOT (" + strings.Join(conditions, " OR ") + ")", arguments},
		{"UPDATE kine SET old_value = NULL", nil},
		// What is gone was compacted: a client that asks for it gets that answer.
		{"UPDATE kine SET prev_revision = (SELECT MAX(id) FROM kine) WHERE name = 'compact_rev_key'", nil},
		{"CREATE TABLE seed (format INTEGER, version TEXT)", nil},
		{"INSERT INTO seed VALUES (?, ?)", []any{format, version}},
		{"VACUUM", nil},
	}
	for _, step := range steps {
		if _, err := db.ExecContext(ctx, step.statement, step.arguments...); err != nil {
			return 0, fmt.Errorf("seed %s: %w", database, err)
		}
	}
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM kine WHERE name <> 'compact_rev_key'").Scan(&objects)
	return objects, err
}
