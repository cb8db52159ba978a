// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// tools maps each program that the machine must have to the Debian package
// which brings it.
var tools = map[string]string{
	"runc": "runc", "iptables": "iptables", "conntrack": "conntrack",
	"ip": "iproute2", "nsenter": "util-linux", "mount": "mount",
}

// binaries are what BinDir must hold.
var binaries = []string{"kube", "containerd", "containerd-shim-runc-v2", "ctr", "metrics-server"}

// plugins are what the folder of CNI plugins must hold.
var plugins = []string{"bridge", "host-local", "portmap"}

// cniDirs are where distributions put CNI plugins.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// enforcer is what BinDir must hold as well for network policies.
const enforcer = "netpol"

// checkMachine tells everything that is missing at once.
func checkMachine(binDir string, policies bool) error {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root's rights")
	}
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, fmt.Sprintf("%s (Debian package %s)", tool, pkg))
		}
	}
	wanted := map[string]string{}
	for _, name := range binaries {
		wanted[name] = "make build"
	}
	if policies {
		wanted[enforcer] = "make netpol"
	}
	for name, target := range wanted {
		if info, err := os.Stat(filepath.Join(binDir, name)); err != nil || info.Mode()&0o111 == 0 {
			missing = append(missing, fmt.Sprintf("%s (%q makes it)", filepath.Join(binDir, name), target))
		}
	}
	if _, err := findCNI(cniDirs); err != nil {
		missing = append(missing, err.Error())
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		return fmt.Errorf("this machine lacks %s", strings.Join(missing, ", "))
	}
	return nil
}

// findCNI returns the first folder that holds all plugins.
func findCNI(dirs []string) (string, error) {
	for _, dir := range dirs {
		found := 0
		for _, plugin := range plugins {
			if _, err := os.Stat(filepath.Join(dir, plugin)); err == nil {
				found++
			}
		}
		if found == len(plugins) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("CNI plugins %s in one of %s (Debian package containernetworking-plugins)",
		strings.Join(plugins, " "), strings.Join(dirs, " "))
}
