// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package instance hands out the indexes that keep the host clusters of one
// machine apart. From the index follow addresses and interface names.
//
// An index is held by a folder below /run, so it is given up by a reboot, as
// is everything that it stands for.
package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Root is where all host clusters of the machine keep their run-time state.
const Root = "/run/garret-host"

// Lease is an index that is held.
type Lease struct {
	Index int
	// Dir is the cluster's run-time folder: sockets, mounts and namespaces,
	// whose paths must be short.
	Dir string
}

// Registry knows who holds which index.
type Registry struct {
	// Root is the folder of folders, Max the number of indexes.
	Root string
	Max  int
	// Range is the network that an index stands for.
	Range func(index int) netip.Prefix
	// Alive tells whether the cluster with that state folder still exists;
	// what a dead one holds may be taken.
	Alive func(stateDir string) bool
	// Networks lists the networks that the machine is in already.
	Networks func() ([]netip.Prefix, error)
}

// Acquire returns the index which the cluster with this state folder holds, or
// takes a free one for it. With want >= 0 only that one will do.
func (r Registry) Acquire(stateDir string, want int) (Lease, error) {
	if err := os.MkdirAll(r.Root, 0o755); err != nil {
		return Lease{}, err
	}
	used, err := r.Networks()
	if err != nil {
		return Lease{}, fmt.Errorf("networks of this machine: %w", err)
	}
	for index := range r.Max {
		if owner, held := r.owner(index); held && owner == stateDir && (want < 0 || want == index) {
			return Lease{Index: index, Dir: r.dir(index)}, nil
		}
	}
	for index := range r.Max {
		if want >= 0 && want != index {
			continue
		}
		if overlaps(used, r.Range(index)) {
			continue
		}
		if owner, held := r.owner(index); held && !r.Alive(owner) {
			if err := os.RemoveAll(r.dir(index)); err != nil {
				continue // something of it is still mounted
			}
		}
		if ok, err := r.take(index, stateDir); err != nil {
			return Lease{}, err
		} else if ok {
			return Lease{Index: index, Dir: r.dir(index)}, nil
		}
	}
	if want >= 0 {
		return Lease{}, fmt.Errorf("network %s, with which this cluster was made, is in use: take the cluster down first", r.Range(want))
	}
	return Lease{}, fmt.Errorf("all of %d networks from %s on are in use", r.Max, r.Range(0))
}

// Release gives an index back.
func (r Registry) Release(lease Lease) error {
	if err := os.RemoveAll(lease.Dir); err != nil {
		return fmt.Errorf("release instance %d: %w", lease.Index, err)
	}
	// The last one out leaves nothing behind; others make this fail, rightly.
	_ = os.Remove(r.Root)
	return nil
}

func (r Registry) dir(index int) string       { return filepath.Join(r.Root, strconv.Itoa(index)) }
func (r Registry) ownerFile(index int) string { return filepath.Join(r.dir(index), "owner") }

func (r Registry) owner(index int) (string, bool) {
	data, err := os.ReadFile(r.ownerFile(index))
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(data)), true
}

// take claims a free index. The folder appears complete with its owner by one
// rename, so that two that ask at once cannot both get it.
func (r Registry) take(index int, stateDir string) (bool, error) {
	temp, err := os.MkdirTemp(r.Root, ".take-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(temp)
	if err := errors.Join(os.Chmod(temp, 0o755), os.WriteFile(filepath.Join(temp, "owner"), []byte(stateDir+"\n"), 0o644)); err != nil {
		return false, err
	}
	err = os.Rename(temp, r.dir(index))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// MachineNetworks lists the networks of the interfaces of this machine.
func MachineNetworks() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			prefixes = append(prefixes, prefix.Masked())
		}
	}
	return prefixes, nil
}

func overlaps(used []netip.Prefix, prefix netip.Prefix) bool {
	for _, u := range used {
		if u.Overlaps(prefix) {
			return true
		}
	}
	return false
}
