package datastore

import (
	"fmt"
	"os"
	"strconv"

	"github.com/k3s-io/kine/pkg/server"
	"k8s.io/apimachinery/pkg/api/resource"

	"garret.dev/garret/pkg/storage/guarded"
)

// BoundVariable is the variable of the environment that bounds the embedded database, in
// bytes. It is no flag, since k3s, which has none for it, is given the same ones.
const BoundVariable = "GARRET_DATABASE_BYTES"

// bound keeps the embedded database from growing beyond what its volume can bear: full,
// that takes no deletes either.
func bound(backend server.Backend) (server.Backend, error) {
	text := os.Getenv(BoundVariable)
	if text == "" {
		return backend, nil
	}
	most, err := strconv.ParseInt(text, 10, 64)
	if err != nil || most <= 0 {
		return nil, fmt.Errorf("%s=%s: want a number of bytes", BoundVariable, text)
	}
	return guarded.Bound(backend, most, func(used int64) string { return full(used, most) }), nil
}

// full is what a client reads whose write was refused.
func full(used, most int64) string {
	amount := func(bytes int64) string { return resource.NewQuantity(bytes>>20<<20, resource.BinarySI).String() }
	return fmt.Sprintf("the database of this virtual cluster is full: it uses %s of the %s that it may. "+
		"Delete objects that are not needed: their room is free some ten minutes later, when their history is compacted. "+
		"The bound follows from spec.controlPlane.storage.size of the VirtualCluster, which is chosen when that is created",
		amount(used), amount(most))
}
