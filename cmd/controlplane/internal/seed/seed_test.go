package seed

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

var (
	built   = metav1.NewTime(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	started = time.Date(2027, 5, 5, 5, 5, 5, 999, time.UTC)
)

func namespace(t *testing.T, name string) []byte {
	t.Helper()
	object := &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: "built", CreationTimestamp: built, Labels: map[string]string{"a": "b"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", Time: &built}},
		},
		Spec:   corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
	var buffer bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(object, &buffer); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestRenewChangesIdentityAndAgeOnly(t *testing.T) {
	json := []byte(`{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.","uid":"built","creationTimestamp":"2027-01-01T00:00:00Z"},"spec":{"version":"v1"}}`)
	value, err := renew(json, started)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(value, []byte(`"uid":"built"`)) || !bytes.Contains(value, []byte("2027-05-05T05:05:05Z")) || !bytes.Contains(value, []byte(`"spec":{"version":"v1"}`)) {
		t.Errorf("JSON: got %s", value)
	}

	if value, err = renew(namespace(t, "kube-system"), started); err != nil {
		t.Fatal(err)
	}
	got := &corev1.Namespace{}
	if _, _, err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Decode(value, nil, got); err != nil {
		t.Fatal(err)
	}
	if got.UID == "built" || got.UID == "" || !got.CreationTimestamp.Time.Equal(started.Truncate(time.Second)) || !got.ManagedFields[0].Time.Time.Equal(started.Truncate(time.Second)) {
		t.Errorf("protobuf: got UID %q of %v", got.UID, got.CreationTimestamp)
	}
	if got.Name != "kube-system" || got.Labels["a"] != "b" || len(got.Spec.Finalizers) != 1 || got.Status.Phase != corev1.NamespaceActive {
		t.Errorf("protobuf: got %+v, want the rest as it was", got)
	}
	for _, bad := range [][]byte{nil, []byte("k8s\x00\xff"), []byte("{")} {
		if _, err := renew(bad, started); err == nil {
			t.Errorf("renew(%q): no error", bad)
		}
	}
}

// serverDatabase is a database as a stopped server leaves it.
func serverDatabase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER,
		create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)`)
	for _, row := range []struct {
		name    string
		deleted int
	}{
		{"compact_rev_key", 0},
		{"/registry/namespaces/default", 0},
		{"/registry/namespaces/gone", 0},
		{"/registry/namespaces/default", 0},
		{"/registry/namespaces/gone", 1},
		{"/registry/secrets/default/token", 0},
		{"/registry/services/specs/default/kubernetes", 0},
		{"/registry/leases/kube-system/apiserver", 0},
	} {
		exec("INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value) VALUES (?, 1, ?, 0, 0, 0, ?, ?)",
			row.name, row.deleted, namespace(t, "x"), []byte("old"))
	}
	return path
}

func names(t *testing.T, path string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT name FROM kine ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	return all
}

func TestPruneAndInstall(t *testing.T) {
	ctx := context.Background()
	seedFile := serverDatabase(t)
	objects, err := Prune(ctx, seedFile, "v1")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"compact_rev_key", "/registry/namespaces/default"}
	if got := names(t, seedFile); objects != 1 || !slices.Equal(got, want) {
		t.Errorf("pruned to %q (%d objects), want %q", got, objects, want)
	}
	missing := filepath.Join(t.TempDir(), "none")

	tests := map[string]struct {
		version   string
		locations []string
		existing  bool
		want      string
	}{
		"the first that fits":    {version: "v1", locations: []string{missing, seedFile}, want: seedFile},
		"another version's":      {version: "v2", locations: []string{seedFile}},
		"none":                   {version: "v1", locations: []string{missing}},
		"a database is there":    {version: "v1", locations: []string{seedFile}, existing: true},
		"nowhere to look for it": {version: "v1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			database := filepath.Join(t.TempDir(), "state.db")
			if tc.existing {
				if err := os.WriteFile(database, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Install(ctx, database, tc.version, tc.locations, started)
			if err != nil || got != tc.want {
				t.Fatalf("got %q, error %v, want %q", got, err, tc.want)
			}
			_, statErr := os.Stat(database)
			if made := statErr == nil; made != (tc.want != "" || tc.existing) {
				t.Errorf("database there: %t", made)
			}
			if _, err := os.Stat(database + ".seed"); err == nil {
				t.Error("a draft was left behind")
			}
			if tc.want != "" && !slices.Equal(names(t, database), want) {
				t.Errorf("got %q, want %q", names(t, database), want)
			}
		})
	}
}
