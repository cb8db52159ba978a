// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// noIndex says that a cluster has no network yet.
const noIndex = -1

// state is what must be known of a cluster to find it again.
type state struct {
	Dir      string `json:"-"`
	Name     string `json:"name"`
	Provider string `json:"provider"`
	Nodes    int    `json:"nodes"`
	Reserved bool   `json:"reserved,omitempty"`
	// NetworkPolicies has every node enforce them.
	NetworkPolicies bool   `json:"networkPolicies,omitempty"`
	BinDir          string `json:"binDir"`
	// Index of the network; certificates and etcd's data are bound to it.
	Index int `json:"index"`
}

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

// logsDir is what remains of a cluster that is down.
func logsDir(dir string) string { return filepath.Join(dir, "logs") }

// loadState reads what a folder holds; an error that is os.ErrNotExist says
// that it holds no cluster.
func loadState(dir string) (state, error) {
	data, err := os.ReadFile(stateFile(dir))
	if err != nil {
		return state{}, fmt.Errorf("no host cluster in %s: %w", dir, err)
	}
	s := state{Dir: dir}
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("host cluster in %s: %w", dir, err)
	}
	return s, nil
}

// save writes the state so that it is there whole or not at all.
func (s state) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	temp := stateFile(s.Dir) + ".new"
	if err := os.WriteFile(temp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, stateFile(s.Dir))
}

// forget removes a cluster's folder except for the logs. The state goes last,
// so that a second attempt can follow on one that failed.
func (s state) forget() error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(s.Dir, entry.Name())
		if path == logsDir(s.Dir) || path == stateFile(s.Dir) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := os.Remove(stateFile(s.Dir)); err != nil && !os.IsNotExist(err) {
		return err
	}
	_ = os.Remove(s.Dir) // fails, rightly, where there are logs
	return nil
}
