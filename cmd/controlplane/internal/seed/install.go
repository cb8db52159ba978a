package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Locations are where a seed is looked for: beside the program, and where the
// image keeps it.
func Locations() []string {
	locations := []string{"/usr/share/controlplane/state.db"}
	if program, err := os.Executable(); err == nil {
		locations = append([]string{filepath.Join(filepath.Dir(program), "controlplane.db")}, locations...)
	}
	return locations
}

// Install makes database from the first seed among locations that was made by
// version, and returns its location. It returns an empty one when there is a
// database already or no seed fits: the server then makes its own.
func Install(ctx context.Context, database, version string, locations []string, now time.Time) (string, error) {
	if _, err := os.Stat(database); !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// The copy gets its name when it is complete: a start that is killed
	// here begins again.
	draft := database + ".seed"
	defer os.Remove(draft)
	for _, location := range locations {
		if err := copyFile(location, draft); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", fmt.Errorf("seed %s: %w", location, err)
		}
		fits, err := adopt(ctx, draft, version, now)
		if err != nil {
			return "", fmt.Errorf("seed %s: %w", location, err)
		}
		if fits {
			return location, os.Rename(draft, database)
		}
	}
	return "", nil
}

// adopt turns the copy of a seed into the database of a new cluster, unless
// another version made it.
func adopt(ctx context.Context, draft, version string, now time.Time) (fits bool, err error) {
	// Nothing is lost with a draft, so nothing need be flushed.
	db, err := sql.Open("sqlite", "file:"+draft+"?_pragma=synchronous(OFF)&_pragma=journal_mode(OFF)")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)

	var madeIn int
	var madeBy string
	if err := db.QueryRowContext(ctx, "SELECT format, version FROM seed").Scan(&madeIn, &madeBy); err != nil {
		return false, err
	}
	if madeIn != format || madeBy != version {
		return false, nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	if err := renewObjects(ctx, tx, now); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "DROP TABLE seed"); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

// renewObjects gives each object a new identity.
func renewObjects(ctx context.Context, tx *sql.Tx, now time.Time) error {
	rows, err := tx.QueryContext(ctx, "SELECT id, name, value FROM kine WHERE name <> 'compact_rev_key'")
	if err != nil {
		return err
	}
	defer rows.Close()
	values := map[int64][]byte{}
	for rows.Next() {
		var id int64
		var name string
		var value []byte
		if err := rows.Scan(&id, &name, &value); err != nil {
			return err
		}
		if values[id], err = renew(value, now); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	update, err := tx.PrepareContext(ctx, "UPDATE kine SET value = ? WHERE id = ?")
	if err != nil {
		return err
	}
	defer update.Close()
	for id, value := range values {
		if _, err := update.ExecContext(ctx, value, id); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
