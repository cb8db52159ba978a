// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hosts gives pods the file /etc/hosts that a kubelet would give them inside.
//
// The host's kubelet can name a pod only by its host namespace, and knows its address only once
// the pod has a sandbox. So an init container, which has the kubelet's file, writes the file
// that the other containers mount instead.
package hosts

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const (
	// Command is the subcommand of garret-syncer that the init container runs.
	Command = "hosts"
	// Directory is where it has the volume that the others mount.
	Directory = "/etc/garret/hosts"
	// File is the name of the file in that volume.
	File = "hosts"
	// path is where the kubelet puts its own.
	path = "/etc/hosts"
	// mode lets every user of a container read it, as they can the kubelet's.
	mode = 0o644
)

// Args are the arguments of garret-syncer for a pod whose kubelet calls it
// hostname, and whose full name inside is given.
func Args(hostname, fullName string) []string {
	return []string{Command, "--hostname=" + hostname, "--full-name=" + fullName}
}

// NewCommand returns the subcommand.
func NewCommand() *cobra.Command {
	var hostname, fullName string
	command := &cobra.Command{
		Use:    Command,
		Short:  "Writes /etc/hosts of a pod with its full name inside",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			given, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("the kubelet's hosts: %w", err)
			}
			if err := os.WriteFile(Directory+"/"+File, Name(given, hostname, fullName), mode); err != nil {
				return fmt.Errorf("the pod's hosts: %w", err)
			}
			return nil
		},
	}
	command.Flags().StringVar(&hostname, "hostname", "", "Name that the kubelet wrote for the pod's own addresses.")
	command.Flags().StringVar(&fullName, "full-name", "", "Full name of the pod inside, which its short name is part of.")
	return command
}

// Name returns the file with the full name before the short one where it names the
// pod itself. A kubelet writes "ADDRESS FULLNAME NAME" there.
func Name(file []byte, hostname, fullName string) []byte {
	short, _, _ := strings.Cut(fullName, ".")
	var out bytes.Buffer
	for line := range bytes.Lines(file) {
		fields := strings.Fields(string(line))
		if len(fields) == 2 && fields[1] == hostname {
			fmt.Fprintf(&out, "%s\t%s\t%s\n", fields[0], fullName, short)
			continue
		}
		out.Write(line)
	}
	return out.Bytes()
}
